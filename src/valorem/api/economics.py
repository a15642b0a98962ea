"""``/v1/reports/forecast`` and ``/v1/reports/margins``: how well a contract is foretold, and what each unit of it leaves."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from valorem.api.access import Caller, Needs
from valorem.api.invoices import IntervalAnswer
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant
from valorem.engine.forecasts import contract_forecasts
from valorem.engine.margins import margins_of

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
ContractId = Annotated[str, Query(max_length=64)]


class PartsAnswer(Answer):
    """What a period is charged.

    Attributes:
        fixed: Fees and agreed charges, with the discounts on what is billed in advance.
        variable: Usage and outcomes, and the discounts, minimum and maximum that depend on them.
    """

    fixed: ExactOut
    variable: ExactOut
    total: ExactOut


class PeriodForecastAnswer(Answer):
    """What was foretold of one period.

    Attributes:
        at: From the use until then.
        elapsed: Which share of the period had passed.
        actual: What it came to; null while it runs.
    """

    period: IntervalAnswer
    at: Instant
    elapsed: ExactOut
    projected: PartsAnswer
    actual: PartsAnswer | None


class AccuracyAnswer(Answer):
    """By what share of what came forecasts were off: Σ|foretold − came| ÷ Σ|came|; null where nothing came but something was foretold."""

    elapsed: ExactOut
    periods: int
    fixed: ExactOut | None
    variable: ExactOut | None
    total: ExactOut | None


class ForecastsAnswer(Answer):
    """How a contract's periods are foretold.

    Attributes:
        running: The running period.
        past: Earlier ones, a quarter, half and three quarters through each.
        accuracy: How far those were off, by the share of the period that had passed.
    """

    contract: str
    currency: str
    running: PeriodForecastAnswer
    past: list[PeriodForecastAnswer]
    accuracy: list[AccuracyAnswer]


class UnitMarginAnswer(Answer):
    """The use of one meter: what it brought and cost, in all and by the unit; null without a unit cost or without use."""

    meter: str
    name: str
    unit: str | None
    quantity: ExactOut
    revenue: ExactOut
    cost: ExactOut | None
    margin: ExactOut | None
    revenue_per_unit: ExactOut | None
    cost_per_unit: ExactOut | None
    margin_per_unit: ExactOut | None


class ContractMarginsAnswer(Answer):
    """What a contract brought and cost between two instants.

    Attributes:
        revenue: Of everything, fees too.
        cost: Of all use; null where no meter has a unit cost.
        meters: By meter.
    """

    contract: str
    currency: str
    start: Instant
    end: Instant
    revenue: ExactOut
    cost: ExactOut | None
    margin: ExactOut | None
    meters: list[UnitMarginAnswer]


@router.get("/forecast")
def get_forecast(
    caller: Reader, contract: ContractId, periods: Annotated[int, Query(ge=0, le=24)] = 6
) -> ForecastsAnswer:
    """What a contract's running period will come to, and how far such forecasts of earlier periods were off."""
    with caller.reading() as tx:
        return ForecastsAnswer.model_validate(contract_forecasts(tx, contract, periods=periods))


@router.get("/margins")
def get_margins(
    caller: Reader,
    contract: ContractId,
    start: Annotated[Instant | None, Query(description="the running period's start where left out")] = None,
    end: Annotated[Instant | None, Query(description="now where left out")] = None,
) -> ContractMarginsAnswer:
    """What a contract brought and cost, in all and by the unit of each meter."""
    with caller.reading() as tx:
        return ContractMarginsAnswer.model_validate(margins_of(tx, contract, start=start, end=end))
