"""A live look at the next invoice: what it comes to so far, and what it will come to if use goes on as it does.

The projection scales usage, never amounts: quantities of the elapsed part of the period (counted in quarter hours) are
carried on at the same rate through every later stretch of the period, and then priced by the same functions as the
invoice, so tiers, included quantities, dated prices and minimums are right. A value whose parts do not add up (a maximum,
a number of distinct users, an average) is held as it stands. Fixed fees are not scaled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain, cycle, islice

from valorem.core.billing.draft import NOTHING_BESIDE, Beside, UsageByPeriod, draft_invoice
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed, adds_up, recent_needs, usage_needs
from valorem.core.billing.overages import overage_needs
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.billing.terms import Terms
from valorem.core.billing.thresholds import next_threshold
from valorem.core.errors import InvalidInputError
from valorem.core.metering.measured import Measured
from valorem.core.numbers import MAX_FRACTION_DIGITS, ONE, ZERO, exact
from valorem.core.periods import Interval, Period
from valorem.core.time import QUARTER_HOUR_S

_QUARTER_HOUR = timedelta(seconds=QUARTER_HOUR_S)
_QUANTUM = ONE.scaleb(-MAX_FRACTION_DIGITS)
_Values = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class UpcomingThreshold:
    """The spend threshold that is passed next: its amount, and the spend by now."""

    amount: Decimal
    spent: Decimal


@dataclass(frozen=True, slots=True)
class Preview:
    """The next invoice of a contract, seen before its time.

    Attributes:
        at: The instant looked at.
        period: The running period.
        so_far: The invoice if nothing more were used; dated fees and seats that are already agreed are in it.
        projected: The invoice if use goes on at the rate of the period so far.
        low: The lower of the projected totals at the period's rate and at that of the last days; ``None`` where the last
            days were not given.
        high: The higher of the two.
        elapsed_quarter_hours: How much of the period the rate was taken from.
        total_quarter_hours: The whole period.
        threshold: The spend threshold that is passed next; ``None`` where the terms have none.
    """

    at: datetime
    period: Interval
    so_far: Invoice
    projected: Invoice
    low: Decimal | None
    high: Decimal | None
    elapsed_quarter_hours: int
    total_quarter_hours: int
    threshold: UpcomingThreshold | None = None


@exact
def preview(
    terms: Terms,
    now: datetime,
    usage: UsageByPeriod,
    billed: Sequence[Line],
    recent: PeriodUsage | None = None,
    overage_ahead: PeriodUsage | None = None,
    beside: tuple[Beside, Beside] = (NOTHING_BESIDE, NOTHING_BESIDE),
) -> Preview:
    """The running period's invoice, so far and projected to the period's end.

    Args:
        terms: The contract's terms.
        now: The instant looked at.
        usage: As for the draft, but the running period's is the answer to ``usage_needs(terms, period, until=now)``.
        billed: As for the draft.
        recent: The answer to ``recent_needs(terms, now)``, for the range.
        overage_ahead: Credits that no grant will have paid for at the period's end; what they are now where left out.
        beside: What outcomes come to so far, and by the period's end.

    Raises:
        InvalidInputError: Where the contract does not run at that instant, or usage that is needed is missing.
    """
    period = contract_period(terms.contract, period_index_at(terms.contract, now))
    assert period is not None  # it holds an instant, so it is not empty
    total = _quarters(period.interval.start, period.interval.end)
    elapsed = min(_quarters(period.interval.start, now), total)
    running = usage.get(period.index, {})
    _check_complete(terms, period, now, running)
    needs = usage_needs(terms, period)
    known_until = period.interval.start + elapsed * _QUARTER_HOUR

    over = {need.key: running[need.key] for need in overage_needs(terms, period) if need.key in running}

    def drafted(pace: Mapping[str, _Pace | None], overage: PeriodUsage, along: Beside) -> Invoice:
        answers = {**_carried(needs, running, pace, known_until), **overage}
        invoice = draft_invoice(terms, period.index + 1, {**usage, period.index: answers}, billed, along)
        return replace(invoice, kind="preview")

    projected = drafted(
        _paces(needs, running, known_until),
        overage_ahead or over,
        beside[1],
    )
    totals: list[Decimal] = []
    if recent is not None:
        window = {
            need.key: _pace(need, recent[need.key], _quarters(need.intervals[0].start, now))
            for need in recent_needs(terms, now)
        }
        totals = sorted((projected.total, drafted(window, overage_ahead or over, beside[1]).total))
    so_far = drafted({}, over, beside[0])
    return Preview(
        at=now,
        period=period.interval,
        so_far=so_far,
        projected=projected,
        low=totals[0] if totals else None,
        high=totals[1] if totals else None,
        elapsed_quarter_hours=elapsed,
        total_quarter_hours=total,
        threshold=_upcoming(terms, period.index, now, so_far.lines, billed),
    )


@exact
def projected_usage(terms: Terms, now: datetime, running: PeriodUsage) -> PeriodUsage:
    """The usage of the whole period that holds an instant, if it goes on at the rate of the period so far.

    Args:
        terms: The contract's terms.
        now: The instant.
        running: The answer to ``usage_needs(terms, period, until=now)``.

    Returns:
        The answer to ``usage_needs(terms, period)``, as the projection of :func:`preview` has it.

    Raises:
        InvalidInputError: Where the contract does not run at that instant, or usage that is needed is missing.
    """
    period = contract_period(terms.contract, period_index_at(terms.contract, now))
    assert period is not None  # it holds an instant, so it is not empty
    _check_complete(terms, period, now, running)
    inside = period.interval
    elapsed = min(_quarters(inside.start, now), _quarters(inside.start, inside.end))
    known_until = inside.start + elapsed * _QUARTER_HOUR
    needs = usage_needs(terms, period)
    return _carried(needs, running, _paces(needs, running, known_until), known_until)


def _check_complete(terms: Terms, period: Period, now: datetime, running: PeriodUsage) -> None:
    if missing := [each.key for each in usage_needs(terms, period, until=now) if each.key not in running]:
        raise InvalidInputError(f"usage of {', '.join(missing)} is missing", field="usage")


def _upcoming(
    terms: Terms, index: int, now: datetime, lines: Sequence[Line], billed: Sequence[Line]
) -> UpcomingThreshold | None:
    thresholds = terms.at(now).plan.thresholds
    if thresholds is None:
        return None
    before = [
        line
        for line in billed
        if line.kind in ("usage", "commitment")
        and (line.period_index == index or thresholds.over == "lifetime")
    ]
    done = sum((line.amount for line in before), ZERO)
    new = [line for line in lines if line.kind in ("usage", "commitment") and line.period_index == index]
    spent = max(ZERO, done + sum((line.amount for line in new), ZERO))
    amount = next_threshold(thresholds, billed=max(ZERO, done), spent=spent)
    return None if amount is None else UpcomingThreshold(amount, spent)


@dataclass(frozen=True, slots=True)
class _Pace:
    """What was used in so many quarter hours, by dimension values."""

    used: Mapping[_Values, Measured]
    quarter_hours: int


def _paces(
    needs: Sequence[UsageNeed], running: PeriodUsage, known_until: datetime
) -> dict[str, _Pace | None]:
    return {need.key: _pace(need, running.get(need.key, ()), _counted(need, known_until)) for need in needs}


def _carried(
    needs: Sequence[UsageNeed],
    running: PeriodUsage,
    pace: Mapping[str, _Pace | None],
    known_until: datetime,
) -> dict[str, Sequence[Sequence[Measured]]]:
    return {
        need.key: _carried_on(need, running.get(need.key, ()), pace.get(need.key), known_until)
        for need in needs
    }


def _counted(need: UsageNeed, until: datetime) -> int:
    """How many quarter hours of a need's stretch are known."""
    return _quarters(need.segments[0].start, min(until, need.segments[-1].end))


def _pace(need: UsageNeed, answers: Sequence[Sequence[Measured]], quarter_hours: int) -> _Pace | None:
    if not adds_up(need.meter) or not quarter_hours:
        return None
    used: dict[_Values, Measured] = {}
    for measured in chain.from_iterable(answers):
        values = tuple(measured.dimensions.get(name) for name in need.dimensions)
        used[values] = _plus(used.get(values), measured)
    return _Pace(used, quarter_hours)


def _carried_on(
    need: UsageNeed, answers: Sequence[Sequence[Measured]], pace: _Pace | None, known_until: datetime
) -> list[list[Measured]]:
    """Answers for the whole period: what is known, and for the rest of each segment what the pace gives."""
    carried = [list(answer) for answer in answers]
    # A later segment adds nothing to what is known; of a value since the period's start that is the last one again.
    later: list[Measured] = [] if adds_up(need.meter) or not carried else carried[-1]
    carried.extend(list(later) for _ in need.segments[len(carried) :])
    if pace is None:
        return carried
    for segment, known in zip(need.segments, carried, strict=True):
        remaining = _quarters(max(segment.start, known_until), segment.end)
        if remaining <= 0:
            continue
        sums = {tuple(each.dimensions.get(name) for name in need.dimensions): each for each in known}
        for values, used in pace.used.items():
            sums[values] = _plus(sums.get(values), _scaled(used, remaining, pace.quarter_hours))
        known[:] = sums.values()
    return carried


def _scaled(used: Measured, quarter_hours: int, of: int) -> Measured:
    """What the same pace gives in so many quarter hours; single events are repeated in their order."""
    if used.values:
        count = len(used.values) * quarter_hours // of
        values = tuple(islice(cycle(used.values), count))
        return Measured(used.dimensions, sum(values, ZERO), count, values)
    quantity = (used.quantity * quarter_hours / of).quantize(_QUANTUM)
    return Measured(used.dimensions, quantity, used.events * quarter_hours // of)


def _plus(one: Measured | None, other: Measured) -> Measured:
    if one is None:
        return other
    return Measured(
        one.dimensions, one.quantity + other.quantity, one.events + other.events, one.values + other.values
    )


def _quarters(start: datetime, end: datetime) -> int:
    """How many quarter hours have begun between two instants; none where the end is not after the start."""
    return max(0, -((start - end) // _QUARTER_HOUR))
