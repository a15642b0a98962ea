"""Customers and the subjects that belong to them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from valorem.core.contracts.customer import Customer
from valorem.core.ids import part_of
from valorem.store.postgres.database import Connection, Row

_COLUMNS = (
    "c.key, c.name, c.currency, c.zone, c.metadata, c.created_at,"
    " ARRAY(SELECT s.subject FROM subject s WHERE s.workspace = c.workspace AND s.customer = c.key ORDER BY s.subject)"
    " AS subjects"
)


def claim_subject(connection: Connection, workspace: int, subject: str, customer: str, now: datetime) -> str:
    """Claim a subject for a customer, or return the customer that has it already."""
    connection.execute(
        "INSERT INTO subject (workspace, subject, customer, created_at) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (workspace, subject, customer, now),
    )
    row = connection.execute(
        "SELECT customer FROM subject WHERE workspace = %s AND subject = %s", (workspace, subject)
    ).fetchone()
    assert row is not None
    return str(row["customer"])


def insert(connection: Connection, workspace: int, customer: Customer) -> None:
    """Insert a customer whose key has been claimed."""
    connection.execute(
        "INSERT INTO customer (part, workspace, key, name, currency, zone, metadata, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_of(workspace, customer.key),
            workspace,
            customer.key,
            customer.name,
            customer.currency,
            customer.zone,
            Jsonb(dict(customer.metadata)),
            customer.created_at,
        ),
    )


def load(connection: Connection, workspace: int, key: str) -> Customer | None:
    """One customer by key, with its subjects."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM customer c WHERE c.part = %s AND c.workspace = %s AND c.key = %s",
        (part_of(workspace, key), workspace, key),
    ).fetchone()
    return _customer(row) if row else None


def load_subjects(connection: Connection, workspace: int, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The subjects of customers, by key."""
    rows = connection.execute(
        "SELECT customer, array_agg(subject ORDER BY subject) AS subjects FROM subject"
        " WHERE workspace = %s AND customer = ANY(%s) GROUP BY customer",
        (workspace, list(keys)),
    )
    return {row["customer"]: tuple(row["subjects"]) for row in rows}


def load_page(connection: Connection, workspace: int, *, after: str | None, limit: int) -> list[Customer]:
    """Customers in order of key, from after a key on."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM customer c WHERE c.workspace = %s AND c.key > %s ORDER BY c.key LIMIT %s",
        (workspace, after or "", limit),
    )
    return [_customer(row) for row in rows]


def update(
    connection: Connection, workspace: int, key: str, *, name: str | None, metadata: Mapping[str, str] | None
) -> None:
    """Change what may change: the name and the metadata."""
    connection.execute(
        "UPDATE customer SET name = coalesce(%s, name), metadata = coalesce(%s, metadata)"
        " WHERE part = %s AND workspace = %s AND key = %s",
        (
            name,
            Jsonb(dict(metadata)) if metadata is not None else None,
            part_of(workspace, key),
            workspace,
            key,
        ),
    )


def _customer(row: Row) -> Customer:
    return Customer(**{**row, "subjects": tuple(row["subjects"])})
