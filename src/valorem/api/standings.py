"""What invoices, notes, balances and payments look like in answers."""

from datetime import date
from typing import Any, Literal

from valorem.api.wire import Answer, ExactOut, Instant
from valorem.core.billing.sealing import SealedInvoice, write_settlement
from valorem.core.numbers import ZERO
from valorem.engine.credit_notes import StoredNote, write_note
from valorem.engine.settling import Standing
from valorem.store.postgres.payments import PaymentRow

InvoiceStatus = Literal["draft", "finalised", "partially_paid", "paid", "overdue", "uncollectible", "void"]


#: A status, or every final invoice that is not void.
StatusFilter = InvoiceStatus | Literal["issued"]


class InvoiceHeaderAnswer(Answer):
    """Where an invoice is in its life. ``number`` and ``total`` are null for a draft.

    Attributes:
        contract: Empty for one that is written by hand.
        total: With tax.
        owed: What is left to pay.
        held: Of that, what open disputes hold back: it is not due while they are open.
        from_balance: What the customer's balance paid.
        credited: What its credit notes come to.
        reason: Why it is void or written off; of a draft, which source it waits for.
        replaces: The number of the void invoice that it is issued again for.
    """

    id: str
    contract: str
    customer: str
    index: int
    kind: str
    status: InvoiceStatus
    number: str | None
    currency: str
    period_start: Instant
    period_end: Instant
    issued_at: Instant
    finalise_at: Instant
    total: ExactOut | None
    owed: ExactOut | None
    held: ExactOut
    paid: ExactOut
    from_balance: ExactOut
    credited: ExactOut
    due_on: date | None
    finalised_at: Instant | None
    reason: str | None
    replaces: str | None


def header_values(standing: Standing) -> dict[str, Any]:
    """The members of an :class:`InvoiceHeaderAnswer`."""
    header, life = standing.header, standing.life
    return {
        "id": header.id,
        "contract": header.contract,
        "customer": header.customer,
        "index": header.index,
        "kind": header.kind,
        "status": standing.status,
        "number": header.number,
        "currency": header.currency,
        "period_start": header.period_start,
        "period_end": header.period_end,
        "issued_at": header.issued_at,
        "finalise_at": header.finalise_at,
        "total": header.total,
        "owed": None if header.total is None else max(ZERO, life.owed),
        "held": life.held,
        "paid": life.paid,
        "from_balance": life.from_balance,
        "credited": life.credited,
        "due_on": life.due,
        "finalised_at": life.finalised_at,
        "reason": life.reason or ("waits: " + "; ".join(standing.waits_for) if standing.waits_for else None),
        "replaces": life.replaces,
    }


def header_answer(standing: Standing) -> InvoiceHeaderAnswer:
    """An invoice in a list."""
    return InvoiceHeaderAnswer.model_validate(header_values(standing))


class TaxTotalAnswer(Answer):
    """One tax over the whole invoice. ``share`` is of ``base``: 0.19 for 19 %."""

    tax: str
    name: str
    share: ExactOut
    category: str
    reason: str | None
    base: ExactOut
    amount: ExactOut


class SettledLineAnswer(Answer):
    """A line without tax, and its taxes by their place in ``taxes``."""

    net: ExactOut
    prepaid: ExactOut
    taxes: dict[str, ExactOut]


class SettlementAnswer(Answer):
    """What an invoice comes to. ``total`` is with tax, ``due`` what was left to pay when it was issued."""

    subtotal: ExactOut
    net: ExactOut
    tax: ExactOut
    total: ExactOut
    prepaid_after: ExactOut
    balance_used: ExactOut
    to_balance: ExactOut
    due: ExactOut
    taxes: list[TaxTotalAnswer]
    lines: list[SettledLineAnswer]


def settlement_answer(sealed: SealedInvoice | None) -> SettlementAnswer | None:
    """The settlement of a final invoice."""
    return None if sealed is None else SettlementAnswer.model_validate(write_settlement(sealed.settlement))


class NoteLineAnswer(Answer):
    """What a note takes back of one line: without tax, and its taxes by their place in ``rates``."""

    line: str
    amount: ExactOut
    discount: ExactOut
    taxes: dict[str, ExactOut]


class RateAnswer(Answer):
    """One tax."""

    tax: str
    name: str
    share: ExactOut
    category: str
    reason: str | None


class NoteDraftAnswer(Answer):
    """A credit note that would be issued. ``offset`` lessens what is owed, ``refund`` goes back as money."""

    invoice: str
    currency: str
    reason: str
    rates: list[RateAnswer]
    lines: list[NoteLineAnswer]
    net: ExactOut
    tax: ExactOut
    total: ExactOut
    offset: ExactOut
    refund: ExactOut
    to_balance: ExactOut


class NoteAnswer(NoteDraftAnswer):
    """A credit note. ``invoice`` is the number of the invoice it takes back, ``digest`` the SHA-256 of its bytes."""

    id: str
    number: str
    customer: str
    issued_at: Instant
    digest: str


def note_answer(stored: StoredNote) -> NoteAnswer:
    """A credit note."""
    row = stored.row
    return NoteAnswer.model_validate(
        {
            **write_note(stored.note),
            "id": row.id,
            "number": row.number,
            "customer": row.customer,
            "issued_at": row.issued_at,
            "digest": row.digest.hex(),
        }
    )


class ReportAnswer(Answer):
    """Something that was said about a payment."""

    reference: str
    outcome: str
    amount: ExactOut
    currency: str
    reason: str | None


class PaymentAnswer(Answer):
    """A payment or refund.

    Attributes:
        invoice: The invoice's id.
        state: ``unknown`` where an answer was lost, until the provider is asked; ``parked`` where a person must look.
        refunds: The payment that this gives back.
        note: The credit note that asks for it back.
        counted: Whether the invoice counts it.
        problem: Why nothing more is tried.
        reports: Everything that was said about it.
    """

    id: str
    invoice: str
    customer: str
    provider: str
    amount: ExactOut
    currency: str
    state: str
    refunds: str | None
    note: str | None
    counted: bool
    problem: str | None
    created_at: Instant
    reports: list[ReportAnswer]


def payment_answer(row: PaymentRow) -> PaymentAnswer:
    """A payment or refund."""
    payment = row.payment
    reports = sorted(payment.reports, key=lambda each: (each.reference, each.outcome, each.amount))
    return PaymentAnswer(
        id=payment.id,
        invoice=payment.invoice,
        customer=row.customer,
        provider=payment.provider,
        amount=payment.amount,
        currency=payment.currency,
        state=payment.state,
        refunds=payment.refunds,
        note=row.note,
        counted=row.counted,
        problem=row.problem,
        created_at=row.created_at,
        reports=[ReportAnswer.model_validate(each) for each in reports],
    )
