"""How invoices stand: what was paid, credited, written off; the columns of an invoice that change after it is final."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from valorem.core.billing.life import Life, Status
from valorem.core.ids import part_in
from valorem.core.numbers import ZERO
from valorem.store.postgres.database import Connection, Row
from valorem.store.postgres.invoices import InvoiceHeader

_COLUMNS = "id, status, total, paid, from_balance, credited, credit_offset, held, finalised_at, due_on, zone, reason, replaces"
_ISSUED = "status IN ('finalised', 'uncollectible')"
#: Nothing of it is late: its day is still to come, or disputes hold back all that is owed.
_NOT_LATE = "status = 'finalised' AND owed > 0 AND (overdue_at > %(now)s OR owed <= held)"
#: A status, or ``issued``: every final invoice that is not void.
StatusFilter = Status | Literal["issued"]
#: What each status means in columns; %(now)s is the workspace's time.
STATUS_IS: dict[StatusFilter, str] = {
    "issued": _ISSUED,
    "draft": "status = 'draft'",
    "void": "status = 'void'",
    "paid": f"{_ISSUED} AND owed <= 0",
    "uncollectible": "status = 'uncollectible' AND owed > 0",
    "overdue": "status = 'finalised' AND owed > held AND overdue_at <= %(now)s",
    "partially_paid": f"{_NOT_LATE} AND owed < total",
    "finalised": f"{_NOT_LATE} AND owed = total",
}


#: Its own invoices, and those it is a part of.
_OF_CONTRACT = (
    "(contract = %(contract)s OR id IN (SELECT m.merged_into FROM invoice m WHERE m.workspace = %(workspace)s"
    " AND m.contract = %(contract)s AND m.merged_into IS NOT NULL))"
)


@dataclass(frozen=True, slots=True)
class Settled:
    """What sealing writes on a draft's row.

    Attributes:
        invoice: The invoice's id.
        tax: All its taxes.
        from_balance: What the customer's balance paid.
        finalised_at: When.
        due_on: The last local day for payment.
        overdue_at: The first instant after that day.
        zone: The time zone of that day.
    """

    invoice: str
    tax: Decimal
    from_balance: Decimal
    finalised_at: datetime
    due_on: date
    overdue_at: datetime
    zone: str


def settle(connection: Connection, workspace: int, rows: Sequence[Settled]) -> None:
    """Write what drafts come to, in the transaction that finalises them and before it does."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE invoice SET tax = %s, from_balance = %s, finalised_at = %s, due_on = %s, overdue_at = %s, zone = %s"
            " WHERE part = %s AND workspace = %s AND id = %s AND status = 'draft'",
            [
                (
                    each.tax,
                    each.from_balance,
                    each.finalised_at,
                    each.due_on,
                    each.overdue_at,
                    each.zone,
                    part_in(each.invoice, "inv"),
                    workspace,
                    each.invoice,
                )
                for each in rows
            ],
        )


def load_many(connection: Connection, workspace: int, ids: Sequence[str]) -> dict[str, Life]:
    """How invoices stand, by id."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM invoice WHERE part = ANY(%s) AND workspace = %s AND id = ANY(%s)",
        (sorted({part_in(each, "inv") for each in ids}), workspace, list(ids)),
    )
    return {row["id"]: _life(row) for row in rows}


def lock(connection: Connection, workspace: int, invoice: str) -> Life:
    """How one stands, locked until the transaction ends."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM invoice WHERE part = %s AND workspace = %s AND id = %s FOR UPDATE",
        (part_in(invoice, "inv"), workspace, invoice),
    ).fetchone()
    assert row is not None  # the caller has read its header
    return _life(row)


def save(connection: Connection, workspace: int, invoice: str, life: Life) -> None:
    """Store how an invoice stands that the caller has locked."""
    connection.execute(
        "UPDATE invoice SET status = %s, paid = %s, from_balance = %s, credited = %s, credit_offset = %s, reason = %s"
        " WHERE part = %s AND workspace = %s AND id = %s",
        (
            life.stage,
            life.paid,
            life.from_balance,
            life.credited,
            life.offset,
            life.reason,
            part_in(invoice, "inv"),
            workspace,
            invoice,
        ),
    )


def hold_back(connection: Connection, workspace: int, invoice: str) -> None:
    """Write on an invoice what all disputes of it hold back together."""
    connection.execute(
        "UPDATE invoice SET held = coalesce((SELECT sum(d.held) FROM outcome_dispute d"
        " WHERE d.workspace = invoice.workspace AND d.invoice = invoice.id), 0)"
        " WHERE part = %s AND workspace = %s AND id = %s",
        (part_in(invoice, "inv"), workspace, invoice),
    )


def replaced(connection: Connection, workspace: int, ids: Sequence[str]) -> dict[str, str]:
    """Of these invoices those that are issued again: id to the number of the void one."""
    rows = connection.execute(
        "SELECT id, replaces FROM invoice WHERE part = ANY(%s) AND workspace = %s AND id = ANY(%s)"
        " AND replaces IS NOT NULL",
        (sorted({part_in(each, "inv") for each in ids}), workspace, list(ids)),
    )
    return {row["id"]: row["replaces"] for row in rows}


def insert_again(
    connection: Connection,
    workspace: int,
    old: InvoiceHeader,
    new_id: str,
    now: datetime,
    *,
    replaces: str | None = None,
) -> bool:
    """Insert the draft that takes the place of a void invoice, or of a part of one; False if there is one already."""
    done = connection.execute(
        "INSERT INTO invoice (part, workspace, id, contract, customer, index, kind, status, currency, period_start,"
        " period_end, issued_at, finalise_at, created_at, revision, replaces)"
        " SELECT part, workspace, %s, contract, customer, index, kind, 'draft', currency, period_start, period_end,"
        " issued_at, %s, %s, revision + 1, coalesce(%s, number) FROM invoice WHERE part = %s AND workspace = %s AND id = %s"
        " ON CONFLICT DO NOTHING",
        (new_id, now, now, replaces, part_in(old.id, "inv"), workspace, old.id),
    )
    return bool(done.rowcount)


def page(
    connection: Connection,
    workspace: int,
    *,
    now: datetime,
    customer: str | None = None,
    contract: str | None = None,
    status: StatusFilter | None = None,
    newest_first: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> list[str]:
    """Ids in order of issue, or the newest first, from after an id on."""
    conditions = ["workspace = %(workspace)s", "status <> 'merged'"]
    values: dict[str, Any] = {"workspace": workspace, "now": now, "limit": limit}
    if after:
        conditions.append("id < %(after)s" if newest_first else "id > %(after)s")
        values["after"] = after
    for name, value in (("customer", customer), ("contract", contract)):
        if value is not None:
            conditions.append(_OF_CONTRACT if name == "contract" else f"{name} = %({name})s")
            values[name] = value
    if status is not None:
        conditions.append(STATUS_IS[status])
    order = "DESC" if newest_first else "ASC"
    statement = f"SELECT id FROM invoice WHERE {' AND '.join(conditions)} ORDER BY id {order} LIMIT %(limit)s"
    return [row["id"] for row in connection.execute(statement, values)]


def owing(connection: Connection, workspace: int, *, after: str, limit: int) -> list[str]:
    """Ids of final invoices with something left to pay whose customers may be reminded, in order of id."""
    rows = connection.execute(
        "SELECT i.id FROM invoice i WHERE i.workspace = %s AND i.status = 'finalised' AND i.owed > i.held AND i.id > %s"
        " AND NOT EXISTS (SELECT 1 FROM customer c WHERE c.part = i.part AND c.workspace = i.workspace"
        " AND c.key = i.customer AND c.billing ->> 'reminders' = 'paused') ORDER BY i.id LIMIT %s",
        (workspace, after, limit),
    )
    return [row["id"] for row in rows]


def owed_days(connection: Connection, workspace: int, since: date) -> list[tuple[date, str]]:
    """The last days for payment, each with its time zone, of what is owed; none before a day."""
    rows = connection.execute(
        "SELECT DISTINCT due_on, zone FROM invoice WHERE workspace = %s AND status = 'finalised' AND owed > held"
        " AND due_on >= %s ORDER BY 1, 2",
        (workspace, since),
    )
    return [(row["due_on"], row["zone"]) for row in rows]


def _life(row: Row) -> Life:
    return Life(
        stage=row["status"],
        total=ZERO if row["total"] is None else row["total"],
        paid=row["paid"],
        from_balance=row["from_balance"],
        credited=row["credited"],
        offset=row["credit_offset"],
        held=row["held"],
        finalised_at=row["finalised_at"],
        due=row["due_on"],
        zone=row["zone"],
        reason=row["reason"],
        replaces=row["replaces"],
    )
