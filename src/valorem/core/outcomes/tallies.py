"""Counters of outcomes: commutative sums per quarter hour that need no clock to come true.

A fold knows when an assumed outcome will be confirmed, so the future confirmation is counted at once, in the quarter hour
in which it falls. A later refutation moves it by writing the difference. What a page shows *now* is then a sum of buckets
that have passed, plus the few results of the bucket that is running.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.states import Outcome, Result
from valorem.core.time import quarter_hour_of

Series = Literal["assumed", "confirmed", "cancelled", "rejected", "reversed", "restated"]


class Slot(NamedTuple):
    """Where a change is counted.

    Attributes:
        series: What happened.
        bucket: The quarter hour in which it happens.
        of: For reversals and restatements, the quarter hour of the confirmation they belong to; else the bucket itself.
        dimensions: Values of the definition's dimensions.
        digest: The definition that governs.
    """

    series: Series
    bucket: datetime
    of: datetime
    dimensions: tuple[str | None, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many, and what they are worth.

    Attributes:
        n: Results, whole ones.
        credit: The same, each times our share of it.
        value: In the definition's currency.
    """

    n: int = 0
    credit: Decimal = ZERO
    value: Decimal = ZERO

    def __add__(self, other: "Count") -> "Count":
        return Count(self.n + other.n, self.credit + other.credit, self.value + other.value)

    def __neg__(self) -> "Count":
        return Count(-self.n, -self.credit, -self.value)

    def __sub__(self, other: "Count") -> "Count":
        return self + -other

    def __bool__(self) -> bool:
        return bool(self.n or self.credit or self.value)


NOTHING = Count()
Tallies = Mapping[Slot, Count]


@exact
def tally(outcomes: Iterable[Outcome]) -> dict[Slot, Count]:
    """Everything outcomes add to the counters, what silence will bring included."""
    found: defaultdict[Slot, Count] = defaultdict(Count)
    for outcome in outcomes:
        for slot, count in _entries(outcome):
            found[slot] += count
    return {slot: count for slot, count in found.items() if count}


@exact
def difference(before: Outcome | None, after: Outcome) -> dict[Slot, Count]:
    """What an event changes: the counters of its outcome now, less those before. Adding it is commutative."""
    return merge(tally([after]), {slot: -count for slot, count in tally([before] if before else []).items()})


@exact
def merge(*tallies: Tallies) -> dict[Slot, Count]:
    """The sum of counters; what sums to nothing is left out."""
    found: defaultdict[Slot, Count] = defaultdict(Count)
    for each in tallies:
        for slot, count in each.items():
            found[slot] += count
    return {slot: count for slot, count in found.items() if count}


def _entries(outcome: Outcome) -> Iterator[tuple[Slot, Count]]:
    for result in outcome.results:

        def slot(series: Series, at: datetime, of: datetime | None = None, by: Result = result) -> Slot:
            bucket = quarter_hour_of(at)
            belongs = bucket if of is None else quarter_hour_of(of)
            return Slot(series, bucket, belongs, by.dimensions, outcome.digest)

        value = result.value or ZERO
        whole = Count(1, result.credit, value)
        yield slot("assumed", result.accepted_at), whole
        yield slot(result.end, result.ends_at), whole
        if result.reversed_at is not None:
            restated = sum((each.change for each in result.restated), ZERO)
            worth = Count(1, result.credit, value + restated)
            yield slot("reversed", result.reversed_at, result.ends_at), worth
        for each in result.restated:
            yield slot("restated", each.at, result.ends_at), Count(0, ZERO, each.change)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a page shows at one instant, without any write.

    Attributes:
        assumed: Results whose window is running.
        confirmed: Results confirmed so far, reversed ones included.
        reversed: Of these, taken back.
        cancelled: Refuted within their window.
        next_matures_at: When the next assumed one is confirmed if nothing is heard; ``None`` where none is assumed.
    """

    assumed: Count
    confirmed: Count
    reversed: Count
    cancelled: Count
    next_matures_at: datetime | None


@exact
def standing(tallies: Tallies, current: Iterable[Outcome], now: datetime) -> Standing:
    """Full buckets before now, and single results of the bucket that is running.

    Args:
        tallies: All counters, those of the future too.
        current: Every outcome with a change in the quarter hour of ``now`` or a window that ends within the next one to be
            looked at; outcomes without one do no harm.
        now: The instant.
    """
    running = quarter_hour_of(now)
    sums: defaultdict[Series, Count] = defaultdict(Count)
    for slot, count in tallies.items():
        if slot.bucket < running:
            sums[slot.series] += count
    matures: list[datetime] = []
    for outcome in current:
        for result in outcome.results:
            for series, at, count in _moments(result):
                if quarter_hour_of(at) == running and at <= now:
                    sums[series] += count
            if result.accepted_at <= now < result.ends_at:
                matures.append(result.ends_at)
    ended = sums["confirmed"] + sums["cancelled"] + sums["rejected"]
    return Standing(
        assumed=sums["assumed"] - ended,
        confirmed=sums["confirmed"],
        reversed=sums["reversed"],
        cancelled=sums["cancelled"],
        next_matures_at=min(matures, default=None),
    )


def _moments(result: Result) -> Iterator[tuple[Series, datetime, Count]]:
    whole = Count(1, result.credit, result.value or ZERO)
    yield "assumed", result.accepted_at, whole
    yield result.end, result.ends_at, whole
    if result.reversed_at is not None:
        restated = sum((each.change for each in result.restated), ZERO)
        yield "reversed", result.reversed_at, whole + Count(0, ZERO, restated)
    for each in result.restated:
        yield "restated", each.at, Count(0, ZERO, each.change)
