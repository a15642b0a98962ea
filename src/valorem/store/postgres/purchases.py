"""Credits that were sold, and what they were spent on by a decision of their own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ids import part_of
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.written import read_workload, write_workload
from valorem.store.postgres.credits import Place
from valorem.store.postgres.database import Connection, Row

_ACCOUNT: LiteralString = "part = %s AND workspace = %s AND customer = %s AND credit = %s"
PurchaseState = Literal["due", "invoiced", "paid", "void"]


@dataclass(frozen=True, slots=True)
class PurchaseRow:
    """Credits that were sold.

    Attributes:
        place: Which account they are for.
        id: The same as of the grant they give.
        state: ``due`` until its invoice is written, then ``invoiced`` until that is paid or void.
        terms: What is sold and the grant it gives, as :mod:`valorem.engine.credits.selling` writes it.
        invoice: The invoice's id; None while there is none, or where it cost nothing.
        granted_at: When the credits were given; None while they wait for the payment.
        created_at: When it was decided.
    """

    place: Place
    id: str
    state: PurchaseState
    terms: Mapping[str, Any]
    invoice: str | None
    granted_at: datetime | None
    created_at: datetime


def insert(connection: Connection, row: PurchaseRow) -> None:
    """Keep a new purchase."""
    connection.execute(
        "INSERT INTO credit_purchase (part, workspace, customer, credit, id, state, terms, invoice, granted_at, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *row.place.key,
            row.id,
            row.state,
            Jsonb(dict(row.terms)),
            row.invoice,
            row.granted_at,
            row.created_at,
        ),
    )


def move(connection: Connection, row: PurchaseRow) -> None:
    """Write how far a purchase has come."""
    connection.execute(
        f"UPDATE credit_purchase SET state = %s, invoice = %s, granted_at = %s WHERE {_ACCOUNT} AND id = %s",
        (row.state, row.invoice, row.granted_at, *row.place.key, row.id),
    )


def find(connection: Connection, place: Place, name: str) -> PurchaseRow | None:
    """The purchase of an id."""
    row = connection.execute(
        f"SELECT * FROM credit_purchase WHERE {_ACCOUNT} AND id = %s", (*place.key, name)
    ).fetchone()
    return None if row is None else _purchase(row)


def of_invoice(connection: Connection, workspace: int, customer: str, invoice: str) -> list[PurchaseRow]:
    """What an invoice sells, locked until the transaction ends."""
    rows = connection.execute(
        "SELECT * FROM credit_purchase WHERE part = %s AND workspace = %s AND customer = %s AND invoice = %s"
        " ORDER BY credit, id FOR UPDATE",
        (part_of(workspace, customer), workspace, customer, invoice),
    )
    return [_purchase(row) for row in rows]


def due(
    connection: Connection, workspace: int, *, limit: int, without: Sequence[tuple[str, str, str]] = ()
) -> list[PurchaseRow]:
    """Purchases that have no invoice yet, the oldest first, locked; those that somebody else works on are left out.

    Args:
        connection: The connection.
        workspace: The workspace's id.
        limit: So many.
        without: Customer, credit type and id of those to leave out.
    """
    rows = connection.execute(
        "SELECT * FROM credit_purchase WHERE workspace = %s AND state = 'due' AND (customer, credit, id) NOT IN"
        " (SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])) ORDER BY created_at, id LIMIT %s"
        " FOR UPDATE SKIP LOCKED",
        (workspace, *([each[place] for each in without] for place in range(3)), limit),
    )
    return [_purchase(row) for row in rows]


def page(
    connection: Connection, workspace: int, customer: str, *, after: str | None, limit: int
) -> list[PurchaseRow]:
    """A customer's purchases in order of id, from after an id on."""
    rows = connection.execute(
        "SELECT * FROM credit_purchase WHERE part = %s AND workspace = %s AND customer = %s AND id > %s"
        " ORDER BY id LIMIT %s",
        (part_of(workspace, customer), workspace, customer, after or "", limit),
    )
    return [_purchase(row) for row in rows]


def _purchase(row: Row) -> PurchaseRow:
    return PurchaseRow(
        Place(row["workspace"], row["customer"], row["credit"]),
        row["id"],
        row["state"],
        row["terms"],
        row["invoice"],
        row["granted_at"],
        row["created_at"],
    )


def draws(connection: Connection, place: Place, since: datetime | None = None) -> list[Burn]:
    """Credits used by decisions of their own, as burns; those before ``since`` left out."""
    rows = connection.execute(
        f"SELECT * FROM credit_draw WHERE {_ACCOUNT} AND (%s::timestamptz IS NULL OR at >= %s) ORDER BY at, id",
        (*place.key, since, since),
    )
    return [_draw(row) for row in rows]


def draws_for(
    connection: Connection, workspace: int, customer: str, reference: str
) -> list[tuple[Place, Burn]]:
    """What an invoice used of a customer's credits."""
    rows = connection.execute(
        "SELECT * FROM credit_draw WHERE part = %s AND workspace = %s AND customer = %s AND reference = %s"
        " ORDER BY credit, at, id",
        (part_of(workspace, customer), workspace, customer, reference),
    )
    return [(Place(row["workspace"], row["customer"], row["credit"]), _draw(row)) for row in rows]


def record_draws(connection: Connection, place: Place, new: Sequence[Burn], reference: str) -> None:
    """Keep credits used, or given back where below zero; one of the same key and sign stays as it is."""
    for burn in new:
        sign = "" if burn.amount > 0 else ":back"
        connection.execute(
            "INSERT INTO credit_draw (part, workspace, customer, credit, id, at, key, amount, work, reference)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                *place.key,
                f"{burn.key}{sign}",
                burn.at,
                burn.key,
                burn.amount,
                Jsonb(write_workload(burn.work)),
                reference,
            ),
        )


def _draw(row: Row) -> Burn:
    return Burn(row["at"], row["key"], Decimal(row["amount"]), read_workload(row["work"]))
