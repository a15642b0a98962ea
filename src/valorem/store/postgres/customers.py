"""Customers and the subjects that belong to them."""

from collections.abc import Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from valorem.core.billing.parties import BillingDetails
from valorem.core.contracts.customer import Customer
from valorem.core.ids import part_of
from valorem.store.postgres.database import Connection, Row

_COLUMNS = (
    "c.key, c.name, c.currency, c.zone, c.metadata, c.created_at, c.billing, c.consolidated,"
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
        "INSERT INTO customer (part, workspace, key, name, currency, zone, metadata, created_at, billing, consolidated)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_of(workspace, customer.key),
            workspace,
            customer.key,
            customer.name,
            customer.currency,
            customer.zone,
            Jsonb(dict(customer.metadata)),
            customer.created_at,
            _written(customer.billing),
            customer.consolidated,
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


def load_billing(
    connection: Connection, workspace: int, keys: Sequence[str]
) -> dict[str, tuple[str, BillingDetails]]:
    """The names of customers and how they are billed, by key."""
    rows = connection.execute(
        "SELECT key, name, billing FROM customer WHERE part = ANY(%s) AND workspace = %s AND key = ANY(%s)",
        (sorted({part_of(workspace, key) for key in keys}), workspace, list(keys)),
    )
    return {row["key"]: (row["name"], BillingDetails.model_validate(row["billing"])) for row in rows}


def load_page(connection: Connection, workspace: int, *, after: str | None, limit: int) -> list[Customer]:
    """Customers in order of key, from after a key on."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM customer c WHERE c.workspace = %s AND c.key > %s ORDER BY c.key LIMIT %s",
        (workspace, after or "", limit),
    )
    return [_customer(row) for row in rows]


def update(connection: Connection, workspace: int, customer: Customer) -> None:
    """Store what may change: the name, the metadata and how it is billed."""
    connection.execute(
        "UPDATE customer SET name = %s, metadata = %s, billing = %s, consolidated = %s WHERE part = %s AND workspace = %s AND key = %s",
        (
            customer.name,
            Jsonb(dict(customer.metadata)),
            _written(customer.billing),
            customer.consolidated,
            part_of(workspace, customer.key),
            workspace,
            customer.key,
        ),
    )


def _written(details: BillingDetails) -> Jsonb:
    return Jsonb(details.model_dump(mode="json", exclude_none=True))


def _customer(row: Row) -> Customer:
    billing = BillingDetails.model_validate(row["billing"])
    return Customer(**{**row, "subjects": tuple(row["subjects"]), "billing": billing})
