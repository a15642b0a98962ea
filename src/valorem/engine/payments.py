"""Payments: noted by hand or taken by a provider, counted on their invoice once, whatever is lost on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from valorem.core.billing import life as steps
from valorem.core.billing.life import Life
from valorem.core.contracts.customer import check_text
from valorem.core.errors import ConflictError, InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ids import part_of
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.payments.built_in import received
from valorem.core.payments.payment import Payment, Report, heard
from valorem.core.payments.provider import PaymentProvider
from valorem.engine.credit_notes import give_to_balance
from valorem.engine.credits.fulfilling import invoice_paid
from valorem.engine.customers import get_customer
from valorem.engine.engine import Engine, Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.invoices import find_invoice
from valorem.engine.settling import lock_invoice, tell
from valorem.store.postgres import invoices, lives, payments
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.payments import PaymentRow

BY_HAND = ("manual", "bank_transfer")


@dataclass(frozen=True, slots=True)
class Received:
    """Money that somebody notes as received.

    Attributes:
        amount: All that is owed where ``None``.
        provider: ``manual`` or ``bank_transfer``.
        reference: Of the bank or the receipt; noted once for an invoice.
    """

    amount: Decimal | None = None
    provider: str = "manual"
    reference: str | None = None


def record_payment(tx: Transaction, invoice: str, money: Received) -> PaymentRow:
    """Note that money has arrived; what is more than owed goes to the customer's balance.

    Raises:
        NotFoundError: If there is no such invoice.
        ConflictError: If that reference has been noted on it.
        UnprocessableError: If nothing is owed on it.
    """
    if money.provider not in BY_HAND:
        raise InvalidInputError(
            f"{money.provider[:40]!r} payments are not noted by hand",
            field="provider",
            hint="use manual or bank_transfer",
        )
    header, life = lock_invoice(tx, invoice)
    steps.check_step(life, "pay", tx.now)
    if money.reference is not None and _noted(tx, header.id, money.reference):
        raise ConflictError(
            f"{money.reference[:60]!r} is noted on this invoice already",
            field="reference",
            hint="it counts once; give another payment a reference of its own",
        )
    payment = Payment(
        id=new_id("pay", part_of(tx.workspace.id, header.customer), tx.now),
        invoice=header.id,
        provider=money.provider,
        amount=life.owed if money.amount is None else money.amount,
        currency=header.currency,
    )
    report = received(payment, payment.amount, payment.currency, money.reference or payment.id)
    row = PaymentRow(
        heard(payment, [report]), header.customer, None, None, None, counted=False, created_at=tx.now
    )
    payments.insert(tx.connection, tx.workspace.id, row)
    return _count(tx, header, life, row)


def note_outcome(tx: Transaction, payment: str, outcome: str, reference: str | None) -> PaymentRow:
    """Note how a payment or refund by hand ended, or that a provider's problem was looked at and failed.

    Raises:
        NotFoundError: If there is no such payment.
        UnprocessableError: If a provider decides it.
    """
    row = get_payment(tx, payment)
    if row.payment.provider not in BY_HAND:
        raise UnprocessableError(f"{row.payment.provider} says how this ends", field="payment")
    if outcome not in ("succeeded", "failed"):
        raise InvalidInputError(
            f"{outcome[:40]!r} is no outcome", field="outcome", hint="succeeded or failed"
        )
    asked = row.payment
    report = Report(
        asked.id,
        reference or asked.id,
        "succeeded" if outcome == "succeeded" else "failed",
        asked.amount,
        asked.currency,
    )
    return hear(tx, asked.id, [report])


def resolve(tx: Transaction, payment: str, *, accept: bool, reason: str) -> PaymentRow:
    """Somebody has looked at a payment that was parked: what was really paid counts, or nothing of it does.

    Args:
        tx: The transaction.
        payment: Its id.
        accept: Whether what arrived is taken as it is; else it was given back outside.
        reason: What was found.

    Raises:
        NotFoundError: If there is no such payment.
        UnprocessableError: If it is not parked, or came in another currency.
    """
    check_text(reason, "reason")
    row = get_payment(tx, payment)
    header, _ = lock_invoice(tx, row.payment.invoice)
    if row.payment.state != "parked" or row.problem is not None:
        raise UnprocessableError(
            f"the payment is not parked: {row.problem or row.payment.state}", field="payment"
        )
    if accept:
        arrived = {(each.reference, each.amount): each for each in row.payment.mismatches}
        for each in arrived.values():
            if each.currency != header.currency:
                raise UnprocessableError(
                    f"{plain(each.amount)} {each.currency} arrived for an invoice in {header.currency}",
                    field="accept",
                    hint="give it back, or note by hand what the bank made of it",
                )
            noted = Received(each.amount, "manual", f"{each.reference} (looked at)")
            record_payment(tx, header.id, noted)
    looked_at = replace(row, problem=f"{'accepted' if accept else 'given back'}: {reason}"[:500])
    payments.save(tx.connection, tx.workspace.id, looked_at, tx.now)
    return looked_at


def ask_for_payment(tx: Transaction, invoice: str, provider: PaymentProvider) -> PaymentRow:
    """Let a provider take what is owed; the worker asks it, and however often it asks, money is taken once.

    Raises:
        NotFoundError: If there is no such invoice.
        ConflictError: If a payment of it is under way.
        UnprocessableError: If nothing is owed on it.
    """
    return _asked(tx, invoice, provider.name)


def payer_of(tx: Transaction, customer: str) -> str | None:
    """The provider that knows a customer; None where none does, or several do."""
    names = payments.load_payer_names(tx.connection, tx.workspace.id, customer)
    return names[0] if len(names) == 1 else None


def ask_payer(tx: Transaction, header: InvoiceHeader) -> PaymentRow | None:
    """Let the provider that knows the customer take what is owed; nobody where none does, or several do."""
    provider = payer_of(tx, header.customer)
    return None if provider is None else _asked(tx, header.id, provider)


def _asked(tx: Transaction, invoice: str, provider: str) -> PaymentRow:
    header, life = lock_invoice(tx, invoice)
    steps.check_step(life, "pay", tx.now)
    if not life.payable:
        raise UnprocessableError(
            f"all {plain(life.owed)} owed is disputed",
            field="invoice",
            hint="resolve the dispute first, or note a payment that arrived",
        )
    payment = Payment(
        id=new_id("pay", part_of(tx.workspace.id, header.customer), tx.now),
        invoice=header.id,
        provider=provider,
        amount=life.payable,
        currency=header.currency,
    )
    row = PaymentRow(payment, header.customer, None, None, None, counted=False, created_at=tx.now)
    payments.insert(tx.connection, tx.workspace.id, row)
    return row


def hear(tx: Transaction, payment: str, reports: Sequence[Report]) -> PaymentRow:
    """Take in what was said about a payment or refund; order and repetition do not matter.

    Raises:
        NotFoundError: If there is no such payment.
    """
    before = get_payment(tx, payment)
    header, life = lock_invoice(tx, before.payment.invoice)
    row = payments.load(tx.connection, tx.workspace.id, payment, lock=True)
    assert row is not None  # read a moment ago, and never deleted
    row = replace(row, payment=heard(row.payment, reports))
    if row.payment.state == "parked" and before.payment.state != "parked":
        tell(tx, header, "payment.parked", life, payment=payment)
    if row.payment.state == "failed" and before.payment.state != "failed":
        tell(tx, header, "payment.failed", life, payment=payment, reason=row.payment.failure)
    return _count(tx, header, life, row)


@exact
def _count(tx: Transaction, header: InvoiceHeader, life: Life, row: PaymentRow) -> PaymentRow:
    """Let a decided payment count on its invoice, once; keep what was heard in any case."""
    payment = row.payment
    if payment.state == "succeeded" and not row.counted:
        row = replace(row, counted=True)
        if payment.refunds is not None:
            back = steps.unpay(life, payment.amount, tx.now)
            life = replace(back, offset=back.offset + payment.amount) if row.note is not None else back
            topic = "invoice.refunded"
        elif life.stage == "void":
            give_to_balance(tx, header, f"{payment.id}:balance", payment.amount, payment.id)
            topic = "payment.received"
        else:
            excess = min(payment.amount, max(ZERO, payment.amount - max(ZERO, life.owed)))
            life = replace(life, paid=life.paid + payment.amount)
            if excess:
                give_to_balance(tx, header, f"{payment.id}:balance", excess, payment.id)
            topic = "invoice.paid" if life.owed <= 0 else "payment.received"
        lives.save(tx.connection, tx.workspace.id, header.id, life)
        if topic == "invoice.paid":
            invoice_paid(tx, header)
        tell(tx, header, topic, life, payment=payment.id, amount=plain(payment.amount))
    payments.save(tx.connection, tx.workspace.id, row, tx.now)
    return row


def get_payment(tx: Transaction, payment: str) -> PaymentRow:
    """One payment or refund.

    Raises:
        NotFoundError: If there is none.
    """
    row = payments.load(tx.connection, tx.workspace.id, payment)
    if row is None:
        raise NotFoundError(f"there is no payment {payment[:60]!r}", field="payment")
    return row


def list_payments(
    tx: Transaction,
    *,
    invoice: str | None = None,
    customer: str | None = None,
    parked: bool = False,
    after: str | None = None,
    newest_first: bool = False,
    limit: int = 50,
) -> list[PaymentRow]:
    """Payments and refunds in the order they were asked for, or the newest first; of one invoice or customer where given."""
    if invoice is not None:
        invoice = find_invoice(tx, invoice).id
    return payments.load_page(
        tx.connection,
        tx.workspace.id,
        invoice=invoice,
        customer=customer,
        parked=parked,
        after=after,
        newest_first=newest_first,
        limit=limit,
    )


def set_payer(
    tx: Transaction, customer: str, provider: PaymentProvider, reference: str, method: str | None
) -> None:
    """Say under which id, and by which payment method, a provider knows a customer.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    payments.save_payer(tx.connection, tx.workspace.id, customer, provider.name, reference, method, tx.now)


def provider_named(providers: Mapping[str, PaymentProvider], name: str) -> PaymentProvider:
    """The payment provider of that name.

    Raises:
        UnprocessableError: If it is not set up.
    """
    if name not in providers:
        raise UnprocessableError(
            f"the payment provider {name[:40]!r} is not set up",
            field="provider",
            hint=f"there is {', '.join(sorted(providers)) or 'none'}; set VALOREM_STRIPE_API_KEY for stripe",
        )
    return providers[name]


def take_webhook(
    engine: Engine, workspace: int, provider: PaymentProvider, body: bytes, headers: Mapping[str, str]
) -> str | None:
    """Take in a provider's message; the id of the payment it is about, or None where it is about something else.

    Raises:
        UnauthorizedError: If its signature is not right.
    """
    message = provider.verify_webhook(body, headers, engine.real_now())
    if message.report is None:
        return None
    with engine.transaction(workspace) as tx:
        try:
            hear(tx, message.report.payment, [message.report])
        except (NotFoundError, InvalidInputError):
            return None  # of another workspace that shares the provider's account
    return message.report.payment


def _noted(tx: Transaction, invoice: str, reference: str) -> bool:
    rows = payments.load_page(tx.connection, tx.workspace.id, invoice=invoice, limit=1000)
    return any(report.reference == reference for row in rows for report in row.payment.reports)


def header_of(tx: Transaction, row: PaymentRow) -> InvoiceHeader:
    """The invoice that a payment is for."""
    header = invoices.load(tx.connection, tx.workspace.id, row.payment.invoice)
    assert header is not None  # an invoice with a payment is never deleted
    return header
