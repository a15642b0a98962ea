"""Which usage an invoice needs: meter, intervals and dimensions to ask the counters for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from valorem.core.billing.runs import PriceOverTime, priced_runs
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.billing.terms import Terms
from valorem.core.calendar import zone_info
from valorem.core.errors import InvalidInputError
from valorem.core.metering.measured import Measured
from valorem.core.metering.meter import Meter
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval, Period
from valorem.core.pricing.lines import Segment
from valorem.core.pricing.price import Price
from valorem.core.time import write_instant

_ADDITIVE = frozenset({"count", "sum", "time_weighted_sum"})

#: For each priced meter of a plan, one answer for each interval of its need.
PeriodUsage = Mapping[str, Sequence[Sequence[Measured]]]


@dataclass(frozen=True, slots=True)
class UsageNeed:
    """One question to the counters, for one price and one period.

    Attributes:
        period_index: The period of the contract.
        key: The answer is filed under it: the meter's key in the plan; where the counting begins anew within the period,
            with the instant.
        meter_key: The meter's key in the plan.
        price: What the usage costs, over all the terms in force while it is counted.
        meter: The revision to read; its fingerprint names the counters.
        dimensions: What to tell apart; usage is added up over all others.
        intervals: Measure the meter over each of these. For a meter whose parts add up they are the segments between
            changes of the price; for any other they all begin with the period, and a segment is the increase between two.
        segments: The stretches in which no number of the price changes; as many as there are intervals.
        with_values: Whether each answer must carry the values of single events in order of time.
        customer: Whose usage, where an account is counted apart; the payer's pool where ``None``.
    """

    period_index: int
    key: str
    meter_key: str
    price: Price | PriceOverTime
    meter: Meter
    dimensions: tuple[str, ...]
    intervals: tuple[Interval, ...]
    segments: tuple[Interval, ...]
    with_values: bool
    customer: str | None = None


def usage_needs(terms: Terms, period: Period, until: datetime | None = None) -> tuple[UsageNeed, ...]:
    """What must be measured to bill one period.

    Args:
        terms: The contract's terms.
        period: From :func:`valorem.core.billing.schedule.contract_period`.
        until: For a preview: the instant looked at; nothing after it is asked for.
    """
    end = period.interval.end if until is None else min(until, period.interval.end)
    if end <= period.interval.start:
        return ()
    return terms.once(("usage needs", period, end), lambda: _needed(terms, period, end))


def _needed(terms: Terms, period: Period, end: datetime) -> tuple[UsageNeed, ...]:
    within = Interval(period.interval.start, end)
    pooled = tuple(_needs(terms, period.index, within))
    apart = (
        replace(need, key=f"{need.key}#{customer}", customer=customer)
        for customer in terms.apart
        for need in pooled
    )
    return (*pooled, *apart)


def recent_needs(terms: Terms, now: datetime, days: int = 7) -> tuple[UsageNeed, ...]:
    """The usage of the last days, from which a projection's range is made; one interval each."""
    start = max(terms.contract.start, now - timedelta(days=days))
    if start >= now:
        return ()
    running = contract_period(terms.contract, period_index_at(terms.contract, now))
    assert running is not None  # it holds an instant, so it is not empty
    whole = (Interval(start, now),)
    return tuple(
        replace(need, period_index=-1, intervals=whole, segments=whole)
        for need in usage_needs(terms, running, until=None)
    )


def _needs(terms: Terms, index: int, within: Interval) -> Iterator[UsageNeed]:
    """For each meter one need; one more wherever its counting begins anew."""
    known: set[str] = set()
    for run in priced_runs(terms, within):
        zone = zone_info(terms.contract.time_zone)
        segments = run.interval.split(run.price.edges(run.interval.start, run.interval.end, zone))
        again = f"{run.key}@{write_instant(run.interval.start)}"
        yield UsageNeed(
            period_index=index,
            key=again if run.key in known else run.key,
            meter_key=run.key,
            price=run.price,
            meter=run.meter,
            dimensions=run.price.dimensions,
            intervals=segments
            if adds_up(run.meter)
            else tuple(Interval(run.interval.start, part.end) for part in segments),
            segments=segments,
            with_values=run.price.reads_events,
        )
        known.add(run.key)


def adds_up(meter: Meter) -> bool:
    """Whether a meter's value over a whole is the sum of its values over the parts; a rounding conversion breaks that."""
    return meter.aggregate in _ADDITIVE and meter.convert is None


@exact
def segments_of(need: UsageNeed, answers: Sequence[Sequence[Measured]]) -> tuple[Segment, ...]:
    """The answers to a need as the segments pricing takes.

    Raises:
        InvalidInputError: Where there is not one answer for each interval.
    """
    if len(answers) != len(need.intervals):
        raise InvalidInputError(
            f"{len(need.intervals)} intervals of {need.key} were asked for, {len(answers)} answered",
            field=f"usage.{need.key}",
        )
    if not adds_up(need.meter):
        answers = _increases(need.dimensions, answers)
    return tuple(
        Segment(part.start, part.end, tuple(measured))
        for part, measured in zip(need.segments, answers, strict=True)
    )


def _increases(names: tuple[str, ...], answers: Sequence[Sequence[Measured]]) -> list[list[Measured]]:
    """From values since the period's start to what each segment added to them."""
    increases: list[list[Measured]] = []
    earlier: dict[tuple[str | None, ...], Measured] = {}
    for answer in answers:
        increase = []
        for measured in answer:
            values = tuple(measured.dimensions.get(name) for name in names)
            known = earlier.get(values, Measured(measured.dimensions, ZERO, 0))
            increase.append(
                replace(
                    measured,
                    quantity=measured.quantity - known.quantity,
                    events=measured.events - known.events,
                    values=measured.values[len(known.values) :],
                )
            )
            earlier[values] = measured
        increases.append(increase)
    return increases
