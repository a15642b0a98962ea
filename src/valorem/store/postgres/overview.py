"""What pages look at across a whole workspace: sums, what falls due, what came in last, what matches a search."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from valorem.core.insight.cohorts import Billed
from valorem.store.postgres.batches import unpack_lines
from valorem.store.postgres.database import Connection
from valorem.store.postgres.ingest import GROUP
from valorem.store.postgres.recorded import Recorded


class Arrival(NamedTuple):
    """One recorded batch: how many events, and short hashes of their subjects."""

    seq: int
    events: int
    subjects: frozenset[int]


@dataclass(frozen=True, slots=True)
class Due:
    """Several things of one kind that fall due at one instant.

    Attributes:
        at: The instant.
        kind: ``period`` ends and is drafted, or a ``draft`` becomes final.
        count: How many.
        customer: One of them.
        object: Its contract or invoice.
    """

    at: datetime
    kind: str
    count: int
    customer: str
    object: str


@dataclass(frozen=True, slots=True)
class Issued:
    """Final invoices of one month of issue and currency."""

    month: datetime
    currency: str
    count: int
    total: Decimal


@dataclass(frozen=True, slots=True)
class Stage:
    """Invoices of one status and currency."""

    status: str
    currency: str
    count: int
    total: Decimal | None
    oldest: datetime


class Hit(NamedTuple):
    """Something a search found."""

    kind: str
    key: str
    name: str


def arrivals(connection: Connection, workspace: int, after_seq: int, *, limit: int) -> list[Arrival]:
    """Batches recorded after a sequence, in order."""
    rows = connection.execute(
        "SELECT seq, events, subjects FROM event_batch WHERE part = %s AND workspace = %s AND seq > %s"
        " ORDER BY seq LIMIT %s",
        (GROUP, workspace, after_seq, limit),
    )
    return [Arrival(row["seq"], row["events"], frozenset(row["subjects"])) for row in rows]


def latest_lines(connection: Connection, workspace: int, *, batches: int) -> Iterator[Recorded]:
    """Recorded events, the last recorded first, of at most so many batches; few are read until more are asked for."""
    before, step = None, 1
    while batches > 0:
        rows = connection.execute(
            "SELECT part, seq, received_at, raw FROM event_batch WHERE part = %s AND workspace = %s"
            " AND (%s::bigint IS NULL OR seq < %s) ORDER BY seq DESC LIMIT %s",
            (GROUP, workspace, before, before, min(step, batches)),
        ).fetchall()
        for row in rows:
            lines = unpack_lines(row["raw"])
            for place in range(len(lines) - 1, -1, -1):
                if lines[place]:
                    yield Recorded(row["part"], row["seq"], place, lines[place], row["received_at"])
        if len(rows) < min(step, batches):
            return
        batches -= len(rows)
        before, step = rows[-1]["seq"], step * 4


def upcoming(connection: Connection, workspace: int, *, limit: int) -> list[Due]:
    """What falls due next, earliest first."""
    rows = connection.execute(
        "(SELECT next_at AS at, 'period' AS kind, count(*) AS count, min(customer) AS customer, min(id) AS object"
        " FROM contract WHERE workspace = %(workspace)s AND next_at IS NOT NULL GROUP BY next_at)"
        " UNION ALL (SELECT finalise_at, 'draft', count(*), min(customer), min(id) FROM invoice"
        " WHERE workspace = %(workspace)s AND status = 'draft' GROUP BY finalise_at)"
        " ORDER BY at, kind LIMIT %(limit)s",
        {"workspace": workspace, "limit": limit},
    )
    return [Due(**row) for row in rows]


def issued_by_month(connection: Connection, workspace: int) -> list[Issued]:
    """Sums of final invoices by the month they were issued in (UTC), oldest first."""
    rows = connection.execute(
        "SELECT date_trunc('month', issued_at, 'UTC') AS month, currency, count(*) AS count, sum(total) AS total"
        " FROM invoice WHERE workspace = %s AND number IS NOT NULL AND total IS NOT NULL"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        (workspace,),
    )
    return [Issued(**row) for row in rows]


def billed_by_customer(connection: Connection, workspace: int, since: datetime) -> list[tuple[str, Billed]]:
    """What each customer was invoiced by month of issue (UTC) from an instant on, each with its currency."""
    rows = connection.execute(
        "SELECT date_trunc('month', issued_at, 'UTC') AS month, currency, customer, sum(total) AS amount"
        " FROM invoice WHERE workspace = %s AND number IS NOT NULL AND total IS NOT NULL AND status <> 'void'"
        " AND issued_at >= %s GROUP BY 1, 2, 3 ORDER BY 2, 1, 3",
        (workspace, since),
    )
    return [(row["currency"], Billed(row["month"], row["customer"], row["amount"])) for row in rows]


def stages(connection: Connection, workspace: int, now: datetime) -> list[Stage]:
    """How many invoices stand at which status as of an instant, and what they come to."""
    rows = connection.execute(
        "SELECT CASE WHEN status IN ('draft', 'void') THEN status WHEN owed <= 0 THEN 'paid'"
        " WHEN status = 'uncollectible' THEN status WHEN overdue_at <= %s THEN 'overdue'"
        " WHEN owed < total THEN 'partially_paid' ELSE 'finalised' END AS status,"
        " currency, count(*) AS count, sum(total) AS total, min(issued_at) AS oldest FROM invoice"
        " WHERE workspace = %s GROUP BY 1, 2 ORDER BY 1, 2",
        (now, workspace),
    )
    return [Stage(**row) for row in rows]


def find_names(connection: Connection, workspace: int, text: str, *, limit: int) -> list[Hit]:
    """Customers whose key or name holds a text, and the invoice or contract of that number or id."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    customers = connection.execute(
        "SELECT 'customer' AS kind, key, name FROM customer WHERE workspace = %s AND (key ILIKE %s OR name ILIKE %s)"
        " ORDER BY (key = %s) DESC, key LIMIT %s",
        (workspace, pattern, pattern, text, limit),
    ).fetchall()
    invoices = connection.execute(
        "SELECT 'invoice' AS kind, number AS key, customer AS name FROM invoice"
        " WHERE workspace = %s AND number IS NOT NULL AND number ILIKE %s ORDER BY number DESC LIMIT %s",
        (workspace, pattern, limit),
    ).fetchall()
    contracts = connection.execute(
        "SELECT 'contract' AS kind, id AS key, customer AS name FROM contract WHERE workspace = %s AND id = %s",
        (workspace, text),
    ).fetchall()
    return [Hit(**row) for row in (*contracts, *customers, *invoices)][:limit]


def customer_names(connection: Connection, workspace: int, *, limit: int) -> dict[str, str]:
    """Customers' names by key, in order of key."""
    rows = connection.execute(
        "SELECT key, name FROM customer WHERE workspace = %s ORDER BY key LIMIT %s", (workspace, limit)
    )
    return {row["key"]: row["name"] for row in rows}


def customers_count(connection: Connection, workspace: int) -> int:
    """How many customers there are."""
    row = connection.execute(
        "SELECT count(*) AS n FROM customer WHERE workspace = %s", (workspace,)
    ).fetchone()
    assert row is not None
    return int(row["n"])
