"""What a period shows for a share of savings: sums over the results that stand, and what an estimate is made from.

A period's facts are sums over what is confirmed in it and not taken back, so evidence may come in any order, twice, or be
withdrawn. What is estimated from them is worked out elsewhere, once, and only applied here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from valorem.core.calendar import add_months, local_date
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.estimates import Estimate, billable_outcomes
from valorem.core.outcomes.evidence import CompiledOutcome, Evidence
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.hours import MINUTES
from valorem.core.outcomes.keys import held_out
from valorem.core.outcomes.savings import Facts, NonRoutine, working_days
from valorem.core.outcomes.states import Outcome, Result
from valorem.core.outcomes.terms import ESTIMATED, SavingsTerms
from valorem.core.periods import Interval

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Uplift:
    """Units left alone and units served, and how many of each came to a result."""

    treated: int
    treated_successes: int
    held_out: int
    held_out_successes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What a difference in differences looks at: single measurements, before and after, of either group."""

    treated_before: tuple[Decimal, ...]
    treated_after: tuple[Decimal, ...]
    control_before: tuple[Decimal, ...]
    control_after: tuple[Decimal, ...]


def standing_in(outcomes: Iterable[Outcome], period: Interval) -> list[Result]:
    """The results confirmed in a period that nothing has taken back."""
    return [
        result
        for outcome in outcomes
        for result in outcome.results
        if result.end == "confirmed" and result.ends_at in period and result.reversed_at is None
    ]


@exact
def worth(results: Iterable[Result]) -> Decimal:
    """The sum of what results are worth, restatements included."""
    return sum(
        ((each.value or ZERO) + sum((one.change for one in each.restated), ZERO) for each in results), ZERO
    )


@exact
def sums_of(compiled: CompiledOutcome, results: Sequence[Result]) -> dict[str, Decimal]:
    """The facts of a period by name, each summed over its results."""
    return {
        name: sum((each.measures[place] or ZERO for each in results if each.measures), ZERO)
        for place, name in enumerate(compiled.measure_names)
    }


@exact
def facts_of(
    compiled: CompiledOutcome,
    results: Sequence[Result],
    period: Interval,
    frame: Frame,
    estimate: Estimate | None = None,
    non_routine: tuple[NonRoutine, ...] = (),
) -> Facts | None:
    """What a share of savings needs to know of one period.

    Args:
        compiled: The definition.
        results: From :func:`standing_in`.
        period: Which.
        frame: The contract's calendar.
        estimate: As stored, where the method needs one.
        non_routine: Signed adjustments of the baseline.

    Returns:
        None where nothing is known of the period yet, or its estimate has not been made: then nothing is saved or lost.
    """
    terms = compiled.definition.savings
    if terms is None or not results:
        return None
    sums = sums_of(compiled, results)
    if terms.baseline.method in ESTIMATED:
        return None if estimate is None else _estimated(compiled, results, estimate, sums, non_routine)
    days = before = None
    baseline = terms.baseline.amount
    if terms.baseline.method == "pre_period_mean" and terms.baseline.observed:
        costs = [each.cost for each in terms.baseline.observed]
        baseline = sum(costs, ZERO) / len(costs)
    elif terms.baseline.method == "same_period_last_year":
        baseline = _last_years(terms, period, frame)
        first, last = local_date(period.start, frame.zone), local_date(period.end, frame.zone)
        days = _days(terms, first, last)
        before = _days(terms, add_months(first, -12), add_months(last, -12))
    return Facts(
        worth(results), baseline, sums.get("volume"), days, before, facts=sums, non_routine=non_routine
    )


def _last_years(terms: SavingsTerms, period: Interval, frame: Frame) -> Decimal:
    first = add_months(local_date(period.start, frame.zone), -12).isoformat()
    names = (first, first[:7])
    found = next((each.cost for each in terms.baseline.observed if each.period in names), None)
    if found is None:
        raise UnprocessableError(
            f"the signed baseline has no period {first[:7]}",
            field="savings.baseline.observed",
            hint="amend the definition with what last year's period cost",
        )
    return found


def _days(terms: SavingsTerms, first: date, last: date) -> int:
    if terms.baseline.per == "working_day":
        return working_days(first, last, terms.baseline.holidays)
    return (last - first) // timedelta(days=1)


def _estimated(
    compiled: CompiledOutcome,
    results: Sequence[Result],
    estimate: Estimate,
    sums: Mapping[str, Decimal],
    non_routine: tuple[NonRoutine, ...],
) -> Facts:
    definition = compiled.definition
    terms = definition.savings
    assert terms is not None  # facts_of has seen to it
    if terms.baseline.method == "regression":
        margin = estimate.point - estimate.lower
        return Facts(
            worth(results), estimate=estimate.point, margin=margin, facts=sums, non_routine=non_routine
        )
    unit = terms.unit_value if terms.unit_value is not None else ONE
    if terms.baseline.method == "holdout":
        point, lower = billable_outcomes(estimate, "point"), billable_outcomes(estimate, "lower_bound")
        if estimate.point < 0:
            point = lower = estimate.point
    else:
        treated = sum(each.arm == "treated" for each in results)
        volume = sums.get("volume", Decimal(treated))
        point, lower = estimate.point * volume, estimate.lower * volume
        if definition.hours is not None:
            unit = definition.hours.hour_value / MINUTES
    return Facts(ZERO, saved=point * unit, margin=(point - lower) * unit, facts=sums)


@exact
def uplift_of(
    compiled: CompiledOutcome, evidence: Iterable[Evidence], frame: Frame, period: Interval
) -> Uplift:
    """How many units of either group there were in a period, and how many came to a result.

    A unit belongs to the group its hash puts it in, whatever was done with it (intention to treat). The units are those
    touched in the period; a result counts by the definition's own rules, which for this know no holdout.

    Raises:
        UnprocessableError: Where either group has no units.
    """
    definition = compiled.definition
    terms = definition.holdout
    if terms is None:
        raise InvalidInputError("the definition has no holdout", field="holdout")
    known = list(evidence)
    units = {
        each.unit for each in known if each.kind == "touch" and each.unit is not None and each.at in period
    }
    blind = CompiledOutcome(definition.model_copy(update={"holdout": None, "attribution": None}))
    won = {each.unit for each in standing_in(fold(blind, known, frame).values(), period)} & units
    share = int(terms.share * _PPM)
    out = {unit for unit in units if held_out(terms.salt, unit, share)}
    if not out or out == units:
        raise UnprocessableError(
            f"{len(units)} units were touched, {len(out)} of them held out; both groups are needed",
            field="holdout",
            hint="send a touch for every unit, held out or not",
        )
    return Uplift(len(units - out), len(won - out), len(out), len(won & out))


def sample_of(terms: SavingsTerms, results: Iterable[Result]) -> Sample:
    """The measurements of a difference in differences: those before as both sides signed them, those after as they stand."""
    observed = terms.baseline.observed
    after = [(each.arm, worth([each])) for each in results]
    return Sample(
        tuple(each.cost for each in observed if each.group == "treated"),
        tuple(value for arm, value in after if arm == "treated"),
        tuple(each.cost for each in observed if each.group == "control"),
        tuple(value for arm, value in after if arm == "control"),
    )
