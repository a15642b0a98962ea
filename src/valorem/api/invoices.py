"""``/v1/invoices``: the next one before its time, the ones there are, and the proof of each."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.standings import (
    InvoiceHeaderAnswer,
    SettlementAnswer,
    StatusFilter,
    header_answer,
    header_values,
    settlement_answer,
)
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant, Page, written
from valorem.core.billing.canonical import write_invoice, write_line
from valorem.core.billing.projection import Preview
from valorem.core.metering.event import Event
from valorem.engine import closing, corrected, invoices
from valorem.engine.engine import Transaction
from valorem.engine.invoices import Explanation, StoredInvoice
from valorem.engine.settling import list_standings, standings

router = APIRouter(prefix="/v1/invoices", tags=["invoices"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("invoices:write"))]
Invoice = Annotated[str, Path(max_length=64, description="the invoice's id (`inv_…`) or its number")]
ContractQuery = Annotated[str, Query(max_length=64, description="the contract's id")]


class IntervalAnswer(Answer):
    """From ``start`` (in it) to ``end`` (not in it)."""

    start: Instant
    end: Instant


class StepAnswer(Answer):
    """One step of a line's arithmetic: what is done, in words, and the value after it."""

    label: str
    text: str
    value: ExactOut


class SelectorAnswer(Answer):
    """Which events stand behind a line."""

    meter: str
    fingerprint: str
    interval: IntervalAnswer
    dimensions: dict[str, str | None]


class LineAnswer(Answer):
    """One line: its amount, rounded once, and the arithmetic that leads to it.

    Attributes:
        customer: Whose usage it is, where an account under the customer is counted apart.
        contract: Whose line it is, on an invoice for several contracts.
        tax_code: How it is taxed, where neither its fee or meter nor its plan says so.
    """

    kind: str
    key: str
    charge: str
    timing: str
    description: str
    period_index: int
    period: IntervalAnswer
    quantity: ExactOut | None
    unit_amount: ExactOut | None
    exact_amount: ExactOut
    amount: ExactOut
    dimensions: dict[str, str | None]
    steps: list[StepAnswer]
    pipeline: list[str]
    selectors: list[SelectorAnswer]
    customer: str | None = None
    contract: str | None = None
    tax_code: str | None = None


class UnpricedAnswer(Answer):
    """Usage that no row of a price is for; it is billed at nothing, so look at it."""

    meter: str
    dimensions: dict[str, str | None]
    quantity: ExactOut
    events: int


class InvoiceDocument(Answer):
    """What an invoice says."""

    contract: str
    customer: str
    plan: str
    catalog_version: int
    currency: str
    kind: str
    boundary_index: int
    issued_at: Instant
    closed: IntervalAnswer | None
    ahead: IntervalAnswer | None
    lines: list[LineAnswer]
    total: ExactOut
    unpriced: list[UnpricedAnswer]
    purchase_order: str | None


class InvoiceAnswer(InvoiceHeaderAnswer):
    """An invoice. ``digest`` is the SHA-256 of its canonical bytes, null for a draft, whose document is of this instant.

    Attributes:
        document: Its lines.
        settlement: Its taxes and what is due; null for a draft.
        issued_on: The local day of issue; null for a draft.
        waits: Why a draft is not final although its grace is over; null where nothing stands in its way.
    """

    document: InvoiceDocument
    settlement: SettlementAnswer | None
    issued_on: date | None
    digest: str | None
    waits: str | None


class ThresholdAnswer(Answer):
    """The spend threshold that is passed next.

    Attributes:
        amount: The spend at which the usage so far is billed.
        spent: That spend by now.
    """

    amount: ExactOut
    spent: ExactOut


class PreviewAnswer(Answer):
    """The running period's invoice so far, and projected to the period's end.

    Attributes:
        at: The instant looked at.
        period: The running period.
        so_far: The invoice if nothing more were used.
        projected: The invoice if use goes on at the rate of the period so far.
        low: The lower of the projected totals at the period's rate and at that of the last days.
        high: The higher of the two.
        elapsed_quarter_hours: How much of the period the rate was taken from.
        total_quarter_hours: The whole period.
        threshold: The spend threshold that is passed next; null where the terms have none.
    """

    at: Instant
    period: IntervalAnswer
    so_far: InvoiceDocument
    projected: InvoiceDocument
    low: ExactOut | None
    high: ExactOut | None
    elapsed_quarter_hours: int
    total_quarter_hours: int
    threshold: ThresholdAnswer | None


class EventName(Answer):
    """What an event is known by."""

    source: str
    id: str


class EventBehind(Answer):
    """One event behind a line, as it counts: amended if it was. ``value`` is what the meter read from it."""

    source: str
    id: str
    type: str
    subject: str
    time: Instant
    value: ExactOut
    data: dict[str, Any]


class CorrectedEvent(Answer):
    """One event of the line that was voided or amended.

    Attributes:
        time: As it was sent with.
        state: What became of it.
        value_sent: What the meter read from it as sent.
        value_counted: What it counts for in this line as it stands; 0 where it was voided, or moved elsewhere.
        by: Source and id of the correction that holds.
        corrected_at: That correction's time.
        reason: Why, as the correction says.
        settled: Whether the invoice reckons with it; where it came after the invoice was final, a later one does.
    """

    source: str
    id: str
    time: Instant
    state: Literal["voided", "amended"]
    value_sent: ExactOut
    value_counted: ExactOut
    by: EventName
    corrected_at: Instant
    reason: str
    settled: bool


class ExplanationAnswer(Answer):
    """A line, its arithmetic as text, a page of the events behind it, and those that were corrected."""

    line: LineAnswer
    text: list[str]
    events: list[EventBehind]
    next: str | None
    corrected: list[CorrectedEvent]


class VerificationAnswer(Answer):
    """Whether the invoice, computed again from the recorded events up to its cut-off, gives the same bytes."""

    same: bool
    digest: str
    recomputed_digest: str


class CloseAnswer(Answer):
    """What a closing run did.

    Attributes:
        waiting: Due drafts that must wait: their meters are still being recounted.
        progressive: Invoices that passed spend thresholds made due.
    """

    drafted: int
    finalised: int
    empty: int
    waiting: int
    progressive: int


@router.get("")
def list_invoices(
    caller: Reader,
    customer: Annotated[str | None, Query(max_length=255)] = None,
    contract: Annotated[str | None, Query(max_length=64)] = None,
    status: Annotated[
        StatusFilter | None, Query(description="as of now; `issued` is every final invoice that is not void")
    ] = None,
    newest_first: Annotated[bool, Query(description="the newest first instead of the oldest")] = False,  # noqa: FBT002
    after: After = None,
    limit: Limit = 50,
) -> Page[InvoiceHeaderAnswer]:
    """Invoices in the order they were issued."""
    with caller.reading() as tx:
        found = list_standings(
            tx,
            customer=customer,
            contract=contract,
            status=status,
            newest_first=newest_first,
            after=read_cursor(after),
            limit=limit + 1,
        )
    items = [header_answer(standing) for standing in found[:limit]]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > limit else None)


@router.get("/preview")
def preview_invoice(
    caller: Reader, contract: ContractQuery, at: Annotated[Instant | None, Query()] = None
) -> PreviewAnswer:
    """A contract's next invoice: so far, and where it is going. It already holds every acknowledged event."""
    with caller.reading() as tx:
        return _preview(invoices.preview_invoice(tx, contract, at=at))


@router.post("/close", status_code=200, response_model=CloseAnswer)
def close_invoices(caller: Writer) -> Response:
    """Close what is due now: draft every reached boundary, finalise every draft whose grace has ended.

    The worker does the same by itself. It may be called twice, or in parallel: each boundary gives one invoice.
    """
    return caller.once_around(
        lambda: CloseAnswer.model_validate(closing.close_due(caller.engine, caller.workspace.id)), status=200
    )


@router.get("/{invoice}")
def get_invoice(invoice: Invoice, caller: Reader) -> InvoiceAnswer:
    """One invoice with its lines; a draft is computed this instant."""
    with caller.reading() as tx:
        return _stored(tx, invoices.get_invoice(tx, invoice))


@router.get("/{invoice}/explain")
def explain_line(
    invoice: Invoice,
    caller: Reader,
    line: Annotated[int, Query(ge=1, le=1_000_000, description="the line's number, counted from 1")],
    after: After = None,
    limit: Limit = 50,
) -> ExplanationAnswer:
    """One line, from its amount through its steps to the very events."""
    with caller.reading() as tx:
        return _explanation(invoices.explain_line(tx, invoice, line, after=read_cursor(after), limit=limit))


@router.get("/{invoice}/verify")
def verify_invoice(invoice: Invoice, caller: Reader) -> VerificationAnswer:
    """Compute a finalised invoice again from the recorded events and compare the bytes."""
    with caller.reading() as tx:
        return VerificationAnswer.model_validate(invoices.verify_invoice(tx, invoice))


def _stored(tx: Transaction, stored: StoredInvoice) -> InvoiceAnswer:
    return InvoiceAnswer.model_validate(
        {
            **header_values(standings(tx, [stored.header])[0]),
            "document": write_invoice(stored.invoice),
            "settlement": settlement_answer(stored.settled),
            "issued_on": stored.settled.issued_on if stored.settled is not None else None,
            "digest": stored.digest,
            "waits": stored.waits,
        }
    )


def _preview(found: Preview) -> PreviewAnswer:
    return PreviewAnswer(
        at=found.at,
        period=IntervalAnswer.model_validate(found.period),
        so_far=InvoiceDocument.model_validate(write_invoice(found.so_far)),
        projected=InvoiceDocument.model_validate(write_invoice(found.projected)),
        low=found.low,
        high=found.high,
        elapsed_quarter_hours=found.elapsed_quarter_hours,
        total_quarter_hours=found.total_quarter_hours,
        threshold=None if found.threshold is None else ThresholdAnswer.model_validate(found.threshold),
    )


def _explanation(found: Explanation) -> ExplanationAnswer:
    return ExplanationAnswer(
        line=LineAnswer.model_validate(write_line(found.line)),
        text=list(found.text),
        events=[_event(each.event, each.value) for each in found.events.items] if found.events else [],
        next=cursor_of(found.events.next) if found.events and found.events.next else None,
        corrected=[_corrected(each) for each in found.corrected],
    )


def _corrected(each: corrected.CorrectedEvent) -> CorrectedEvent:
    assert each.sent.time is not None  # recorded events have their times
    assert each.by.time is not None
    return CorrectedEvent(
        source=each.sent.source,
        id=each.sent.id,
        time=each.sent.time,
        state=each.state,
        value_sent=each.value_sent,
        value_counted=each.value_counted,
        by=EventName(source=each.by.source, id=each.by.id),
        corrected_at=each.by.time,
        reason=each.reason,
        settled=each.settled,
    )


def _event(event: Event, value: Decimal) -> EventBehind:
    assert event.time is not None  # a recorded event has its time
    return EventBehind(
        source=event.source,
        id=event.id,
        type=event.type,
        subject=event.subject,
        time=event.time,
        value=value,
        data=written(event.data),
    )
