"""Attaching a subject to a customer: its use, past and future, counts for the customer's alerts from then on."""

from valorem.core.contracts.customer import Customer
from valorem.engine import customers
from valorem.engine.alerts import arm
from valorem.engine.engine import Transaction
from valorem.engine.meters import let_ingest_look_again
from valorem.store.postgres import counters, late_usage


def attach_alias(tx: Transaction, key: str, subject: str) -> Customer:
    """Say that a subject's events are this customer's, and tell what it has crossed by that.

    Raises:
        NotFoundError: If there is no such customer.
        ConflictError: If the subject is another customer's.
    """
    customer = customers.add_alias(tx, key, subject)
    # Where the customer's billed periods take no more use, they take none of the alias either.
    let_ingest_look_again(tx)
    earliest = counters.earliest(tx.connection, tx.workspace.id, subject)
    if earliest is not None:  # what it used in billed periods, however long ago, is late usage now
        late_usage.note(tx.connection, tx.workspace.id, tx.now, {subject: earliest})
    arm(tx, key)
    return customer
