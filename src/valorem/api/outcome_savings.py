"""``/v1/outcomes/savings``: what each period saved, with its arithmetic, and the estimates it takes."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.outcome_access import OF, Contract, Definition, OfBody, Reader, Vendor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant
from valorem.core.outcomes.estimates import Estimate
from valorem.core.outcomes.sharing import SharedPeriod, fee_steps
from valorem.engine import outcome_savings as savings

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)


class EstimateBody(OfBody):
    """The estimate of a period; the last one that is over where ``period_index`` is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**OF, "period_index": 0}]})

    period_index: Annotated[int, Field(ge=0, le=100_000)] | None = None


class EstimateAnswer(Answer):
    """A number that statistics gave, kept for good with all it was made from."""

    period_index: int
    method: str
    point: ExactOut
    lower: ExactOut
    upper: ExactOut | None
    level: ExactOut
    sides: str
    inputs: dict[str, str]
    formula: str
    library: str


class StepAnswer(Answer):
    """One step of the arithmetic of a fee."""

    label: str
    text: str
    value: ExactOut


class SharedPeriodAnswer(Answer):
    """One period of a share of savings.

    Attributes:
        over: Whether it is over, its time for late facts included; before that nothing is shared.
        known: Whether its facts, and its estimate where it takes one, are there.
        proven: What of the saving counts, by the interval policy.
        carried: The loss that is carried on.
        billed: What of the fee is billed: nothing in shadow, less what a dispute holds back.
    """

    period_index: int
    start: Instant
    end: Instant
    version: int | None
    over: bool
    known: bool
    actual: ExactOut | None
    baseline: ExactOut | None
    savings: ExactOut | None
    proven: ExactOut | None
    carried: ExactOut | None
    fee: ExactOut | None
    billed: ExactOut
    steps: list[StepAnswer]
    estimate: EstimateAnswer | None


class SavingsAnswer(Answer):
    """What each period of a definition saved."""

    currency: str
    items: list[SharedPeriodAnswer]


@router.get("/savings")
def outcome_savings(caller: Reader, contract: Contract, definition: Definition) -> SavingsAnswer:
    """What each period saved and what of it is billed, with the arithmetic; both sides read the same."""
    with caller.reading() as tx:
        found = savings.show_savings(tx, contract, definition)
    return SavingsAnswer(
        currency=found.scene.contract.currency,
        items=[_shared(each, found.estimates.get(each.index)) for each in found.periods],
    )


@router.post("/savings/estimates", status_code=201, response_model=EstimateAnswer)
def estimate_savings(body: EstimateBody, caller: Vendor) -> Response:
    """Make a period's estimate now, from its evidence and the signed baseline; it is made once and kept for good."""
    return caller.once(
        lambda tx: _estimate(
            *savings.estimate_period(tx, body.contract, body.definition, period_index=body.period_index)
        )
    )


def _shared(shared: SharedPeriod, estimate: Estimate | None) -> SharedPeriodAnswer:
    fee, facts, version = shared.fee, shared.facts, shared.version
    known = fee is not None and facts is not None and version is not None
    return SharedPeriodAnswer(
        period_index=shared.index,
        start=shared.period.start,
        end=shared.period.end,
        version=None if version is None else version.number,
        over=shared.over,
        known=known,
        actual=None if facts is None else facts.actual,
        baseline=None if fee is None else fee.baseline,
        savings=None if fee is None else fee.savings,
        proven=None if fee is None else fee.proven,
        carried=None if fee is None else fee.carried,
        fee=None if fee is None else fee.fee,
        billed=shared.billed,
        steps=[
            StepAnswer(label=step.label, text=step.text, value=step.value)
            for step in (
                fee_steps(version.definition, fee, facts)
                if fee is not None and facts is not None and version is not None
                else ()
            )
        ],
        estimate=None if estimate is None else _estimate(shared.index, estimate),
    )


def _estimate(index: int, estimate: Estimate) -> EstimateAnswer:
    return EstimateAnswer(
        period_index=index,
        method=estimate.method,
        point=estimate.point,
        lower=estimate.lower,
        upper=estimate.upper,
        level=estimate.level,
        sides=estimate.sides,
        inputs=dict(estimate.inputs),
        formula=estimate.formula,
        library=estimate.library,
    )
