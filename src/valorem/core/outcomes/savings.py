"""Shares of what was saved: a baseline fixed beforehand, adjustments, a gate, losses carried, a cap."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.metering.evaluate import compile_number
from valorem.core.metering.event import Event
from valorem.core.metering.expression import parse_expression
from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.terms import SavingsTerms


@dataclass(frozen=True, slots=True)
class NonRoutine:
    """A signed adjustment of one baseline for something nobody foresaw.

    Attributes:
        amount: Added to the baseline.
        reason: Why.
        digest: Of what both sides signed.
    """

    amount: Decimal
    reason: str
    digest: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What was spent in a period, and what the baseline needs to know of it.

    Attributes:
        actual: Spent.
        baseline: What the baseline's own period cost, or its mean; for a fixed one the definition's amount holds.
        volume: What was done in the period, for a baseline by unit cost.
        days: Of the period, in days or working days as the baseline compares them.
        baseline_days: The same of the baseline's period.
        estimate: The baseline as an estimate gave it, stored once.
        saved: The saving itself, where the estimate gives that and not the baseline.
        margin: By how much the lower bound of an estimate lies below its point, in money.
        facts: Further numbers that routine adjustments look at.
        non_routine: Signed adjustments.
    """

    actual: Decimal
    baseline: Decimal | None = None
    volume: Decimal | None = None
    days: int | None = None
    baseline_days: int | None = None
    estimate: Decimal | None = None
    saved: Decimal | None = None
    margin: Decimal | None = None
    facts: Mapping[str, Decimal] | None = None
    non_routine: tuple[NonRoutine, ...] = ()


@dataclass(frozen=True, slots=True)
class SavingsFee:
    """What one period's saving is billed.

    Attributes:
        baseline: After adjustments.
        savings: Baseline less actual; below zero for a loss.
        proven: What of it counts: all, or what the interval policy leaves of an estimate.
        reached: Whether the least saving was reached.
        offset: What earlier losses took off.
        carried: The loss carried on.
        exact: The share before the cap.
        bounded: After cap and minimum, before rounding.
        fee: Rounded once.
    """

    baseline: Decimal
    savings: Decimal
    proven: Decimal
    reached: bool
    offset: Decimal
    carried: Decimal
    exact: Decimal
    bounded: Decimal
    fee: Decimal


@exact
def adjusted_baseline(terms: SavingsTerms, facts: Facts) -> Decimal:
    """The baseline of one period, by the definition's method and adjustments.

    Raises:
        InvalidInputError: Naming what the method needs and was not given.
    """
    base = terms.baseline
    given = base.amount if base.amount is not None else facts.baseline
    match base.method:
        case "fixed" | "pre_period_mean":
            amount = _needed(given, "baseline.amount")
        case "unit_cost":
            volume = _needed(base.volume, "baseline.volume")
            amount = _needed(given, "baseline.amount") * _needed(facts.volume, "volume") / volume
        case "same_period_last_year":
            amount = _needed(given, "baseline.amount")
            if base.per != "period":
                days, before = facts.days, facts.baseline_days
                if not days or not before:
                    raise InvalidInputError("the days of both periods are needed", field="days")
                amount = amount * days / before
        case _:
            amount = _needed(facts.estimate, "estimate")
    event = Event("", "", "", "", None, {"baseline": amount, **(facts.facts or {})})
    routine = (compile_number(parse_expression(text))(event) for text in base.routine.values())
    return amount + sum(routine, ZERO) + sum((each.amount for each in facts.non_routine), ZERO)


def _needed(value: Decimal | None, field: str) -> Decimal:
    if value is None:
        raise InvalidInputError("the baseline's method needs it", field=field)
    return value


@exact
def savings_fees(terms: SavingsTerms, periods: Iterable[Facts], currency: str) -> tuple[SavingsFee, ...]:
    """The fee of each period, in order: share × max(0, saving − losses carried), past the gate, up to the cap.

    A saving of exactly the least rate counts, and sharing then starts at the first unit of money. A loss is made up for by
    later savings before anything is shared, where the terms carry losses.
    """
    carried = ZERO
    fees = []
    for facts in periods:
        fee = savings_fee(terms, facts, carried, currency)
        carried = fee.carried
        fees.append(fee)
    return tuple(fees)


@exact
def savings_fee(terms: SavingsTerms, facts: Facts, carried: Decimal, currency: str) -> SavingsFee:
    """The fee of one period.

    An estimate that is not significant proves no saving, but no loss either: a loss is carried where its point is below
    zero.

    Args:
        terms: The definition's.
        facts: Of the period.
        carried: The loss that earlier periods left.
        currency: Of the fee.
    """
    if facts.saved is not None:
        savings, baseline = facts.saved, facts.actual + facts.saved
    else:
        baseline = adjusted_baseline(terms, facts)
        savings = baseline - facts.actual
    proven = _proven(terms, savings, facts.margin)
    offset = ZERO
    if terms.losses == "carry_losses":
        offset = min(carried, max(ZERO, proven))
        carried += max(ZERO, -savings) - offset
    reached = proven >= terms.minimum_rate * baseline
    share = terms.share * max(ZERO, proven - offset) if reached else ZERO
    caps = [cap for cap in (terms.cap, _of(terms.cap_share, baseline)) if cap is not None]
    bounded = min([share, *caps])
    if terms.minimum is not None:
        bounded = max(terms.minimum, bounded)
    fee = round_money(bounded, currency)
    return SavingsFee(baseline, savings, proven, reached, offset, carried, share, bounded, fee)


def _proven(terms: SavingsTerms, savings: Decimal, margin: Decimal | None) -> Decimal:
    """What of a saving counts, by the interval policy; all of one that is no estimate."""
    if margin is None or savings <= 0 or terms.interval == "point":
        return savings
    lower = savings - margin
    if terms.interval == "lower_bound":
        return max(ZERO, lower)
    return savings if lower > 0 else ZERO


def _of(share: Decimal | None, baseline: Decimal) -> Decimal | None:
    return None if share is None else share * baseline


@exact
def share_fee(terms: SavingsTerms, value: Decimal, currency: str) -> Decimal:
    """The share of a value already found (hours saved, an effect), up to the cap, rounded once."""
    shared = terms.share * max(ZERO, value)
    return round_money(shared if terms.cap is None else min(shared, terms.cap), currency)


def working_days(start: date, end: date, holidays: Iterable[date] = ()) -> int:
    """Mondays to Fridays in ``[start, end)`` that are no holidays of the definition's list."""
    off = frozenset(holidays)
    days = (start + timedelta(days=index) for index in range((end - start).days))
    return sum(day.weekday() < 5 and day not in off for day in days)
