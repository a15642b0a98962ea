"""What the server answers about settling: credit notes, payments, balances."""

from datetime import datetime
from decimal import Decimal

from valorem.client.values import Value


class Rate(Value, frozen=True):
    """One tax."""

    tax: str
    name: str
    share: Decimal
    category: str
    reason: str | None


class NoteLine(Value, frozen=True):
    """What a note takes back of one line: without tax, and its taxes by their place in ``rates``."""

    line: str
    amount: Decimal
    discount: Decimal
    taxes: dict[str, Decimal]


class NoteDraft(Value, frozen=True):
    """A credit note that would be issued; ``offset`` lessens what is owed, ``refund`` goes back as money."""

    invoice: str
    currency: str
    reason: str
    rates: list[Rate]
    lines: list[NoteLine]
    net: Decimal
    tax: Decimal
    total: Decimal
    offset: Decimal
    refund: Decimal
    to_balance: Decimal


class CreditNote(NoteDraft, frozen=True):
    """A credit note; ``digest`` is the SHA-256 of its bytes."""

    id: str
    number: str
    customer: str
    issued_at: datetime
    digest: str


class Report(Value, frozen=True):
    """Something that was said about a payment."""

    reference: str
    outcome: str
    amount: Decimal
    currency: str
    reason: str | None


class Payment(Value, frozen=True):
    """A payment or refund; ``parked`` and ``problem`` want a person."""

    id: str
    invoice: str
    customer: str
    provider: str
    amount: Decimal
    currency: str
    state: str
    refunds: str | None
    note: str | None
    counted: bool
    problem: str | None
    created_at: datetime
    reports: list[Report]


class Payer(Value, frozen=True):
    """A customer as a provider knows it."""

    customer: str
    provider: str
    reference: str
    method: str | None


class Taken(Value, frozen=True):
    """The payment that a provider's message was about."""

    payment: str | None


class BalanceEntry(Value, frozen=True):
    """One movement of a balance."""

    id: str
    at: datetime
    kind: str
    credit: str
    amount: Decimal
    reference: str


class Balance(Value, frozen=True):
    """What is owed to a customer in one currency, and why."""

    currency: str
    amount: Decimal
    entries: list[BalanceEntry]


class Balances(Value, frozen=True):
    """What is owed to a customer."""

    customer: str
    balances: list[Balance]
