"""Customers' balances: entries that are only ever added, and the row that lets one transaction at a time use them."""

from collections.abc import Sequence
from decimal import Decimal

from valorem.core.billing.customer_balance import BalanceEntry
from valorem.core.ids import part_of
from valorem.core.numbers import ZERO
from valorem.store.postgres.database import Connection

_IN = ("credited", "restored")


def lock_many(connection: Connection, workspace: int, customers: Sequence[str]) -> list[tuple[str, str]]:
    """Lock the balances that hold something until the transaction ends; (customer, currency) of each."""
    parts = sorted({part_of(workspace, each) for each in customers})
    rows = connection.execute(
        "SELECT customer, currency FROM customer_balance WHERE part = ANY(%s) AND workspace = %s"
        " AND customer = ANY(%s) AND amount > 0 ORDER BY part, customer, currency FOR UPDATE",
        (parts, workspace, list(customers)),
    )
    return [(row["customer"], row["currency"]) for row in rows]


def lock(connection: Connection, workspace: int, customer: str, currency: str) -> None:
    """Lock one balance until the transaction ends, making it where there is none."""
    key = (part_of(workspace, customer), workspace, customer, currency)
    connection.execute(
        "INSERT INTO customer_balance (part, workspace, customer, currency, amount) VALUES (%s, %s, %s, %s, 0)"
        " ON CONFLICT DO NOTHING",
        key,
    )
    connection.execute(
        "SELECT 1 FROM customer_balance WHERE part = %s AND workspace = %s AND customer = %s AND currency = %s"
        " FOR UPDATE",
        key,
    )


def load_entries(connection: Connection, workspace: int, customer: str, currency: str) -> list[BalanceEntry]:
    """Every entry of one balance, the oldest first."""
    rows = connection.execute(
        "SELECT id, at, kind, credit, amount, reference FROM balance_entry"
        " WHERE part = %s AND workspace = %s AND customer = %s AND currency = %s ORDER BY at, id",
        (part_of(workspace, customer), workspace, customer, currency),
    )
    return [BalanceEntry(**row) for row in rows]


def load_currencies(connection: Connection, workspace: int, customer: str) -> list[str]:
    """The currencies in which a customer has a balance."""
    rows = connection.execute(
        "SELECT currency FROM customer_balance WHERE part = %s AND workspace = %s AND customer = %s ORDER BY currency",
        (part_of(workspace, customer), workspace, customer),
    )
    return [row["currency"] for row in rows]


def add(
    connection: Connection, workspace: int, customer: str, currency: str, entries: Sequence[BalanceEntry]
) -> None:
    """Add entries to a balance that the caller has locked; an entry that is there already stays as it is."""
    part = part_of(workspace, customer)
    moved = ZERO
    for each in entries:
        added = connection.execute(
            "INSERT INTO balance_entry (part, workspace, customer, currency, id, at, kind, credit, amount, reference)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                part,
                workspace,
                customer,
                currency,
                each.id,
                each.at,
                each.kind,
                each.credit,
                each.amount,
                each.reference,
            ),
        )
        if added.rowcount:
            moved += each.amount if each.kind in _IN else -each.amount
    _move(connection, (part, workspace, customer, currency), moved)


def _move(connection: Connection, key: tuple[int, int, str, str], amount: Decimal) -> None:
    if amount:
        connection.execute(
            "UPDATE customer_balance SET amount = amount + %s"
            " WHERE part = %s AND workspace = %s AND customer = %s AND currency = %s",
            (amount, *key),
        )
