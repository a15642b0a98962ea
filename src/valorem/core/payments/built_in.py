"""The providers that need nobody else: payments noted by hand, and bank transfers matched to invoices."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.errors import UnauthorizedError
from valorem.core.numbers import exact
from valorem.core.payments.payment import Payment, Report
from valorem.core.payments.provider import Charge, Payer, RefundRequest, Webhook


@dataclass(frozen=True, slots=True)
class NotedPayments:
    """Payments that a person notes as received; asking for one only waits for that.

    Attributes:
        name: ``manual`` or ``bank_transfer``.
    """

    name: str = "manual"

    def create_customer(self, payer: Payer) -> str:
        """The customer's own key."""
        return payer.customer

    def charge(self, charge: Charge) -> Report:
        """Nothing is taken; the payment waits for a person's word."""
        return Report(charge.payment, charge.payment, "pending", charge.amount, charge.currency)

    def refund(self, request: RefundRequest) -> Report:
        """Nothing is sent; the refund waits for a person's word."""
        return Report(request.refund, request.refund, "pending", request.amount, request.currency)

    def lookup(self, payment: str, reference: str | None = None) -> Report | None:  # noqa: ARG002
        """There is nobody to ask."""
        return None

    def lookup_refund(self, request: RefundRequest) -> Report | None:  # noqa: ARG002
        """There is nobody to ask."""
        return None

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Webhook:  # noqa: ARG002
        """There is nobody to send one."""
        raise UnauthorizedError(f"{self.name} payments have no webhooks", field="provider")


MANUAL = NotedPayments("manual")
BANK_TRANSFER = NotedPayments("bank_transfer")


def received(payment: Payment, amount: Decimal, currency: str, reference: str) -> Report:
    """What a person notes: so much arrived, under that reference of the bank or the receipt."""
    return Report(payment.id, reference, "succeeded", amount, currency)


def creditor_reference(number: str) -> str:
    """The structured reference (ISO 11649) that a transfer for an invoice carries: ``RF`` with two check digits.

    Letters and digits of the invoice's number, the last 21 of them; the check is ISO 7064 MOD 97-10.
    """
    kept = re.sub(r"[^0-9A-Z]", "", number.upper())[-21:] or "0"
    digits = "".join(str(int(letter, 36)) for letter in f"{kept}RF00")
    return f"RF{98 - int(digits) % 97:02d}{kept}"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One line of a bank statement.

    Attributes:
        id: The bank's id of it.
        amount: What arrived.
        currency: ISO 4217 code.
        text: What the payer wrote.
    """

    id: str
    amount: Decimal
    currency: str
    text: str


@dataclass(frozen=True, slots=True)
class Matched:
    """Bank statement lines put beside waiting payments.

    Attributes:
        reports: For payments whose reference a line carries, whatever its amount: another amount parks the payment.
        unmatched: Lines that name no waiting payment; somebody must look.
    """

    reports: tuple[Report, ...]
    unmatched: tuple[Transfer, ...]


@exact
def match_transfers(waiting: Iterable[tuple[Payment, str]], transfers: Sequence[Transfer]) -> Matched:
    """Match transfers to waiting payments by the reference of their invoice.

    Args:
        waiting: Payments with the number of their invoice.
        transfers: Lines of a bank statement; a line that is given again reports the same again.
    """
    by_reference = {creditor_reference(number): payment for payment, number in waiting}
    reports: list[Report] = []
    unmatched: list[Transfer] = []
    for transfer in transfers:
        text = re.sub(r"[\s\-/.]", "", transfer.text.upper())
        named = [by_reference[each] for each in _references(text, by_reference)]
        if len(named) == 1:
            reports.append(received(named[0], transfer.amount, transfer.currency, transfer.id))
        else:
            unmatched.append(transfer)
    return Matched(tuple(reports), tuple(unmatched))


def _references(text: str, known: Mapping[str, Payment]) -> set[str]:
    return {reference for reference in known if reference in text}
