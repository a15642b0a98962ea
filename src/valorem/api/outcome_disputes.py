"""``/v1/outcomes/reports`` and ``/disputes``: both sides' lists compared key by key, and what is contested."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller
from valorem.api.outcome_access import (
    OF,
    Contract,
    Customer,
    Definition,
    Id,
    OfBody,
    Reader,
    Vendor,
    check_party,
    signer_of,
)
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Text
from valorem.core.outcomes.agreement import Listed
from valorem.core.outcomes.disputes import Resolution
from valorem.core.outcomes.signing import Party
from valorem.engine import outcome_deals as deals
from valorem.engine import outcome_disputes as disputes
from valorem.engine import outcome_reports as reports
from valorem.store.postgres.outcomes import StoredDispute, StoredReport

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)


class ReportSignatureBody(OfBody):
    """A yes to a report of agreement."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**OF, "person": "Ada Lovelace", "role": "CFO"}]}
    )

    person: Name
    role: Name


class ListedBody(Body):
    """One key on the customer's list: what it is worth there, and when it was seen."""

    key: Name
    value: Exact | None = None
    at: Instant | None = None


class AgreementBody(OfBody):
    """The customer's own list of a cycle; the last cycle that has ended where ``period_index`` is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**OF, "listed": [{"key": "INC0000045"}]}]})

    listed: Annotated[list[ListedBody], Field(max_length=100_000)]
    period_index: Annotated[int, Field(ge=0, le=100_000)] | None = None


class DisputeBody(OfBody):
    """Outcomes that are contested; ``invoice`` is the final invoice that bills them, left out while they are on none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**OF, "keys": ["INC0000045"], "reason": "not_achieved", "invoice": "INV-000001"}]
        }
    )

    keys: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    reason: Name
    text: Text = ""
    invoice: Annotated[str, Field(max_length=64)] | None = None


class AnswerBody(OfBody):
    """An answer to a dispute."""

    model_config = ConfigDict(json_schema_extra={"examples": [OF]})


class ResolutionBody(OfBody):
    """How disputed outcomes are resolved: 1 upholds, 0 rejects, between them a part is given back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**OF, "resolutions": {"INC0000045": "1"}, "note": "reopened"}]}
    )

    resolutions: Annotated[dict[Name, Exact], Field(min_length=1, max_length=1000)]
    note: Text = ""


class ReportAnswer(Answer):
    """Both lists compared key by key; ``digest`` is what is signed."""

    id: str
    period_index: int
    report: dict[str, Any]
    digest: str
    signed: list[str]
    created_at: Instant


class ReportsAnswer(Answer):
    """The reports of a definition in order of their making."""

    items: list[ReportAnswer]


class ResolutionAnswer(Answer):
    """How much of an outcome is given back."""

    share: ExactOut
    at: Instant
    note: str


class DisputeAnswer(Answer):
    """A dispute, and what became of it so far."""

    id: str
    invoice: str | None
    by: str
    at: Instant
    keys: list[str]
    reason: str
    text: str
    answered_at: Instant | None
    resolutions: dict[str, ResolutionAnswer]


class DisputesAnswer(Answer):
    """The disputes of a definition in order of time."""

    items: list[DisputeAnswer]


@router.get("/reports")
def list_agreements(caller: Reader, contract: Contract, definition: Definition) -> ReportsAnswer:
    """The reports of agreement in order of their making."""
    with caller.reading() as tx:
        found = reports.list_reports(tx, contract, definition)
    return ReportsAnswer(items=[ReportAnswer.model_validate(each) for each in found])


@router.post("/reports", status_code=201, response_model=ReportAnswer)
def compare_lists(body: AgreementBody, caller: Vendor) -> Response:
    """Compare what we count as confirmed in a cycle with the customer's own list, key by key, and keep the report."""
    listed = {each.key: Listed(each.value, each.at) for each in body.listed}

    def compared(tx: Any) -> ReportAnswer:
        report: StoredReport = reports.compare_lists(
            tx, body.contract, body.definition, listed, period_index=body.period_index
        )
        return ReportAnswer.model_validate(report)

    return caller.once(compared)


@router.post("/reports/{report_id}/sign", status_code=201, response_model=ReportsAnswer)
def sign_report(report_id: Id, body: ReportSignatureBody, caller: Vendor) -> Response:
    """Sign a report as the vendor."""
    return _sign_report(report_id, body, caller, "vendor")


@router.post("/reports/{report_id}/sign-as-customer", status_code=201, response_model=ReportsAnswer)
def sign_report_as_customer(report_id: Id, body: ReportSignatureBody, caller: Customer) -> Response:
    """Sign a report as the customer, with a key made for the customer."""
    return _sign_report(report_id, body, caller, "customer")


@router.get("/disputes")
def list_disputes(caller: Reader, contract: Contract, definition: Definition) -> DisputesAnswer:
    """The disputes of a definition, with what silence has resolved."""
    with caller.reading() as tx:
        found = disputes.list_disputes(tx, contract, definition)
    return DisputesAnswer(items=[_dispute(each) for each in found])


@router.post("/disputes", status_code=201, response_model=DisputeAnswer)
def open_dispute(body: DisputeBody, caller: Vendor) -> Response:
    """Open a dispute as the vendor."""
    return _open_dispute(body, caller, "vendor")


@router.post("/disputes/as-customer", status_code=201, response_model=DisputeAnswer)
def open_dispute_as_customer(body: DisputeBody, caller: Customer) -> Response:
    """Open a dispute as the customer, with a key made for the customer."""
    return _open_dispute(body, caller, "customer")


@router.post("/disputes/{dispute_id}/answer", status_code=201, response_model=DisputeAnswer)
def answer_dispute(dispute_id: Id, body: AnswerBody, caller: Vendor) -> Response:
    """Note that the dispute was answered; from now on the other side's silence counts, where the terms say so."""
    return caller.once(
        lambda tx: _dispute(disputes.answer_dispute(tx, body.contract, body.definition, dispute_id))
    )


@router.post("/disputes/{dispute_id}/resolve", status_code=201, response_model=DisputeAnswer)
def resolve_dispute(dispute_id: Id, body: ResolutionBody, caller: Vendor) -> Response:
    """Resolve disputed outcomes one by one; what is upheld is credited by pricing its period again without it."""
    return caller.once(
        lambda tx: _dispute(
            disputes.resolve_dispute(
                tx, body.contract, body.definition, dispute_id, body.resolutions, note=body.note
            )
        )
    )


def _sign_report(report_id: str, body: ReportSignatureBody, caller: Caller, party: Party) -> Response:
    signer = signer_of(caller, party, body.person, body.role)

    def signed(tx: Any) -> ReportsAnswer:
        deals.sign_report(tx, body.contract, body.definition, report_id, signer=signer)
        found = reports.list_reports(tx, body.contract, body.definition)
        return ReportsAnswer(
            items=[ReportAnswer.model_validate(each) for each in found if each.id == report_id]
        )

    return caller.once(signed)


def _open_dispute(body: DisputeBody, caller: Caller, party: Party) -> Response:
    check_party(caller, party)
    new = disputes.NewDispute(
        body.contract, body.definition, party, body.keys, body.reason, body.text, body.invoice
    )
    return caller.once(lambda tx: _dispute(disputes.open_dispute(tx, new)))


def _dispute(stored: StoredDispute) -> DisputeAnswer:
    dispute = stored.dispute
    return DisputeAnswer(
        id=dispute.id,
        invoice=stored.invoice,
        by=dispute.by,
        at=dispute.at,
        keys=list(dispute.keys),
        reason=dispute.reason,
        text=dispute.text,
        answered_at=dispute.answered_at,
        resolutions=_resolutions(dispute.resolutions),
    )


def _resolutions(found: Mapping[str, Resolution]) -> dict[str, ResolutionAnswer]:
    return {key: ResolutionAnswer.model_validate(each) for key, each in found.items()}
