"""Invoices: headers that move from draft to finalised, and documents that never change."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from psycopg.types.json import Jsonb

from valorem.core.ids import part_in, part_of
from valorem.store.postgres import locks
from valorem.store.postgres.database import Connection, Row

InvoiceStatus = Literal["draft", "finalised", "uncollectible", "void", "merged"]


@dataclass(frozen=True, slots=True)
class InvoiceHeader:
    """What a list of invoices shows.

    Attributes:
        id: Made when the boundary was reached.
        contract: The contract's id.
        customer: The customer's key.
        index: The contract's boundary it is issued at; with contract and kind it names the invoice for ever.
        kind: ``period`` or ``note``.
        status: A draft follows its counters until it is finalised.
        number: Gapless in its workspace; None for a draft.
        currency: ISO 4217.
        period_start: Start of the stretch it closes, or bills in advance.
        period_end: End of it.
        issued_at: The boundary.
        finalise_at: When its grace ends.
        total: None for a draft, whose total is computed when it is looked at.
    """

    id: str
    contract: str
    customer: str
    index: int
    kind: str
    status: InvoiceStatus
    number: str | None
    currency: str
    period_start: datetime
    period_end: datetime
    issued_at: datetime
    finalise_at: datetime
    total: Decimal | None


@dataclass(frozen=True, slots=True)
class InvoiceDocument:
    """What a finalised invoice says, and what it was computed from."""

    number: str
    document: bytes
    digest: bytes
    inputs: Mapping[str, Any]
    finalised_at: datetime


@dataclass(frozen=True, slots=True)
class SealedInvoice:
    """A draft and the document that makes it final."""

    header: InvoiceHeader
    document: InvoiceDocument
    total: Decimal


COLUMNS = (
    "id, contract, customer, index, kind, status, number, currency, period_start, period_end, issued_at,"
    " finalise_at, total"
)
# Nothing of a parked contract is invoiced until somebody has looked.
NOT_PARKED = (
    "NOT EXISTS (SELECT 1 FROM contract c WHERE c.part = invoice.part AND c.workspace = invoice.workspace"
    " AND c.id = invoice.contract AND c.parked_at IS NOT NULL)"
)
#: Nor of one whose draft waits for another system: no instant makes it final.
NOT_WAITING = (
    "NOT EXISTS (SELECT 1 FROM invoice_wait w JOIN invoice held"
    " ON held.part = w.part AND held.workspace = w.workspace AND held.id = w.invoice"
    " WHERE w.part = invoice.part AND w.workspace = invoice.workspace AND w.released_at IS NULL"
    " AND held.contract = invoice.contract)"
)


def insert_drafts(
    connection: Connection,
    workspace: int,
    headers: Sequence[InvoiceHeader],
    now: datetime,
    *,
    closing: Collection[str] = (),
) -> None:
    """Insert drafts; where a contract's boundary has this kind of invoice already, that one stays.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        headers: The drafts.
        now: The workspace's time.
        closing: Ids of those that let no use be added to what they bill, once they are final.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO invoice (part, workspace, id, contract, customer, index, kind, status, currency, period_start,"
            " period_end, issued_at, finalise_at, created_at, closes_usage)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, 'draft', %s, %s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [
                (
                    part_of(workspace, header.customer),
                    workspace,
                    header.id,
                    header.contract,
                    header.customer,
                    header.index,
                    header.kind,
                    header.currency,
                    header.period_start,
                    header.period_end,
                    header.issued_at,
                    header.finalise_at,
                    now,
                    header.id in closing,
                )
                for header in headers
            ],
        )


def load(connection: Connection, workspace: int, invoice_id: str) -> InvoiceHeader | None:
    """One header by id."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM invoice WHERE part = %s AND workspace = %s AND id = %s",
        (part_in(invoice_id, "inv"), workspace, invoice_id),
    ).fetchone()
    return InvoiceHeader(**row) if row else None


def load_many(connection: Connection, workspace: int, ids: Sequence[str]) -> list[InvoiceHeader]:
    """Headers in the order of the ids; what is not there is left out."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM invoice WHERE part = ANY(%s) AND workspace = %s AND id = ANY(%s)",
        (sorted({part_in(each, "inv") for each in ids}), workspace, list(ids)),
    )
    found = {row["id"]: InvoiceHeader(**row) for row in rows}
    return [found[each] for each in ids if each in found]


def load_by_number(connection: Connection, workspace: int, number: str) -> InvoiceHeader | None:
    """One header by its number."""
    row = connection.execute(
        "SELECT invoice FROM invoice_number WHERE workspace = %s AND number = %s", (workspace, number)
    ).fetchone()
    return load(connection, workspace, row["invoice"]) if row else None


def load_page(
    connection: Connection,
    workspace: int,
    *,
    customer: str | None = None,
    contract: str | None = None,
    status: InvoiceStatus | None = None,
    newest_first: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> list[InvoiceHeader]:
    """Headers in order of id (that is, of issue), or the newest first, from after an id on."""
    conditions = ["workspace = %s", "status <> 'merged'"]
    values: list[object] = [workspace]
    if after:
        conditions.append("id < %s" if newest_first else "id > %s")
        values.append(after)
    if contract is not None:
        conditions += ["part = %s", "contract = %s"]
        values += [part_in(contract, "ctr"), contract]
    if customer is not None:
        conditions += ["part = %s", "customer = %s"]
        values += [part_of(workspace, customer), customer]
    if status is not None:
        conditions.append("status = %s")
        values.append(status)
    order = "DESC" if newest_first else "ASC"
    statement = f"SELECT {COLUMNS} FROM invoice WHERE {' AND '.join(conditions)} ORDER BY id {order} LIMIT %s"
    return [InvoiceHeader(**row) for row in connection.execute(statement, (*values, limit))]


def load_earlier(
    connection: Connection, workspace: int, asked: Sequence[tuple[str, int, datetime]]
) -> list[list[Row]]:
    """For each (contract, boundary, instant) headers and documents of its finalised invoices.

    Those issued at earlier boundaries, since the instant.
    """
    rows = connection.execute(
        "SELECT place, coalesce(i.merged_into, i.id) AS id, i.index, i.kind, d.document"
        " FROM unnest(%s::smallint[], %s::text[], %s::integer[], %s::timestamptz[]) WITH ORDINALITY"
        " AS wanted (part, contract, before, since, place)"
        " JOIN invoice i ON i.part = wanted.part AND i.workspace = %s AND i.contract = wanted.contract"
        "  AND i.index < wanted.before AND i.issued_at >= wanted.since"
        " JOIN invoice_document d ON d.part = i.part AND d.workspace = i.workspace AND d.invoice = coalesce(i.merged_into, i.id)"
        " WHERE NOT EXISTS (SELECT 1 FROM invoice r WHERE r.part = i.part AND r.workspace = i.workspace AND r.contract = i.contract"
        " AND r.index = i.index AND r.kind = i.kind AND r.revision > i.revision)"
        " ORDER BY place, i.index, i.id",
        (
            [part_in(contract, "ctr") for contract, _, _ in asked],
            [contract for contract, _, _ in asked],
            [before for _, before, _ in asked],
            [since for _, _, since in asked],
            workspace,
        ),
    )
    found: list[list[Row]] = [[] for _ in asked]
    for row in rows:
        found[row["place"] - 1].append(row)
    return found


def due(
    connection: Connection,
    workspace: int,
    now: datetime,
    *,
    without: Sequence[str] = (),
    customers: Sequence[str] | None = None,
    limit: int,
) -> list[InvoiceHeader]:
    """Drafts whose grace has ended, in the order they were issued, locked until the transaction ends.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        now: Its time.
        without: Contracts whose drafts must wait.
        customers: Of these alone.
        limit: Most drafts.
    """
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM invoice WHERE workspace = %(workspace)s AND status = 'draft'"
        " AND finalise_at <= %(now)s AND contract <> ALL(%(without)s)"
        " AND (%(customers)s::text[] IS NULL OR customer = ANY(%(customers)s))"
        f" AND {NOT_PARKED} ORDER BY finalise_at, issued_at, contract, id LIMIT %(limit)s FOR UPDATE",
        {
            "workspace": workspace,
            "now": now,
            "without": list(without),
            "customers": None if customers is None else list(customers),
            "limit": limit,
        },
    )
    return [InvoiceHeader(**row) for row in rows]


def next_due_at(connection: Connection, workspace: int) -> datetime | None:
    """When the next draft's grace ends, of those that wait for nothing else."""
    row = connection.execute(
        f"SELECT min(finalise_at) AS at FROM invoice WHERE workspace = %s AND status = 'draft' AND {NOT_PARKED}"
        f" AND {NOT_WAITING}",
        (workspace,),
    ).fetchone()
    return row["at"] if row else None


def last_closed(connection: Connection, workspace: int, contract: str) -> datetime | None:
    """The last border of a contract whose closed period is billed for good."""
    row = connection.execute(
        "SELECT max(issued_at) AS at FROM invoice WHERE part = %s AND workspace = %s AND contract = %s"
        " AND kind = 'period' AND index > 0 AND status <> 'draft'",
        (part_in(contract, "ctr"), workspace, contract),
    ).fetchone()
    return row["at"] if row else None


def lock_series(connection: Connection, workspace: int, series: str) -> int:
    """Let one transaction at a time take numbers of a series, until it ends; returns the last one taken.

    One that sees a single instant must have waited for its turn before it began (``locks.turn_for``).
    """
    locks.wait_for(connection, locks.Lock.NUMBERS, workspace, series)
    connection.execute(
        "INSERT INTO number_series (workspace, series, last) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
        (workspace, series),
    )
    row = connection.execute(
        "SELECT last FROM number_series WHERE workspace = %s AND series = %s FOR UPDATE", (workspace, series)
    ).fetchone()
    assert row is not None
    return int(row["last"])


def move_series(connection: Connection, workspace: int, series: str, last: int) -> None:
    """Note the last number taken of a series that the caller has locked."""
    connection.execute(
        "UPDATE number_series SET last = %s WHERE workspace = %s AND series = %s", (last, workspace, series)
    )


def finalise(connection: Connection, workspace: int, sealed: Sequence[SealedInvoice]) -> None:
    """Claim the numbers, store the documents for good and move the headers on; one round trip for each table."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO invoice_number (workspace, number, invoice) VALUES (%s, %s, %s)",
            [(workspace, one.document.number, one.header.id) for one in sealed],
        )
        cursor.executemany(
            "INSERT INTO invoice_document (part, workspace, invoice, number, document, digest, inputs, finalised_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    part_of(workspace, one.header.customer),
                    workspace,
                    one.header.id,
                    one.document.number,
                    one.document.document,
                    one.document.digest,
                    Jsonb(dict(one.document.inputs)),
                    one.document.finalised_at,
                )
                for one in sealed
            ],
        )
        cursor.executemany(
            "UPDATE invoice SET status = 'finalised', number = %s, total = %s"
            " WHERE part = %s AND workspace = %s AND id = %s AND status = 'draft'",
            [
                (
                    one.document.number,
                    one.total,
                    part_of(workspace, one.header.customer),
                    workspace,
                    one.header.id,
                )
                for one in sealed
            ],
        )


def drop_draft(connection: Connection, workspace: int, header: InvoiceHeader) -> None:
    """Take back a draft that turned out to bill nothing."""
    connection.execute(
        "DELETE FROM invoice WHERE part = %s AND workspace = %s AND id = %s AND status = 'draft'",
        (part_of(workspace, header.customer), workspace, header.id),
    )


def load_document(connection: Connection, workspace: int, invoice_id: str) -> InvoiceDocument | None:
    """What a finalised invoice says."""
    row = connection.execute(
        "SELECT number, document, digest, inputs, finalised_at FROM invoice_document"
        " WHERE part = %s AND workspace = %s AND invoice = %s",
        (part_in(invoice_id, "inv"), workspace, invoice_id),
    ).fetchone()
    if row is None:
        return None
    return InvoiceDocument(**{**row, "document": bytes(row["document"]), "digest": bytes(row["digest"])})
