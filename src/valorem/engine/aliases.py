"""Attaching a subject to a customer: its use, past and future, counts for the customer's alerts from then on."""

from valorem.core.contracts.customer import Customer
from valorem.engine import customers
from valorem.engine.alerts import arm
from valorem.engine.engine import Transaction


def attach_alias(tx: Transaction, key: str, subject: str) -> Customer:
    """Say that a subject's events are this customer's, and tell what it has crossed by that.

    Raises:
        NotFoundError: If there is no such customer.
        ConflictError: If the subject is another customer's.
    """
    customer = customers.add_alias(tx, key, subject)
    arm(tx, key)
    return customer
