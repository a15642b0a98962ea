"""``/v1/outcomes/definitions``: what is proposed, signed by both sides, measured in shadow and then billed."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller
from valorem.api.outcome_access import OF, Contract, Customer, OfBody, Reader, Vendor, signer_of
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant, Name, written
from valorem.core.outcomes.amending import AmendmentBacktest
from valorem.core.outcomes.signing import DefinitionVersion, Party, definition_form
from valorem.engine import outcome_deals as deals
from valorem.engine import outcome_reports as reports
from valorem.engine.outcome_deals import Proposal

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)
_SIGNED: dict[str, Any] = {**OF, "number": 1, "digest": "5f" * 32, "person": "Ada Lovelace", "role": "CFO"}


class ProposalBody(OfBody):
    """A definition to sign. Without ``terms`` the one of the contract's catalog version.

    Attributes:
        terms: The definition itself, as a file in ``outcomes/`` says it.
        effective_from: From when it is meant to hold; the next quarter hour where left out.
        live_from: From when confirmed outcomes are billed; measured in shadow where left out.
        retroactive: Whether both sides sign that it holds from then on even before their signatures.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [OF]})

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


class StageBody(OfBody):
    """From when a version bills, or accepts nothing more; the next quarter hour where ``since`` is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**OF, "number": 1}]})

    number: Annotated[int, Field(ge=1, le=100_000)]
    since: Instant | None = None


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


@router.get("/definitions")
def list_definitions(caller: Reader, contract: Contract) -> DefinitionsAnswer:
    """The definitions of a contract with their signatures, all versions."""
    with caller.reading() as tx:
        found = reports.list_outcomes(tx, contract)
        now = tx.now
    return DefinitionsAnswer(
        items=[definition_answer(version, now) for each in found.values() for version in each.versions]
    )


@router.post("/definitions", status_code=201, response_model=DefinitionAnswer)
def propose_definition(body: ProposalBody, caller: Vendor) -> Response:
    """Put a definition, or an amendment of one, before both sides; nothing is in force until both have signed."""
    return caller.once(
        lambda tx: definition_answer(deals.propose(tx, _proposal(body), by=caller.principal.key_id), tx.now)
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
        lambda tx: definition_answer(
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
        lambda tx: definition_answer(
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


def _proposal(body: ProposalBody) -> Proposal:
    return Proposal(
        body.contract,
        body.definition,
        body.terms,
        body.effective_from,
        body.live_from,
        body.retroactive,
    )


def _sign(body: SignatureBody, caller: Caller, party: Party) -> Response:
    signer = signer_of(caller, party, body.person, body.role)
    return caller.once(
        lambda tx: definition_answer(
            deals.sign_definition(
                tx, body.contract, body.definition, number=body.number, digest=body.digest, signer=signer
            ),
            tx.now,
        )
    )


def definition_answer(version: DefinitionVersion, now: datetime) -> DefinitionAnswer:
    """One version as it is answered."""
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
