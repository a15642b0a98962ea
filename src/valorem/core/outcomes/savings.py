"""Shares of what was saved: a baseline fixed beforehand, adjustments, a gate, losses carried, a cap."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.metering.evaluate import compile_number
from valorem.core.metering.event import Event
from valorem.core.metering.expression import parse_expression
from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.terms import HourTerms, SavingsTerms

_MINUTES = Decimal(60)


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
        facts: Further numbers that routine adjustments look at.
        non_routine: Signed adjustments.
    """

    actual: Decimal
    baseline: Decimal | None = None
    volume: Decimal | None = None
    days: int | None = None
    baseline_days: int | None = None
    estimate: Decimal | None = None
    facts: Mapping[str, Decimal] | None = None
    non_routine: tuple[NonRoutine, ...] = ()


@dataclass(frozen=True, slots=True)
class SavingsFee:
    """What one period's saving is billed.

    Attributes:
        baseline: After adjustments.
        savings: Baseline less actual; below zero for a loss.
        reached: Whether the least saving was reached.
        offset: What earlier losses took off.
        carried: The loss carried on.
        exact: The share before the cap.
        fee: After the cap, rounded once.
    """

    baseline: Decimal
    savings: Decimal
    reached: bool
    offset: Decimal
    carried: Decimal
    exact: Decimal
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
        fee = _fee(terms, facts, carried, currency)
        carried = fee.carried
        fees.append(fee)
    return tuple(fees)


def _fee(terms: SavingsTerms, facts: Facts, carried: Decimal, currency: str) -> SavingsFee:
    baseline = adjusted_baseline(terms, facts)
    savings = baseline - facts.actual
    offset = ZERO
    if terms.losses == "carry_losses":
        offset = min(carried, max(ZERO, savings))
        carried += max(ZERO, -savings) - offset
    reached = savings >= terms.minimum_rate * baseline
    share = terms.share * max(ZERO, savings - offset) if reached else ZERO
    caps = [cap for cap in (terms.cap, _of(terms.cap_share, baseline)) if cap is not None]
    capped = min([share, *caps])
    return SavingsFee(baseline, savings, reached, offset, carried, share, round_money(capped, currency))


def _of(share: Decimal | None, baseline: Decimal) -> Decimal | None:
    return None if share is None else share * baseline


@exact
def share_fee(terms: SavingsTerms, value: Decimal, currency: str) -> Decimal:
    """The share of a value already found (hours saved, an effect), up to the cap, rounded once."""
    shared = terms.share * max(ZERO, value)
    return round_money(shared if terms.cap is None else min(shared, terms.cap), currency)


@dataclass(frozen=True, slots=True)
class Work:
    """Items of one kind: how long each took now, and how long it took before."""

    items: Decimal
    measured_minutes: Decimal
    baseline_minutes: Decimal | None = None


@dataclass(frozen=True, slots=True)
class HoursSaved:
    """Hours saved and what they are worth."""

    hours: Decimal
    value: Decimal


@exact
def hours_saved(terms: HourTerms, work: Sequence[Work]) -> HoursSaved:
    """Σ items × (baseline − measured) minutes; an item that took longer counts against the others, or as nothing."""
    minutes = value = ZERO
    for each in work:
        before = each.baseline_minutes if each.baseline_minutes is not None else terms.baseline_minutes
        saved = each.items * (before - each.measured_minutes)
        minutes += max(ZERO, saved) if terms.negative == "floor_each" else saved
    value = minutes * terms.hour_value / _MINUTES
    return HoursSaved(minutes / _MINUTES, value)


def working_days(start: date, end: date, holidays: Iterable[date] = ()) -> int:
    """Mondays to Fridays in ``[start, end)`` that are no holidays of the definition's list."""
    off = frozenset(holidays)
    days = (start + timedelta(days=index) for index in range((end - start).days))
    return sum(day.weekday() < 5 and day not in off for day in days)
