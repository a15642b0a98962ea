"""``/v1/payments``: money on its way, and what providers say about it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.standings import PaymentAnswer, payment_answer
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Name, Page, Text
from valorem.engine import payments
from valorem.engine.engine import Transaction
from valorem.engine.workspaces import get_workspace

router = APIRouter(prefix="/v1/payments", tags=["payments"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("invoices:write"))]
Id = Annotated[str, Path(max_length=64)]


class OutcomeBody(Body):
    """How a payment or refund by hand ended."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"outcome": "succeeded", "reference": "bank 7"}]}
    )

    outcome: Literal["succeeded", "failed"]
    reference: Name | None = None


class ResolveBody(Body):
    """What was found about a payment that was parked.

    Attributes:
        accept: What arrived counts as it is; else it was given back outside.
        reason: What was found.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"accept": True, "reason": "they paid the fee of the bank as well"}]}
    )

    accept: bool
    reason: Annotated[Text, Field(min_length=1, max_length=400)]


class PayerBody(Body):
    """Under which id, and by which payment method, a provider knows a customer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"customer": "acme", "provider": "stripe", "reference": "cus_1", "method": "pm_1"}]
        }
    )

    customer: Name
    provider: Name
    reference: Name
    method: Name | None = None


class PayerAnswer(Answer):
    """A customer as a provider knows it."""

    customer: str
    provider: str
    reference: str
    method: str | None


class TakenAnswer(Answer):
    """The payment that a provider's message was about; null where it was about something else."""

    payment: str | None


@router.get("")
def list_payments(
    caller: Reader,
    invoice: Annotated[str | None, Query(max_length=64)] = None,
    customer: Annotated[str | None, Query(max_length=255)] = None,
    parked: Annotated[bool, Query(description="only those that wait for a person")] = False,  # noqa: FBT002
    after: After = None,
    limit: Limit = 50,
) -> Page[PaymentAnswer]:
    """Payments and refunds in the order they were asked for; of one invoice or customer where given."""
    with caller.reading() as tx:
        found = payments.list_payments(
            tx,
            invoice=invoice,
            customer=customer,
            parked=parked,
            after=read_cursor(after),
            limit=limit + 1,
        )
    items = [payment_answer(row) for row in found[:limit]]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > limit else None)


@router.post("/payers", status_code=201, response_model=PayerAnswer)
def set_payer(body: PayerBody, caller: Writer) -> Response:
    """Say how a provider knows a customer, such as after a card was saved on its page."""
    provider = payments.provider_named(caller.engine.payments, body.provider)

    def effect(tx: Transaction) -> PayerAnswer:
        payments.set_payer(tx, body.customer, provider, body.reference, body.method)
        return PayerAnswer.model_validate(body)

    return caller.once(effect)


@router.get("/{payment}")
def get_payment(payment: Id, caller: Reader) -> PaymentAnswer:
    """One payment or refund, with everything that was said about it."""
    with caller.reading() as tx:
        return payment_answer(payments.get_payment(tx, payment))


@router.post("/{payment}/outcome", status_code=200, response_model=PaymentAnswer)
def note_outcome(payment: Id, body: OutcomeBody, caller: Writer) -> Response:
    """Note how a payment or refund by hand ended."""
    return caller.once(
        lambda tx: payment_answer(payments.note_outcome(tx, payment, body.outcome, body.reference)),
        status=200,
    )


@router.post("/{payment}/resolve", status_code=200, response_model=PaymentAnswer)
def resolve_payment(payment: Id, body: ResolveBody, caller: Writer) -> Response:
    """Say what was found about a payment that was parked because what was paid is not what was asked."""
    return caller.once(
        lambda tx: payment_answer(payments.resolve(tx, payment, accept=body.accept, reason=body.reason)),
        status=200,
    )


@router.post("/webhooks/{workspace}/{provider}", status_code=200, include_in_schema=False)
def take_webhook(
    workspace: Annotated[str, Path(max_length=63)],
    provider: Annotated[str, Path(max_length=40)],
    request: Request,
) -> TakenAnswer:
    """Where a payment provider sends its messages; the signature is the key. Order and repetition do not matter."""
    engine = request.app.state.engine
    found = payments.provider_named(engine.payments, provider)
    body: bytes = request.scope["state"]["body"]
    taken = payments.take_webhook(
        engine, get_workspace(engine, workspace).id, found, body, dict(request.headers)
    )
    return TakenAnswer(payment=taken)
