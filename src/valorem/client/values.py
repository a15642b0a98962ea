"""What the server answers, typed: decimals as ``Decimal``, instants as aware ``datetime``.

A member the server adds later is ignored, so an older client goes on working.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, Literal, TypeVar

import msgspec

V = TypeVar("V")


class Value(msgspec.Struct, frozen=True):
    """Base of everything answered."""


class Page(Value, Generic[V], frozen=True):
    """One page of a list; ``next`` is passed as ``after`` for the page that follows, None on the last."""

    items: list[V]
    next: str | None = None


class Health(Value, frozen=True):
    """The server runs."""

    status: str
    version: str


class Ready(Value, frozen=True):
    """The server can do its work."""

    status: str


class Workspace(Value, frozen=True):
    """A sealed world; ``clock_at`` is a sandbox's own time, None for live."""

    id: int
    name: str
    kind: Literal["live", "sandbox"]
    clock_at: datetime | None


class Key(Value, frozen=True):
    """What is known of an API key."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class IssuedKey(Key, frozen=True):
    """A new key; ``key`` is shown this once, and None where the request was a repeat."""

    key: str | None = None


class IssuedWorkspace(Value, frozen=True):
    """A new workspace and the first key into it."""

    workspace: Workspace
    admin_key: IssuedKey


class CatalogVersionHeader(Value, frozen=True):
    """One applied version, without its files."""

    version: int
    digest: str
    message: str
    author: str
    created_at: datetime


class CatalogVersion(CatalogVersionHeader, frozen=True):
    """One applied version; ``files`` maps a path to its text."""

    files: dict[str, str]


class Change(Value, frozen=True):
    """One difference in meaning between two catalogs."""

    kind: Literal["added", "removed", "changed"]
    what: str
    path: str
    before: Any
    after: Any
    sentence: str
    recount: bool


class AffectedContract(Value, frozen=True):
    """A contract on a plan that a change touches."""

    contract: str
    customer: str
    plan: str
    catalog_version: int


class CatalogPlan(Value, frozen=True):
    """What applying a tree of files would change."""

    base_version: int
    digest: str
    changes: list[Change]
    affected_contracts: list[AffectedContract]
    affected_total: int


class CatalogDiff(Value, frozen=True):
    """What changed in meaning from one version to another."""

    before: int
    after: int
    changes: list[Change]


class Customer(Value, frozen=True):
    """Who is charged; ``subjects`` are its key and its aliases."""

    key: str
    name: str
    currency: str
    zone: str
    subjects: list[str]
    metadata: dict[str, str]
    created_at: datetime
    billing: dict[str, Any] = msgspec.field(default_factory=dict)
    consolidated: bool = False


class DatedQuantity(Value, frozen=True):
    """A quantity that holds from an instant until the next one."""

    since: datetime
    quantity: Decimal


class Contract(Value, frozen=True):
    """A customer's terms on a plan; ``catalog_version`` is the version it is pinned to."""

    id: str
    customer: str
    plan: str
    catalog_version: int
    start: datetime
    end: datetime | None
    term: str | None
    renews_at: datetime | None
    zone: str
    currency: str
    every: str
    anchor: datetime
    seats: dict[str, list[DatedQuantity]]
    policies: dict[str, str] | None
    purchase_order: str | None
    metadata: dict[str, str]


class RecordedEvent(Value, frozen=True):
    """A recorded event as it counts; ``state`` is ``recorded``, ``amended`` or ``voided``."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    data: dict[str, Any]
    state: str


class FoundEvent(Value, frozen=True):
    """One event, the very text received, and the text of everything that corrected it."""

    event: RecordedEvent | None
    received: str | None
    corrections: list[str]


class EventResult(Value, frozen=True):
    """What became of one event of a batch; ``field`` and ``reason`` say why it was not accepted."""

    status: Literal["accepted", "duplicate", "conflict", "rejected"]
    field: str | None = None
    reason: str | None = None
    hint: str | None = None


class EventResults(Value, frozen=True):
    """What became of a batch: counts, and one item for each event in its order."""

    accepted: int
    duplicate: int
    conflict: int
    rejected: int
    items: list[EventResult]


class Clock(Value, frozen=True):
    """A workspace's time, and the next instant at which something falls due."""

    now: datetime
    moves_by_itself: bool
    next_due_at: datetime | None


class UsageRow(Value, frozen=True):
    """What was used in one stretch of time, for one combination of dimension values."""

    start: datetime
    end: datetime
    dimensions: dict[str, str | None]
    quantity: Decimal
    events: int


class Usage(Value, frozen=True):
    """A customer's usage of one meter; it holds every event acknowledged before ``as_of``."""

    customer: str
    meter: str
    unit: str | None
    zone: str
    start: datetime
    end: datetime
    as_of: datetime
    source: str
    rows: list[UsageRow]
    total: Decimal | None


class Interval(Value, frozen=True):
    """From ``start`` (in it) to ``end`` (not in it)."""

    start: datetime
    end: datetime


class Step(Value, frozen=True):
    """One step of a line's arithmetic: what is done, in words, and the value after it."""

    label: str
    text: str
    value: Decimal


class Selector(Value, frozen=True):
    """Which events stand behind a line."""

    meter: str
    fingerprint: str
    interval: Interval
    dimensions: dict[str, str | None]


class Line(Value, frozen=True):
    """One line of an invoice: its amount, rounded once, and the arithmetic that leads to it."""

    kind: str
    key: str
    charge: str
    timing: str
    description: str
    period_index: int
    period: Interval
    quantity: Decimal | None
    unit_amount: Decimal | None
    exact_amount: Decimal
    amount: Decimal
    dimensions: dict[str, str | None]
    steps: list[Step]
    pipeline: list[str]
    selectors: list[Selector]
    customer: str | None = None
    contract: str | None = None
    tax_code: str | None = None


class Unpriced(Value, frozen=True):
    """Usage that no row of a price is for; it is billed at nothing, so look at it."""

    meter: str
    dimensions: dict[str, str | None]
    quantity: Decimal
    events: int


class InvoiceDocument(Value, frozen=True):
    """What an invoice says."""

    contract: str
    customer: str
    plan: str
    catalog_version: int
    currency: str
    kind: str
    boundary_index: int
    issued_at: datetime
    closed: Interval | None
    ahead: Interval | None
    lines: list[Line]
    total: Decimal
    unpriced: list[Unpriced]
    purchase_order: str | None


class InvoiceHeader(Value, frozen=True):
    """Where an invoice is in its life; ``number`` and ``total`` (with tax) are None for a draft.

    ``owed`` is left to pay; of it ``held`` is not due while a dispute is open.
    """

    id: str
    contract: str
    customer: str
    index: int
    kind: str
    status: str
    number: str | None
    currency: str
    period_start: datetime
    period_end: datetime
    issued_at: datetime
    finalise_at: datetime
    total: Decimal | None
    owed: Decimal | None
    held: Decimal
    paid: Decimal
    from_balance: Decimal
    credited: Decimal
    due_on: date | None
    finalised_at: datetime | None
    reason: str | None
    replaces: str | None


class TaxTotal(Value, frozen=True):
    """One tax over the whole invoice; ``share`` is of ``base``: 0.19 for 19 %."""

    tax: str
    name: str
    share: Decimal
    category: str
    reason: str | None
    base: Decimal
    amount: Decimal


class SettledLine(Value, frozen=True):
    """A line without tax, and its taxes by their place in ``taxes``."""

    net: Decimal
    prepaid: Decimal
    taxes: dict[str, Decimal]


class Settlement(Value, frozen=True):
    """What an invoice comes to; ``total`` is with tax, ``due`` what was left to pay when it was issued."""

    subtotal: Decimal
    net: Decimal
    tax: Decimal
    total: Decimal
    prepaid_after: Decimal
    balance_used: Decimal
    to_balance: Decimal
    due: Decimal
    taxes: list[TaxTotal]
    lines: list[SettledLine]


class Invoice(InvoiceHeader, frozen=True):
    """An invoice; ``digest`` is the SHA-256 of its canonical bytes; that and ``settlement`` are None for a draft."""

    document: InvoiceDocument
    settlement: Settlement | None
    issued_on: date | None
    digest: str | None
    waits: str | None = None


class UpcomingThreshold(Value, frozen=True):
    """The spend at which usage is billed before its period ends, and that spend by now."""

    amount: Decimal
    spent: Decimal


class Preview(Value, frozen=True):
    """The running period's invoice so far, and projected to the period's end; ``low`` and ``high`` bound the projection."""

    at: datetime
    period: Interval
    so_far: InvoiceDocument
    projected: InvoiceDocument
    low: Decimal | None
    high: Decimal | None
    elapsed_quarter_hours: int
    total_quarter_hours: int
    threshold: UpcomingThreshold | None


class EventBehind(Value, frozen=True):
    """One event behind a line, as it counts: amended if it was. ``value`` is what the meter read from it."""

    source: str
    id: str
    type: str
    subject: str
    time: datetime
    value: Decimal
    data: dict[str, Any]


class EventName(Value, frozen=True):
    """What an event is known by."""

    source: str
    id: str


class CorrectedEvent(Value, frozen=True):
    """One event of a line that was voided or amended; ``settled`` if the invoice reckons with that, else a later one does."""

    source: str
    id: str
    time: datetime
    state: Literal["voided", "amended"]
    value_sent: Decimal
    value_counted: Decimal
    by: EventName
    corrected_at: datetime
    reason: str
    settled: bool


class Explanation(Value, frozen=True):
    """A line, its arithmetic as text, a page of the events behind it, and those that were corrected."""

    line: Line
    text: list[str]
    events: list[EventBehind]
    next: str | None
    corrected: list[CorrectedEvent]


class Verification(Value, frozen=True):
    """Whether an invoice, computed again from the recorded events, gives the same bytes."""

    same: bool
    digest: str
    recomputed_digest: str


class CloseReport(Value, frozen=True):
    """What a closing run did; ``waiting`` drafts are due but their meters are still being recounted."""

    drafted: int
    finalised: int
    empty: int
    waiting: int
    progressive: int


class AdvanceReport(Value, frozen=True):
    """How a sandbox's clock moved, and what was done on the way."""

    before: datetime
    now: datetime
    closed: CloseReport
