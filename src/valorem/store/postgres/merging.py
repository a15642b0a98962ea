"""Invoices that are sent as one: which customers want that, which drafts belong together, which became parts of what."""

from collections.abc import Sequence
from datetime import datetime

from valorem.core.ids import part_in, part_of
from valorem.store.postgres.database import Connection
from valorem.store.postgres.invoices import COLUMNS, NOT_PARKED, InvoiceHeader


def wanting(connection: Connection, workspace: int, customers: Sequence[str]) -> dict[str, str]:
    """Of some customers those who want one invoice, with the time zone of their days."""
    rows = connection.execute(
        "SELECT key, zone FROM customer WHERE part = ANY(%s) AND workspace = %s AND key = ANY(%s) AND consolidated",
        (sorted({part_of(workspace, key) for key in customers}), workspace, list(customers)),
    )
    return {row["key"]: row["zone"] for row in rows}


def drafts_between(
    connection: Connection, workspace: int, customer: str, start: datetime, end: datetime
) -> list[InvoiceHeader]:
    """A customer's drafts of periods issued from an instant (in it) to another (not in it)."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM invoice WHERE part = %s AND workspace = %s AND customer = %s AND status = 'draft'"
        f" AND kind = 'period' AND issued_at >= %s AND issued_at < %s AND {NOT_PARKED} ORDER BY contract, index FOR UPDATE",
        (part_of(workspace, customer), workspace, customer, start, end),
    )
    return [InvoiceHeader(**row) for row in rows]


def next_border(
    connection: Connection, workspace: int, customer: str, after: datetime, before: datetime
) -> datetime | None:
    """The last border of any of a customer's contracts that is still to be reached before an instant."""
    row = connection.execute(
        "SELECT max(next_at) AS at FROM contract WHERE part = %s AND workspace = %s AND customer = %s"
        " AND next_at > %s AND next_at < %s AND parked_at IS NULL",
        (part_of(workspace, customer), workspace, customer, after, before),
    ).fetchone()
    return row["at"] if row else None


def postpone(connection: Connection, workspace: int, drafts: Sequence[str], until: datetime) -> None:
    """Let drafts wait for others."""
    connection.execute(
        "UPDATE invoice SET finalise_at = greatest(finalise_at, %s) WHERE part = ANY(%s) AND workspace = %s"
        " AND id = ANY(%s) AND status = 'draft'",
        (until, sorted({part_in(each, "inv") for each in drafts}), workspace, list(drafts)),
    )


def merge(connection: Connection, workspace: int, drafts: Sequence[str], into: str) -> None:
    """Make drafts parts of an invoice; where one takes the place of a void part, so does the whole."""
    place = (sorted({part_in(each, "inv") for each in drafts}), workspace, list(drafts))
    connection.execute(
        "UPDATE invoice SET replaces = (SELECT min(replaces) FROM invoice WHERE part = ANY(%s) AND workspace = %s"
        " AND id = ANY(%s)) WHERE part = %s AND workspace = %s AND id = %s AND status = 'draft'",
        (*place, part_in(into, "inv"), workspace, into),
    )
    connection.execute(
        "UPDATE invoice SET status = 'merged', merged_into = %s WHERE part = ANY(%s) AND workspace = %s"
        " AND id = ANY(%s) AND status = 'draft'",
        (into, *place),
    )


def parts_of(connection: Connection, workspace: int, invoice: str) -> list[InvoiceHeader]:
    """What an invoice was put together from; nothing for any other."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM invoice WHERE part = %s AND workspace = %s AND merged_into = %s ORDER BY contract",
        (part_in(invoice, "inv"), workspace, invoice),
    )
    return [InvoiceHeader(**row) for row in rows]


def whole_of(connection: Connection, workspace: int, part: str) -> str | None:
    """The invoice that one was merged into."""
    row = connection.execute(
        "SELECT merged_into FROM invoice WHERE part = %s AND workspace = %s AND id = %s",
        (part_in(part, "inv"), workspace, part),
    ).fetchone()
    return row["merged_into"] if row else None
