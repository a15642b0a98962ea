"""``/v1/invoices/…``: what happens to an invoice after it is final, and those that are written by hand."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.standings import (
    InvoiceHeaderAnswer,
    NoteAnswer,
    NoteDraftAnswer,
    PaymentAnswer,
    header_answer,
    note_answer,
    payment_answer,
)
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Body, Exact, Instant, Name, Text
from valorem.core.billing.parties import TermsOfPayment
from valorem.engine import credit_notes, customer_balances, one_off, payments, settling
from valorem.engine.credit_notes import NoteRequest, write_note
from valorem.engine.engine import Transaction
from valorem.engine.invoices import get_invoice
from valorem.engine.one_off import WrittenInvoice, WrittenLine
from valorem.engine.payments import Received
from valorem.engine.printing import printed_invoice

router = APIRouter(prefix="/v1/invoices", tags=["invoices"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("invoices:write"))]
Invoice = Annotated[str, Path(max_length=64, description="the invoice's id (`inv_…`) or its number")]
Locale = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z]{2,3}([_-][A-Za-z]{2,4}){0,2}$",
        description="such as `de_DE`; the customer's where left out",
    ),
]
Reason = Annotated[Text, Field(min_length=1, max_length=500)]
PDF = "application/pdf"


class LineBody(Body):
    """One line. ``tax_code`` is the ``product`` of the rows in ``taxes/``."""

    description: Reason
    unit_amount: Exact
    quantity: Exact = Field(default="1", validate_default=True)
    tax_code: Name | None = None


class InvoiceBody(Body):
    """An invoice that no contract gives; final at once.

    Attributes:
        lines: At least one.
        terms: By when it must be paid; the workspace's where left out.
        amounts: Whether its amounts are without tax, or with it.
        start: The first instant it is for.
        end: The first instant it is not for.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "acme",
                    "lines": [{"description": "Workshop", "unit_amount": "950", "quantity": "2"}],
                }
            ]
        }
    )

    customer: Name
    lines: Annotated[list[LineBody], Field(min_length=1, max_length=500)]
    terms: TermsOfPayment | None = None
    amounts: Literal["exclusive", "inclusive"] = "exclusive"
    purchase_order: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    start: Instant | None = None
    end: Instant | None = None


class ReceivedBody(Body):
    """Money that has arrived: all that is owed where no amount is given. A reference is noted once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"amount": "119.00", "provider": "bank_transfer", "reference": "2026-03-05/17"}]
        }
    )

    amount: Exact | None = None
    provider: Literal["manual", "bank_transfer"] = "manual"
    reference: Name | None = None


class ChargeBody(Body):
    """Which payment provider is to take what is owed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"provider": "stripe"}]})

    provider: Name


class ReasonBody(Body):
    """Why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "wrong address"}]})

    reason: Reason


class VoidBody(ReasonBody):
    """Why, and what becomes of what it billed.

    Attributes:
        then: ``reissue`` makes a new draft in the same step, final at the next closing; ``forgive`` gives it up: no
            later invoice bills it. An invoice written by hand is written again by hand.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "wrong address", "then": "reissue"}]}
    )

    then: Literal["reissue", "forgive"] = "reissue"


class NoteBody(Body):
    """What to take back.

    Attributes:
        reason: Printed.
        lines: The amount by the line's number, without tax; all that is left of the invoice where left out.
        refund: How much goes back as money; where left out it first lessens what is owed, then goes to the balance.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "outage", "lines": {"1": "50"}}]})

    reason: Reason
    lines: Annotated[dict[Name, Exact], Field(max_length=1000)] | None = None
    refund: Exact | None = None

    @property
    def asked(self) -> NoteRequest:
        """As the engine takes it."""
        return NoteRequest(self.reason, self.lines, self.refund)


@router.post("", status_code=201, response_model=InvoiceHeaderAnswer)
def write_invoice(body: InvoiceBody, caller: Writer) -> Response:
    """Write an invoice by hand: taxed, numbered and final at once."""
    new = WrittenInvoice(
        customer=body.customer,
        lines=[
            WrittenLine(line.description, line.unit_amount, line.quantity, line.tax_code)
            for line in body.lines
        ],
        terms=None if body.terms is None else body.terms.terms,
        amounts=body.amounts,
        purchase_order=body.purchase_order,
        start=body.start,
        end=body.end,
    )
    one_off.ask_taxes(caller.engine, caller.workspace.id, new)
    return caller.once(lambda tx: header_answer(settling.standings(tx, [one_off.write_invoice(tx, new)])[0]))


@router.post("/{invoice}/pay", status_code=201, response_model=PaymentAnswer)
def pay_invoice(invoice: Invoice, body: ReceivedBody, caller: Writer) -> Response:
    """Note that money has arrived; what is more than owed goes to the customer's balance."""
    money = Received(body.amount, body.provider, body.reference)
    return caller.once(lambda tx: payment_answer(payments.record_payment(tx, invoice, money)))


@router.post("/{invoice}/pay_from_balance", status_code=200, response_model=InvoiceHeaderAnswer)
def pay_from_balance(invoice: Invoice, caller: Writer) -> Response:
    """Let the customer's balance pay what it can."""
    return caller.once(lambda tx: header_answer(customer_balances.pay_from_balance(tx, invoice)), status=200)


@router.post("/{invoice}/charge", status_code=201, response_model=PaymentAnswer)
def charge_invoice(invoice: Invoice, body: ChargeBody, caller: Writer) -> Response:
    """Let a payment provider take what is owed; the worker asks it. One attempt at a time, money taken once."""

    def effect(tx: Transaction) -> PaymentAnswer:
        owed = get_invoice(tx, invoice)
        provider = payments.provider_named(caller.engine.payments, body.provider)
        return payment_answer(payments.ask_for_payment(tx, owed.header.id, provider))

    return caller.once(effect)


@router.post("/{invoice}/void", status_code=200, response_model=InvoiceHeaderAnswer)
def void_invoice(invoice: Invoice, body: VoidBody, caller: Writer) -> Response:
    """Take an invoice back as if never issued; its number stays taken, and what it billed is billed anew or given up."""
    return caller.once(
        lambda tx: header_answer(settling.take_back(tx, invoice, reason=body.reason, then=body.then)),
        status=200,
    )


@router.post("/{invoice}/reissue", status_code=201, response_model=InvoiceHeaderAnswer)
def reissue_invoice(invoice: Invoice, caller: Writer) -> Response:
    """A new draft in place of a void invoice, final at the next closing."""
    return caller.once(lambda tx: header_answer(settling.standings(tx, [settling.reissue(tx, invoice)])[0]))


@router.post("/{invoice}/write_off", status_code=200, response_model=InvoiceHeaderAnswer)
def write_off_invoice(invoice: Invoice, body: ReasonBody, caller: Writer) -> Response:
    """Give up what is owed; should money come after all, it still counts."""
    return caller.once(
        lambda tx: header_answer(settling.write_off(tx, invoice, reason=body.reason)), status=200
    )


@router.post("/{invoice}/credit_notes", status_code=201, response_model=NoteAnswer)
def issue_credit_note(invoice: Invoice, body: NoteBody, caller: Writer) -> Response:
    """Take back all of an invoice, some of its lines, or part of them; never more than is left."""
    return caller.once(lambda tx: note_answer(credit_notes.issue_credit_note(tx, invoice, body.asked)))


@router.post("/{invoice}/credit_notes/preview", status_code=200)
def preview_credit_note(invoice: Invoice, body: NoteBody, caller: Writer) -> NoteDraftAnswer:
    """The credit note that would be issued; writes nothing."""
    with caller.reading() as tx:
        note = credit_notes.preview_credit_note(tx, invoice, body.asked)
        return NoteDraftAnswer.model_validate(write_note(note))


@router.get("/{invoice}/pdf", response_class=Response, responses={200: {"content": {PDF: {}}}})
def print_invoice(invoice: Invoice, caller: Reader, locale: Locale = None) -> Response:
    """A final invoice as a PDF/A-3, in ten languages."""
    from valorem.documents.pdf import render_pdf  # noqa: PLC0415 - loads fonts, asked for only where it is used

    with caller.reading() as tx:
        document, spoken = printed_invoice(tx, invoice)
    language = (locale or spoken).replace("-", "_")
    return _file(render_pdf(document, language), document.number)


@router.get("/{invoice}/facturx", response_class=Response, responses={200: {"content": {PDF: {}}}})
def einvoice(invoice: Invoice, caller: Reader, locale: Locale = None) -> Response:
    """A final invoice as Factur-X: the PDF with the EN 16931 invoice inside."""
    from valorem.documents.einvoice import facturx_pdf  # noqa: PLC0415 - as above
    from valorem.documents.pdf import render_pdf  # noqa: PLC0415 - as above

    with caller.reading() as tx:
        document, spoken = printed_invoice(tx, invoice)
    language = (locale or spoken).replace("-", "_")
    return _file(facturx_pdf(render_pdf(document, language), document, language), document.number)


def _file(content: bytes, number: str) -> Response:
    return Response(
        content, media_type=PDF, headers={"content-disposition": f'inline; filename="{number}.pdf"'}
    )
