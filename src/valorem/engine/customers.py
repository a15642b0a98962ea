"""Customers: make one, change what may change, and say which subjects are its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from valorem.core.billing.parties import BillingDetails
from valorem.core.contracts.customer import Customer, check_subject
from valorem.core.errors import ConflictError, NotFoundError
from valorem.engine.engine import Transaction
from valorem.store.postgres import customers


def create_customer(
    tx: Transaction,
    *,
    key: str,
    name: str,
    currency: str,
    zone: str = "UTC",
    aliases: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    billing: BillingDetails | None = None,
    consolidated: bool = False,
) -> Customer:
    """Make a customer. Events already recorded under its key or an alias are its own from now on.

    Raises:
        InvalidInputError: Naming the field.
        ConflictError: If the key or an alias belongs to a customer already.
    """
    subjects = tuple(sorted({key, *aliases}))
    customer = Customer(
        key,
        name,
        currency,
        zone,
        subjects,
        dict(metadata or {}),
        tx.now,
        billing or BillingDetails(),
        consolidated,
    )
    for subject in subjects:
        if customers.claim_subject(tx.connection, tx.workspace.id, subject, key, tx.now) != key or (
            subject == key and customers.load(tx.connection, tx.workspace.id, key)
        ):
            raise _taken(subject, "key" if subject == key else "aliases")
    customers.insert(tx.connection, tx.workspace.id, customer)
    return customer


def add_alias(tx: Transaction, key: str, subject: str) -> Customer:
    """Say that a subject's events, past and future, are this customer's. Saying it again changes nothing.

    Raises:
        NotFoundError: If there is no such customer.
        ConflictError: If the subject is another customer's.
    """
    check_subject(subject, "subject")
    get_customer(tx, key)
    if customers.claim_subject(tx.connection, tx.workspace.id, subject, key, tx.now) != key:
        raise _taken(subject, "subject")
    return get_customer(tx, key)


def update_customer(
    tx: Transaction,
    key: str,
    *,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    billing: BillingDetails | None = None,
    consolidated: bool | None = None,
) -> Customer:
    """Change a customer's name, metadata, billing details or how it is invoiced; what is left out stays.

    Raises:
        NotFoundError: If there is no such customer.
    """
    before = get_customer(tx, key)
    after = replace(
        before,
        name=before.name if name is None else name,
        metadata=before.metadata if metadata is None else metadata,
        billing=before.billing if billing is None else billing,
        consolidated=before.consolidated if consolidated is None else consolidated,
    )
    customers.update(tx.connection, tx.workspace.id, after)
    return after


def get_customer(tx: Transaction, key: str) -> Customer:
    """One customer by key.

    Raises:
        NotFoundError: If there is none.
    """
    customer = customers.load(tx.connection, tx.workspace.id, key)
    if customer is None:
        raise NotFoundError(f"there is no customer {key[:60]!r}", field="customer")
    return customer


def list_customers(tx: Transaction, *, after: str | None = None, limit: int = 50) -> list[Customer]:
    """Customers in order of key, from after a key on."""
    return customers.load_page(tx.connection, tx.workspace.id, after=after, limit=limit)


def _taken(subject: str, field: str) -> ConflictError:
    return ConflictError(
        f"{subject[:60]!r} already belongs to a customer",
        field=field,
        hint="a subject belongs to one customer; look it up with GET /v1/customers",
    )
