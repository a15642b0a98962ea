"""Counts and money of outcomes, period by period, in any zone and by any billing interval."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.numbers import exact
from valorem.core.outcomes.activities import activities_of
from valorem.core.outcomes.billing import bill
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.states import Outcome
from valorem.core.outcomes.tallies import Tallies, tally
from valorem.core.periods import Interval


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """What happened in one period, and what it is billed.

    Attributes:
        label: ``2026-03`` for a calendar month, else the period's first local date.
        period: Which.
        assumed: Accepted in it.
        confirmed: Confirmed in it, whatever became of them later.
        cancelled: Refuted in it within their window.
        reversed: Taken back in it, whenever they were confirmed.
        amount: Usage, and credits for what earlier periods lost.
    """

    label: str
    period: Interval
    assumed: int
    confirmed: int
    cancelled: int
    reversed: int
    amount: Decimal

    @property
    def net(self) -> int:
        """Confirmed less reversed."""
        return self.confirmed - self.reversed


def spanned(tallies: Tallies, frame: Frame) -> tuple[Interval, ...]:
    """The periods from the first thing that happened to the last, without gaps."""
    indices = {frame.period_of(bucket) for bucket in {slot.bucket for slot in tallies}}
    return tuple(frame.period(index) for index in range(min(indices), max(indices) + 1)) if indices else ()


@exact
def totals(
    definition: OutcomeDefinition,
    outcomes: Iterable[Outcome],
    frame: Frame,
    until: datetime | None = None,
) -> tuple[PeriodTotals, ...]:
    """Every period's counts and money, from the first in which something happened to the last.

    Args:
        definition: With its price.
        outcomes: Under this definition.
        frame: The zone and the billing interval; any calendar will do, because the states do not depend on it.
        until: What happens at this instant or later is left out; everything that silence brings where left out.
    """
    counted = tally(outcomes)
    if until is not None:
        counted = {slot: count for slot, count in counted.items() if slot.bucket < until}
    periods = spanned(counted, frame)
    counts = _counts(counted, frame)
    bills = bill(definition, activities_of(definition, counted, periods, frame), frame)
    found = []
    for period, billed in zip(periods, bills, strict=True):
        index = frame.period_of(period.start)
        found.append(
            PeriodTotals(
                label=frame.label(index),
                period=period,
                assumed=counts["assumed", index],
                confirmed=counts["confirmed", index],
                cancelled=counts["cancelled", index],
                reversed=counts["reversed", index],
                amount=billed.total,
            )
        )
    return tuple(found)


def _counts(tallies: Tallies, frame: Frame) -> Counter[tuple[str, int]]:
    """(series, period) to how many."""
    periods = {bucket: frame.period_of(bucket) for bucket in {slot.bucket for slot in tallies}}
    counts: Counter[tuple[str, int]] = Counter()
    for slot, count in tallies.items():
        counts[slot.series, periods[slot.bucket]] += count.n
    return counts
