"""What the calls about other systems answer."""

from datetime import datetime
from typing import Any

from msgspec import Struct


class Source(Struct, frozen=True, kw_only=True):
    """A source and where it stands."""

    source: str
    name: str
    kind: str
    system: str
    webhook: str | None
    freshness_s: int
    fresh: bool
    lag_s: int | None
    events: int
    last_event_at: datetime | None
    received_at: datetime | None
    tried_at: datetime | None
    read_at: datetime | None
    complete_until: datetime | None
    next_at: datetime | None
    parked: int
    failures: int
    error: str | None
    hint: str | None


class SourceFile(Struct, frozen=True, kw_only=True):
    """A file of a source; ``refused`` says why it was not taken."""

    name: str
    digest: str
    rows: int
    refused: str | None
    taken_at: datetime


class SourceDetail(Source, frozen=True, kw_only=True):
    """A source with its files and its definition."""

    files: list[SourceFile]
    definition: dict[str, Any]


class ParkedRecord(Struct, frozen=True, kw_only=True):
    """A record that could not be read; ``record`` is its JSON as it came."""

    id: str
    via: str
    event: str
    field: str | None
    reason: str
    hint: str | None
    attempts: int
    parked_at: datetime
    record: str


class DryEvent(Struct, frozen=True, kw_only=True):
    """An event as it would be recorded."""

    id: str
    type: str
    subject: str
    time: datetime | None
    data: dict[str, Any]


class UnreadRecord(Struct, frozen=True, kw_only=True):
    """A record that could not be read: its place, counted from 1, and why."""

    record: int
    event: str
    field: str | None
    reason: str
    hint: str | None


class DryRun(Struct, frozen=True, kw_only=True):
    """What records would become."""

    records: int
    events: list[DryEvent]
    ignored: int
    unread: list[UnreadRecord]


class TakenRecords(Struct, frozen=True, kw_only=True):
    """What became of records."""

    records: int
    events: int
    known: int
    ignored: int
    parked: int


class Poll(TakenRecords, frozen=True, kw_only=True):
    """What a reading did."""

    pages: int
    full: bool
    files: list[str]
    refused: dict[str, str]


class SourceSecret(Struct, frozen=True, kw_only=True):
    """A secret's name, and when it was set."""

    name: str
    set_at: datetime


class InvoiceWait(Struct, frozen=True, kw_only=True):
    """An invoice that waits for a source, or was let go."""

    invoice: str
    reasons: list[str]
    since: datetime
    released_at: datetime | None
    released_by: str | None
    reason: str | None
