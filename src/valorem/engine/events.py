"""Recorded events of a customer, as they were sent and as they count: browsed in order of time, or found by id."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from valorem.core.errors import NotFoundError
from valorem.core.ids import identity
from valorem.core.metering.corrections import Correction, effective
from valorem.core.metering.event import CORRECTIONS, EPOCH, Event
from valorem.engine.browsing import read_cursor, write_cursor
from valorem.engine.engine import Transaction
from valorem.engine.exported import exported_to
from valorem.engine.history import read_corrections, read_recorded
from valorem.store.postgres import corrections, recorded
from valorem.store.postgres.corrections import CorrectionRow
from valorem.store.postgres.ingest import GROUP
from valorem.store.postgres.recorded import Recorded
from valorem.store.warehouse.rows import EARLIEST

State = Literal["recorded", "amended", "voided"]
_LATEST = datetime(9999, 12, 31, tzinfo=EPOCH.tzinfo)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One recorded event.

    Attributes:
        id: As sent.
        source: As sent.
        type: As sent.
        subject: As sent.
        time: When it happened, as it counts.
        data: Its payload, as it counts.
        state: Whether it counts as it was sent, as amended, or no more.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: Mapping[str, Any]
    state: State


@dataclass(frozen=True, slots=True)
class RecordedPage:
    """A page of events in the order of the times they were sent with; ``next`` is the cursor of the one that follows."""

    items: tuple[RecordedEvent, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """One event looked up by its source and id.

    Attributes:
        event: As it counts; None while only corrections of it have arrived.
        raw: As received.
        corrections: Every correction of it, as received, in order of arrival.
    """

    event: RecordedEvent | None
    raw: bytes | None
    corrections: tuple[bytes, ...]


def browse_events(
    tx: Transaction,
    *,
    subjects: Sequence[str],
    start: datetime | None = None,
    end: datetime | None = None,
    types: Sequence[str] | None = None,
    after: str | None = None,
    limit: int = 50,
) -> RecordedPage:
    """Everything recorded of some subjects, voided events too.

    Args:
        tx: The transaction.
        subjects: A customer's own key and its aliases.
        start: First instant; from the beginning where left out.
        end: First instant not in it.
        types: Only these event types.
        after: Cursor of the page before.
        limit: Events on a page.

    Raises:
        InvalidInputError: For a cursor that no page gave.
    """
    cursor, first, last = read_cursor(after) if after else None, start or EARLIEST, end or _LATEST
    exported = exported_to(tx, ["events"])
    lines: dict[tuple[datetime, bytes], Recorded] = {}
    if tx.warehouse is not None and exported:
        for row in tx.warehouse.events(
            tx.workspace.id,
            subjects,
            first,
            last,
            types=types,
            after=cursor,
            until={GROUP: exported},
            limit=limit + 1,
        ):
            line = Recorded(row.part, row.seq, row.place, row.raw, row.received_at)
            lines[row.time, row.key] = line
    for key, event, line in _since(tx, subjects, types, exported):
        assert event.time is not None  # a recorded event has its time
        if first <= event.time < last and (cursor is None or (event.time, key) > cursor):
            lines[event.time, key] = line
    page = sorted(lines)[:limit]
    holding = read_corrections(tx.workspace.id, corrections.load(tx.connection, [key for _, key in page]))
    items = tuple(_shown(read_recorded(lines[at, key]), holding.get(key)) for at, key in page)
    return RecordedPage(items, write_cursor(*page[-1]) if len(lines) > limit else None)


def event_types(tx: Transaction, *, subjects: Sequence[str]) -> dict[str, int]:
    """How many events of each type are recorded of some subjects, voided ones too."""
    exported = exported_to(tx, ["events"])
    counts: dict[str, int] = {}
    if tx.warehouse is not None and exported:
        counts.update(tx.warehouse.types(tx.workspace.id, subjects, {GROUP: exported}))
    for _, event, _ in _since(tx, subjects, None, exported):
        counts[event.type] = counts.get(event.type, 0) + 1
    return dict(sorted(counts.items()))


def find_event(tx: Transaction, source: str, id: str) -> FoundEvent:  # noqa: A002 - CloudEvents calls it so
    """One event by its source and id, with everything that corrected it.

    Raises:
        NotFoundError: If neither it nor a correction of it has arrived, or its key is no longer kept.
    """
    found = recorded.find(tx.connection, tx.workspace.id, source, id)
    if found is None:
        raise NotFoundError(
            f"no event with the source {source[:60]!r} and the id {id[:60]!r} is known",
            hint=f"ids are known for {tx.limits.key_retention_s // 86_400} days; "
            "older events are found by customer and time",
        )
    raws = tuple(row.raw for row in sorted(found.corrections, key=_by_arrival))
    if found.event is None:
        return FoundEvent(None, None, raws)
    holding = read_corrections(tx.workspace.id, found.corrections).get(found.key)
    return FoundEvent(_shown(read_recorded(found.event), holding), found.event.raw, raws)


def _since(
    tx: Transaction, subjects: Sequence[str], types: Sequence[str] | None, exported: int
) -> Iterator[tuple[bytes, Event, Recorded]]:
    """Events of the subjects recorded after a sequence, corrections left out."""
    wanted = frozenset(subjects)
    for line in recorded.scan(
        tx.connection, tx.workspace.id, subjects=subjects, types=types, after=(GROUP, exported)
    ):
        event = read_recorded(line)
        asked = types is None or event.type in types
        if event.subject in wanted and asked and event.type not in CORRECTIONS:
            yield identity(tx.workspace.id, event.source, event.id), event, line


def _shown(sent: Event, correction: Correction | None) -> RecordedEvent:
    counted = effective(sent, correction)
    state: State = "recorded" if correction is None else "voided" if counted is None else "amended"
    event = counted or sent
    assert event.time is not None  # a recorded event has its time
    return RecordedEvent(event.id, event.source, event.type, event.subject, event.time, event.data, state)


def _by_arrival(row: CorrectionRow) -> tuple[datetime, bytes]:
    return row.received_at, row.key
