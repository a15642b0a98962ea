"""Refunds: which payments a credit note's money goes back by."""

from decimal import Decimal

from valorem.core.errors import UnprocessableError
from valorem.core.ids import part_of
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.payments.payment import Payment, refundable
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.store.postgres import payments
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.payments import PaymentRow

_MOST = 1000


@exact
def going_back(tx: Transaction, invoice: str) -> Decimal:
    """What is on its way back on an invoice: asked for by notes, and not arrived yet."""
    rows = payments.load_page(tx.connection, tx.workspace.id, invoice=invoice, limit=_MOST)
    return sum(
        (
            row.payment.amount
            for row in rows
            if row.payment.refunds is not None and row.payment.state not in ("failed", "succeeded")
        ),
        ZERO,
    )


@exact
def ask_back(tx: Transaction, header: InvoiceHeader, note: str, amount: Decimal) -> list[Payment]:
    """Make refunds for an amount, of the newest payments first; the worker has them sent, a person notes those by hand.

    Raises:
        UnprocessableError: If less than that was paid.
    """
    rows = payments.load_page(tx.connection, tx.workspace.id, invoice=header.id, limit=_MOST)
    refunds = [row.payment for row in rows if row.payment.refunds is not None]
    made: list[Payment] = []
    left = amount
    for row in reversed(rows):
        paid = row.payment
        part = min(left, refundable(paid, refunds)) if paid.refunds is None else ZERO
        if part <= 0:
            continue
        refund = Payment(
            id=new_id("pay", part_of(tx.workspace.id, header.customer), tx.now),
            invoice=header.id,
            provider=paid.provider,
            amount=part,
            currency=paid.currency,
            refunds=paid.id,
        )
        payments.insert(
            tx.connection,
            tx.workspace.id,
            PaymentRow(refund, header.customer, note, None, None, False, tx.now),
        )
        made.append(refund)
        left -= part
    if left:
        raise UnprocessableError(
            f"{plain(left)} more than was paid cannot go back",
            field="refund",
            hint="refund at most what was paid",
        )
    return made
