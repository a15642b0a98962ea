"""The port that every payment provider fills, and what crosses it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from valorem.core.errors import ValoremError
from valorem.core.payments.payment import Report


class AnswerLostError(ValoremError):
    """The provider was asked and no answer came: what was asked may or may not have happened."""

    code = "answer_lost"
    status = 502


class ProviderRefusedError(ValoremError):
    """The provider understood and will not do it; asking again the same way cannot help."""

    code = "provider_refused"
    status = 422


@dataclass(frozen=True, slots=True)
class Payer:
    """A customer as a provider is told of it.

    Attributes:
        customer: The customer's key; the provider keeps it, so that it can be found again.
        name: For people.
        email: For receipts; ``None`` for none.
    """

    customer: str
    name: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """A request to take money.

    Attributes:
        payment: The payment's id: the idempotency key, and written on the provider's record.
        invoice: The invoice's number, for the statement.
        payer: The provider's id of the customer.
        method: The provider's id of the payment method; ``None`` for the customer's default.
        amount: Above zero.
        currency: ISO 4217 code.
    """

    payment: str
    invoice: str
    payer: str
    method: str | None
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A request to give money back.

    Attributes:
        refund: The refund's id: the idempotency key.
        reference: The provider's id of the payment.
        amount: Above zero.
        currency: ISO 4217 code.
    """

    refund: str
    reference: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Webhook:
    """A message from a provider whose signature was right.

    Attributes:
        id: The provider's id of the message; the same when it is delivered again.
        kind: What happened, in the provider's words.
        report: What it says of a payment or refund; ``None`` where it is about something else.
    """

    id: str
    kind: str
    report: Report | None


class PaymentProvider(Protocol):
    """Whoever moves the money.

    Every call that moves money carries an idempotency key, and a call that is repeated with it changes nothing. Calls raise
    :class:`AnswerLostError` where no answer came and :class:`ProviderRefusedError` where the request is refused; a charge that
    is declined is no error but a report that it failed.
    """

    @property
    def name(self) -> str:
        """What payments of this provider are marked with."""
        ...

    def create_customer(self, payer: Payer) -> str:
        """Make the customer known (or find it again); returns the provider's id."""
        ...

    def charge(self, charge: Charge) -> Report:
        """Take money."""
        ...

    def refund(self, request: RefundRequest) -> Report:
        """Give money back."""
        ...

    def lookup(self, payment: str, reference: str | None = None) -> Report | None:
        """How a payment stands, by the provider's id or else the payment's own; ``None`` where it was never heard of."""
        ...

    def lookup_refund(self, request: RefundRequest) -> Report | None:
        """How a refund stands; ``None`` where the provider has never heard of it."""
        ...

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Webhook:
        """Read a webhook.

        Raises:
            UnauthorizedError: Where the signature is wrong, missing or too old.
        """
        ...
