"""A whole workspace at a glance: what came in last, what falls due next, what was issued, what a search finds."""

from dataclasses import dataclass
from datetime import UTC, datetime

from valorem.core.insight.cohorts import Billed
from valorem.core.metering.event import Event
from valorem.engine.engine import Transaction
from valorem.engine.history import read_recorded
from valorem.store.postgres import overview
from valorem.store.postgres.overview import Arrival, Due, Hit, Issued, Stage

__all__ = [
    "Arrival",
    "Due",
    "Hit",
    "Issued",
    "LatestEvent",
    "Stage",
    "arrivals",
    "billed_by_customer",
    "customer_names",
    "customers_count",
    "find_names",
    "issued_by_month",
    "latest_events",
    "stages",
    "upcoming",
]
_BATCHES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class LatestEvent:
    """An event as it was sent, and the sequence of the batch that recorded it."""

    event: Event
    seq: int
    received_at: datetime


def arrivals(tx: Transaction, after_seq: int, *, limit: int = 5000) -> list[Arrival]:
    """Batches recorded after a sequence, in order."""
    return overview.arrivals(tx.connection, tx.workspace.id, after_seq, limit=limit)


def latest_events(
    tx: Transaction,
    *,
    limit: int = 50,
    subject: str | None = None,
    type: str | None = None,  # noqa: A002
) -> list[LatestEvent]:
    """The events recorded last, the newest first, among the last hundred batches.

    Args:
        tx: The transaction.
        limit: Most events.
        subject: Only of this subject.
        type: Only of this type.
    """
    found: list[LatestEvent] = []
    for line in overview.latest_lines(tx.connection, tx.workspace.id, batches=_BATCHES_AT_ONCE):
        event = read_recorded(line)
        if (subject is None or event.subject == subject) and (type is None or event.type == type):
            found.append(LatestEvent(event, line.seq, line.received_at))
            if len(found) == limit:
                break
    return found


def upcoming(tx: Transaction, *, limit: int = 10) -> list[Due]:
    """What falls due next, earliest first."""
    return overview.upcoming(tx.connection, tx.workspace.id, limit=limit)


def issued_by_month(tx: Transaction) -> list[Issued]:
    """Sums of final invoices by month of issue (UTC), oldest first."""
    return overview.issued_by_month(tx.connection, tx.workspace.id)


def billed_by_customer(tx: Transaction, *, months: int) -> list[tuple[str, Billed]]:
    """What each customer was invoiced by month of issue (UTC), in the last months and this one, with its currency."""
    first = tx.now.year * 12 + tx.now.month - 1 - months
    since = datetime(first // 12, first % 12 + 1, 1, tzinfo=UTC)
    return overview.billed_by_customer(tx.connection, tx.workspace.id, since)


def stages(tx: Transaction) -> list[Stage]:
    """How many invoices stand at which status, and what they come to."""
    return overview.stages(tx.connection, tx.workspace.id, tx.now)


def find_names(tx: Transaction, text: str, *, limit: int = 8) -> list[Hit]:
    """Customers, invoices and contracts whose key, name or number holds a text."""
    return overview.find_names(tx.connection, tx.workspace.id, text[:200], limit=limit)


def customer_names(tx: Transaction, *, limit: int = 10_000) -> dict[str, str]:
    """Customers' names by key, in order of key."""
    return overview.customer_names(tx.connection, tx.workspace.id, limit=limit)


def customers_count(tx: Transaction) -> int:
    """How many customers there are."""
    return overview.customers_count(tx.connection, tx.workspace.id)
