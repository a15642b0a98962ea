"""``/v1/outcomes``: signed definitions, one dashboard for both sides, evidence, agreement, disputes."""

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Text, written
from valorem.core.errors import ForbiddenError
from valorem.core.outcomes.agreement import Listed
from valorem.core.outcomes.amending import AmendmentBacktest
from valorem.core.outcomes.bundle import bundle_digest
from valorem.core.outcomes.disputes import Resolution
from valorem.core.outcomes.signing import DefinitionVersion, Party, definition_form
from valorem.core.outcomes.states import Transition
from valorem.engine import outcome_deals as deals
from valorem.engine import outcome_disputes as disputes
from valorem.engine import outcome_reports as reports
from valorem.engine.outcome_deals import Proposal, Signer
from valorem.engine.outcome_reports import Board, Opened
from valorem.store.postgres.outcomes import StoredDispute, StoredReport

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Vendor = Annotated[Caller, Depends(Needs("outcomes:write"))]
Customer = Annotated[Caller, Depends(Needs("outcomes:sign"))]
Contract = Annotated[str, Query(max_length=64, description="the contract's id")]
Definition = Annotated[str, Query(max_length=255, description="the outcome's key")]
At = Annotated[Instant | None, Query(description="the instant looked at; now where left out")]
Id = Annotated[str, Path(max_length=64)]
_OF: dict[str, Any] = {"contract": "ctr_019b0000000000000000000000", "definition": "resolution"}
_SIGNED: dict[str, Any] = {**_OF, "number": 1, "digest": "5f" * 32, "person": "Ada Lovelace", "role": "CFO"}


class OfBody(Body):
    """A definition of a contract."""

    contract: Annotated[str, Field(max_length=64)]
    definition: Name


class ProposalBody(OfBody):
    """A definition to sign. Without ``terms`` the one of the contract's catalog version.

    Attributes:
        terms: The definition itself, as a file in ``outcomes/`` says it.
        effective_from: From when it is meant to hold; the next quarter hour where left out.
        live_from: From when confirmed outcomes are billed; measured in shadow where left out.
        retroactive: Whether both sides sign that it holds from then on even before their signatures.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_OF]})

    terms: dict[str, Any] | None = None
    effective_from: Instant | None = None
    live_from: Instant | None = None
    retroactive: bool = False


class SignatureBody(OfBody):
    """A yes to exactly one text, named by its digest."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SIGNED]})

    number: Annotated[int, Field(ge=1, le=100_000)]
    digest: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]
    person: Name
    role: Name


class ReportSignatureBody(OfBody):
    """A yes to a report of agreement."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_OF, "person": "Ada Lovelace", "role": "CFO"}]}
    )

    person: Name
    role: Name


class StageBody(OfBody):
    """From when a version bills, or accepts nothing more; the next quarter hour where ``since`` is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_OF, "number": 1}]})

    number: Annotated[int, Field(ge=1, le=100_000)]
    since: Instant | None = None


class ListedBody(Body):
    """One key on the customer's list: what it is worth there, and when it was seen."""

    key: Name
    value: Exact | None = None
    at: Instant | None = None


class AgreementBody(OfBody):
    """The customer's own list of a cycle; the last cycle that has ended where ``period_index`` is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_OF, "listed": [{"key": "INC0000045"}]}]})

    listed: Annotated[list[ListedBody], Field(max_length=100_000)]
    period_index: Annotated[int, Field(ge=0, le=100_000)] | None = None


class DisputeBody(OfBody):
    """Outcomes that are contested; ``invoice`` is the final invoice that bills them, left out while they are on none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{**_OF, "keys": ["INC0000045"], "reason": "not_achieved", "invoice": "INV-000001"}]
        }
    )

    keys: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    reason: Name
    text: Text = ""
    invoice: Annotated[str, Field(max_length=64)] | None = None


class AnswerBody(OfBody):
    """An answer to a dispute."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OF]})


class ResolutionBody(OfBody):
    """How disputed outcomes are resolved: 1 upholds, 0 rejects, between them a part is given back."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_OF, "resolutions": {"INC0000045": "1"}, "note": "reopened"}]}
    )

    resolutions: Annotated[dict[Name, Exact], Field(min_length=1, max_length=1000)]
    note: Text = ""


class SignatureAnswer(Answer):
    """One party's yes to exactly one text."""

    party: str
    person: str
    role: str
    method: str
    at: Instant
    digest: str


class DefinitionAnswer(Answer):
    """One version of a definition; ``digest`` is the SHA-256 of ``terms`` in canonical form, which is what is signed."""

    outcome: str
    number: int
    digest: str
    status: str
    missing: list[str]
    effective_from: Instant
    live_from: Instant | None
    retired_from: Instant | None
    retroactive: bool
    signatures: list[SignatureAnswer]
    terms: dict[str, Any]


class DefinitionsAnswer(Answer):
    """The definitions of a contract, all their versions."""

    items: list[DefinitionAnswer]


class PeriodMoney(Answer):
    """One period: what was confirmed and taken back in it, and its money."""

    start: Instant
    end: Instant
    label: str
    confirmed: int
    reversed: int
    amount: ExactOut
    credit: ExactOut


class OutcomeAnswer(Answer):
    """One outcome; ``matures_at`` is when it is confirmed if nothing is heard."""

    key: str
    state: str
    since: Instant | None
    rule: str
    matures_at: Instant | None
    version: int | None
    value: ExactOut | None
    disputed: bool
    billable: bool


class DashboardAnswer(Answer):
    """What both sides see. Nothing was written, and no job has to run for a state to be true.

    Attributes:
        assumed: Outcomes whose window is running; the next is confirmed at ``next_matures_at`` if nothing is heard.
        if_silent: What the running period comes to if nothing more happens.
        agreement: Of the last comparison of both lists: keys on both / keys on either.
        unreadable: Ids of events that lack what the definition needs, with the reason.
        outcomes: A page of them, in order of key.
    """

    contract: str
    definition: str
    name: str
    currency: str
    at: Instant
    status: list[str]
    assumed: int
    confirmed: int
    reversed: int
    cancelled: int
    next_matures_at: Instant | None
    rejected: dict[str, int]
    periods: list[PeriodMoney]
    if_silent: ExactOut
    newest_evidence: Instant | None
    fresh: bool
    open_disputes: list[str]
    agreement: ExactOut | None
    unreadable: dict[str, str]
    outcomes: list[OutcomeAnswer]
    next: str | None


class TransitionAnswer(Answer):
    """One change of state: when, known when, by which rule and which evidence."""

    state: str
    at: Instant
    known_at: Instant
    rule: str
    evidence: list[str]


class EvidenceAnswer(Answer):
    """One event behind an outcome, as it counts."""

    source: str
    id: str
    type: str
    time: Instant
    received_at: Instant
    data: dict[str, Any]


class OpenedAnswer(Answer):
    """One outcome, opened to its evidence."""

    key: str
    state: str
    at: Instant
    matures_at: Instant | None
    version: int | None
    history: list[TransitionAnswer]
    events: list[EvidenceAnswer]


class BillAnswer(Answer):
    """What one version bills in one period."""

    version: int
    start: Instant
    end: Instant
    quantity: ExactOut
    usage: ExactOut
    credit: ExactOut
    total: ExactOut


class BillsAnswer(Answer):
    """What each period comes to by an instant, the running one as it stands."""

    currency: str
    items: list[BillAnswer]
    total: ExactOut


class DifferenceAnswer(Answer):
    """What one period would have been billed before and after an amendment."""

    start: Instant
    end: Instant
    before: ExactOut
    after: ExactOut


class BacktestAnswer(Answer):
    """An amendment on recorded evidence: in words, in money, and the outcomes whose state it changes."""

    changes: list[str]
    periods: list[DifferenceAnswer]
    change: ExactOut
    moved: dict[str, list[str]]


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


class BundleAnswer(Answer):
    """A ZIP with everything that shows why outcomes count; the same bytes each time for the same instant."""

    sha256: str
    content: Annotated[str, Field(description="base64")]


@router.get("")
def dashboard(
    caller: Reader,
    contract: Contract,
    definition: Definition,
    at: At = None,
    after: After = None,
    limit: Limit = 50,
) -> DashboardAnswer:
    """What both sides see of one definition at an instant, each outcome opening to its evidence."""
    with caller.reading() as tx:
        board = reports.show_board(tx, contract, definition, at=at)
    return _board(contract, board, read_cursor(after), limit)


@router.get("/definitions")
def list_definitions(caller: Reader, contract: Contract) -> DefinitionsAnswer:
    """The definitions of a contract with their signatures, all versions."""
    with caller.reading() as tx:
        found = reports.list_outcomes(tx, contract)
        now = tx.now
    return DefinitionsAnswer(
        items=[_definition(version, now) for each in found.values() for version in each.versions]
    )


@router.post("/definitions", status_code=201, response_model=DefinitionAnswer)
def propose_definition(body: ProposalBody, caller: Vendor) -> Response:
    """Put a definition, or an amendment of one, before both sides; nothing is in force until both have signed."""
    return caller.once(
        lambda tx: _definition(deals.propose(tx, _proposal(body), by=caller.principal.key_id), tx.now)
    )


@router.post("/definitions/backtest", status_code=200, response_model=BacktestAnswer)
def backtest_definition(body: ProposalBody, caller: Vendor) -> Response:
    """What an amendment would have changed, in words and in money, on all recorded evidence; nothing is written."""
    return caller.once(lambda tx: _backtest(deals.backtest(tx, _proposal(body))), status=200)


@router.post("/definitions/sign", status_code=201, response_model=DefinitionAnswer)
def sign_definition(body: SignatureBody, caller: Vendor) -> Response:
    """Sign as the vendor."""
    return _sign(body, caller, "vendor")


@router.post("/definitions/sign-as-customer", status_code=201, response_model=DefinitionAnswer)
def sign_definition_as_customer(body: SignatureBody, caller: Customer) -> Response:
    """Sign as the customer, with a key made for the customer; a vendor's key never does, not even an admin's."""
    return _sign(body, caller, "customer")


@router.post("/definitions/live", status_code=201, response_model=DefinitionAnswer)
def start_billing(body: StageBody, caller: Vendor) -> Response:
    """Let a version in shadow bill: both signed it, both lists agree, and both signed the report that says so."""
    return caller.once(
        lambda tx: _definition(
            deals.go_live(
                tx,
                body.contract,
                body.definition,
                number=body.number,
                since=body.since,
                proof=caller.principal.key_id,
            ),
            tx.now,
        )
    )


@router.post("/definitions/retire", status_code=201, response_model=DefinitionAnswer)
def retire_definition(body: StageBody, caller: Vendor) -> Response:
    """Let a version accept nothing more from an instant on."""
    return caller.once(
        lambda tx: _definition(
            deals.retire(
                tx,
                body.contract,
                body.definition,
                number=body.number,
                since=body.since,
                proof=caller.principal.key_id,
            ),
            tx.now,
        )
    )


@router.get("/evidence")
def open_outcome(
    caller: Reader,
    contract: Contract,
    definition: Definition,
    key: Annotated[str, Query(max_length=1000, description="the outcome's key")],
    at: At = None,
) -> OpenedAnswer:
    """One outcome with its states, and the very events they rest on."""
    with caller.reading() as tx:
        return _opened(reports.open_outcome(tx, contract, definition, key, at=at))


@router.get("/bills")
def outcome_bills(caller: Reader, contract: Contract, definition: Definition, at: At = None) -> BillsAnswer:
    """What each period comes to by an instant, the running one as it stands."""
    with caller.reading() as tx:
        scene, charged = reports.bills_until(tx, contract, definition, at=at)
    items = [
        BillAnswer(
            version=each.version.number,
            start=period.interval.start,
            end=period.interval.end,
            quantity=bill.quantity,
            usage=bill.usage,
            credit=bill.credit,
            total=bill.total,
        )
        for each in charged
        for bill, period in zip(each.bills, scene.periods, strict=True)
    ]
    return BillsAnswer(currency=scene.contract.currency, items=items, total=reports.total_of_bills(charged))


@router.get("/bundle")
def outcome_bundle(
    caller: Reader,
    contract: Contract,
    definition: Definition,
    key: Annotated[list[str] | None, Query(max_length=1000, description="only these outcomes")] = None,
    at: At = None,
) -> BundleAnswer:
    """The evidence of outcomes as one file: the same bytes each time for the same instant."""
    with caller.reading() as tx:
        content = reports.build_bundle(tx, contract, definition, keys=key or (), at=at)
    return BundleAnswer(sha256=bundle_digest(content), content=base64.b64encode(content).decode())


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


def _proposal(body: ProposalBody) -> Proposal:
    return Proposal(
        body.contract,
        body.definition,
        body.terms,
        body.effective_from,
        body.live_from,
        body.retroactive,
    )


def _signer(body: SignatureBody | ReportSignatureBody, caller: Caller, party: Party) -> Signer:
    _check_party(caller, party)
    return Signer(party, body.person, body.role, "api_key", caller.principal.key_id)


def _check_party(caller: Caller, party: Party) -> None:
    """A key speaks for one side: one that carries ``outcomes:sign`` for the customer, every other for the vendor."""
    if (party == "customer") != ("outcomes:sign" in caller.principal.scopes):
        raise ForbiddenError(
            f"this key does not speak for the {party}",
            hint="make a key with the scope outcomes:sign for the customer, and use another one for the vendor",
        )


def _sign(body: SignatureBody, caller: Caller, party: Party) -> Response:
    signer = _signer(body, caller, party)
    return caller.once(
        lambda tx: _definition(
            deals.sign_definition(
                tx, body.contract, body.definition, number=body.number, digest=body.digest, signer=signer
            ),
            tx.now,
        )
    )


def _sign_report(report_id: str, body: ReportSignatureBody, caller: Caller, party: Party) -> Response:
    signer = _signer(body, caller, party)

    def signed(tx: Any) -> ReportsAnswer:
        deals.sign_report(tx, body.contract, body.definition, report_id, signer=signer)
        found = reports.list_reports(tx, body.contract, body.definition)
        return ReportsAnswer(
            items=[ReportAnswer.model_validate(each) for each in found if each.id == report_id]
        )

    return caller.once(signed)


def _open_dispute(body: DisputeBody, caller: Caller, party: Party) -> Response:
    _check_party(caller, party)
    new = disputes.NewDispute(
        body.contract, body.definition, party, body.keys, body.reason, body.text, body.invoice
    )
    return caller.once(lambda tx: _dispute(disputes.open_dispute(tx, new)))


def _definition(version: DefinitionVersion, now: datetime) -> DefinitionAnswer:
    return DefinitionAnswer(
        outcome=version.definition.outcome,
        number=version.number,
        digest=version.digest,
        status=version.status(now),
        missing=list(version.missing()),
        effective_from=version.effective_from,
        live_from=version.live_from,
        retired_from=version.retired_from,
        retroactive=version.retroactive,
        signatures=[SignatureAnswer.model_validate(each) for each in version.signatures],
        terms=written(definition_form(version.definition)),
    )


def _board(contract: str, board: Board, after: str | None, limit: int) -> DashboardAnswer:
    found = board.dashboard
    rows = [each for each in found.outcomes if after is None or each.key > after]
    standing = found.standing
    return DashboardAnswer(
        contract=contract,
        definition=found.outcome,
        name=found.name,
        currency=found.currency,
        at=found.now,
        status=[each.status for each in found.versions],
        assumed=standing.assumed.n,
        confirmed=standing.confirmed.n,
        reversed=standing.reversed.n,
        cancelled=standing.cancelled.n,
        next_matures_at=standing.next_matures_at,
        rejected=dict(found.rejected),
        periods=[
            PeriodMoney(
                start=each.period.start,
                end=each.period.end,
                label=each.label,
                confirmed=each.confirmed,
                reversed=each.reversed,
                amount=each.amount,
                credit=each.credit,
            )
            for each in found.periods
        ],
        if_silent=found.if_silent,
        newest_evidence=found.newest_evidence,
        fresh=found.fresh,
        open_disputes=[each.id for each in found.disputes],
        agreement=None if found.agreement is None else found.agreement.agreement,
        unreadable=dict(board.unreadable),
        outcomes=[OutcomeAnswer.model_validate(each) for each in rows[:limit]],
        next=cursor_of(rows[limit - 1].key) if len(rows) > limit else None,
    )


def _opened(found: Opened) -> OpenedAnswer:
    outcome, version = found.governed.outcome, found.governed.version
    return OpenedAnswer(
        key=outcome.key,
        state=outcome.state(found.at),
        at=found.at,
        matures_at=outcome.matures_at(found.at),
        version=None if version is None else version.number,
        history=[_transition(each) for each in outcome.history(found.at)],
        events=[
            EvidenceAnswer(
                source=event.source,
                id=event.id,
                type=event.type,
                time=event.time or arrived,
                received_at=arrived,
                data=written(event.data),
            )
            for event, arrived in found.events
        ],
    )


def _transition(found: Transition) -> TransitionAnswer:
    return TransitionAnswer(
        state=found.state,
        at=found.at,
        known_at=found.known_at,
        rule=found.rule,
        evidence=list(found.evidence),
    )


def _backtest(found: AmendmentBacktest) -> BacktestAnswer:
    return BacktestAnswer(
        changes=[each.sentence for each in found.changes],
        periods=[
            DifferenceAnswer(
                start=each.period.start, end=each.period.end, before=each.before, after=each.after
            )
            for each in found.periods
        ],
        change=found.change,
        moved={key: list(states) for key, states in found.moved.items()},
    )


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
