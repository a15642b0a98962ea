"""Paying an invoice: by the payment method that is known, or by transfer with its reference."""

from dataclasses import dataclass

from valorem.core.billing.parties import Bank
from valorem.core.errors import UnprocessableError
from valorem.core.payments.built_in import creditor_reference
from valorem.core.payments.payment import Payment
from valorem.engine.engine import Transaction
from valorem.engine.invoices import StoredInvoice
from valorem.engine.payments import ask_payer, list_payments, payer_of
from valorem.engine.settings import get_billing_settings
from valorem.web.portal.site import Guest

_LOOKED_AT = 5
_UNDER_WAY = ("created", "pending", "unknown", "parked")


@dataclass(frozen=True, slots=True)
class Paying:
    """How an invoice that is owed can be paid.

    Attributes:
        provider: Who would take the amount by the payment method it knows; None where nobody does.
        bank: Where a transfer goes.
        reference: What the transfer carries.
        under_way: A payment that was asked for and is not decided.
        failed: The last one, where it failed.
    """

    provider: str | None
    bank: Bank | None
    reference: str
    under_way: Payment | None
    failed: Payment | None


def paying(tx: Transaction, guest: Guest, stored: StoredInvoice) -> Paying:
    """How this invoice can be paid, and what was tried."""
    tried = [
        row.payment
        for row in list_payments(tx, invoice=stored.header.id, newest_first=True, limit=_LOOKED_AT)
        if row.payment.refunds is None
    ]
    under_way = next((each for each in tried if each.state in _UNDER_WAY), None)
    failed = tried[0] if tried and tried[0].state == "failed" else None
    allowed = "payments" in guest.settings.allows and not guest.watching
    return Paying(
        provider=payer_of(tx, guest.key) if allowed else None,
        bank=get_billing_settings(tx).bank,
        reference=creditor_reference(stored.header.number or ""),
        under_way=under_way,
        failed=failed,
    )


def pay(tx: Transaction, guest: Guest, stored: StoredInvoice) -> None:
    """Let the provider that knows the customer take what is owed.

    Raises:
        ConflictError: If a payment of it is under way.
        UnprocessableError: Where nobody knows the customer, or nothing is owed.
    """
    asked = ask_payer(tx, stored.header)
    if asked is None:
        raise UnprocessableError("no payment method is known", hint="pay by transfer, with the reference")
    guest.note(tx, "invoice.pay", stored.header.number or "", payment=asked.payment.id)
