"""What each period did to the quantities that are billed: read off the counters, never off single events."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.calendar import local_date
from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.tallies import Slot, Tallies
from valorem.core.periods import Interval

#: Values of the definition's dimensions, in order of their names, to a quantity.
Quantities = Mapping[tuple[str | None, ...], Decimal]


@dataclass(frozen=True)
class Activity:
    """What one period did to the quantities of itself and of earlier periods.

    Attributes:
        period: Which.
        added: Confirmed in it.
        taken: By the index of the period of their confirmation: reversed in this one.
        restated: By the same: changes of value in this one.
        late: By the same: what evidence changed that arrived after that period was billed.
    """

    period: Interval
    added: Quantities = field(default_factory=dict)
    taken: Mapping[int, Quantities] = field(default_factory=dict)
    restated: Mapping[int, Quantities] = field(default_factory=dict)
    late: Mapping[int, Quantities] = field(default_factory=dict)


def summed(*quantities: Quantities) -> dict[tuple[str | None, ...], Decimal]:
    """The sum for each combination of dimension values; what sums to nothing is left out."""
    found: defaultdict[tuple[str | None, ...], Decimal] = defaultdict(Decimal)
    for each in quantities:
        for values, quantity in each.items():
            found[values] += quantity
    return {values: quantity for values, quantity in found.items() if quantity}


def negated(quantities: Quantities) -> dict[tuple[str | None, ...], Decimal]:
    """The same with its sign turned."""
    return {values: -quantity for values, quantity in quantities.items()}


@exact
def activities_of(
    definition: OutcomeDefinition, tallies: Tallies, periods: Sequence[Interval], frame: Frame
) -> tuple[Activity, ...]:
    """Read what each period did off the counters of one definition version.

    Period borders lie on the quarter-hour grid, so the sums are exact.

    Args:
        definition: What it bills (number or value) and its cap per day.
        tallies: Counters of billable outcomes of this version.
        periods: In order of time, without gaps.
        frame: The contract's calendar, for days.
    """
    changes = _Changes(definition, periods)
    for slot, count in tallies.items():
        quantity = count.value if definition.bills == "value" else count.credit
        changes.add(slot, quantity)
    if definition.cap is not None and definition.cap.per == "day":
        return changes.capped_by_day(definition.cap.quantity, frame)
    return changes.activities()


@exact
def activities_known(
    definition: OutcomeDefinition,
    tallies_at_close: Sequence[Tallies],
    periods: Sequence[Interval],
    frame: Frame,
) -> tuple[Activity, ...]:
    """The same where each period was closed on what was known by then.

    Whatever a later close counts differently for an earlier period, and no reversal or restatement of its own period
    explains, came late.

    Args:
        definition: As for :func:`activities_of`.
        tallies_at_close: For each period, the counters of the evidence known when it was closed.
        periods: In order of time, without gaps.
        frame: The contract's calendar.
    """
    closed: list[Activity] = []
    before: list[dict[tuple[str | None, ...], Decimal]] = []
    for index, tallies in enumerate(tallies_at_close):
        known = activities_of(definition, tallies, periods[: index + 1], frame)
        now = [
            summed(
                known[of].added,
                *(negated(each.taken.get(of, {})) for each in known),
                *(each.restated.get(of, {}) for each in known),
            )
            for of in range(index + 1)
        ]
        last = known[index]
        late = {
            of: summed(
                now[of],
                negated(before[of]),
                last.taken.get(of, {}),
                negated(last.restated.get(of, {})),
            )
            for of in range(index)
        }
        closed.append(replace(last, late={of: change for of, change in late.items() if change}))
        before = now
    return tuple(closed)


class _Changes:
    """Single changes of quantities, each with the period it happens in and the bucket it belongs to."""

    def __init__(self, definition: OutcomeDefinition, periods: Sequence[Interval]) -> None:
        self.definition, self.periods = definition, periods
        self.starts = [period.start for period in periods]
        self.found: list[tuple[int, Slot, Decimal]] = []

    def add(self, slot: Slot, quantity: Decimal) -> None:
        if slot.series not in ("confirmed", "reversed", "restated") or not quantity:
            return
        if slot.series == "restated" and self.definition.bills != "value":
            return
        at = self._index(slot.bucket)
        if at is not None and self._index(slot.of) is not None:
            self.found.append((at, slot, quantity))

    def _index(self, at: datetime) -> int | None:
        index = bisect_right(self.starts, at) - 1
        return index if index >= 0 and at in self.periods[index] else None

    def activities(self) -> tuple[Activity, ...]:
        added: list[list[Quantities]] = [[] for _ in self.periods]
        taken: list[defaultdict[int, list[Quantities]]] = [defaultdict(list) for _ in self.periods]
        restated: list[defaultdict[int, list[Quantities]]] = [defaultdict(list) for _ in self.periods]
        for at, slot, quantity in self.found:
            values = slot.dimensions
            of = self._index(slot.of)
            assert of is not None  # add() has seen to it
            match slot.series:
                case "confirmed":
                    added[at].append({values: quantity})
                case "reversed":
                    taken[at][of].append({values: quantity})
                case _:
                    restated[at][of].append({values: quantity})
        return tuple(
            Activity(
                period,
                summed(*added[index]),
                {of: summed(*parts) for of, parts in taken[index].items()},
                {of: summed(*parts) for of, parts in restated[index].items()},
            )
            for index, period in enumerate(self.periods)
        )

    def capped_by_day(self, cap: Decimal, frame: Frame) -> tuple[Activity, ...]:
        """The same with no local day counting more than the cap, as it stands at the end of each period."""
        days: defaultdict[tuple[int, object], Decimal] = defaultdict(Decimal)
        activities = []
        for index, period in enumerate(self.periods):
            before = dict(days)
            for at, slot, quantity in self.found:
                if at == index:
                    of = self._index(slot.of)
                    assert of is not None  # add() has seen to it
                    sign = -1 if slot.series == "reversed" else 1
                    days[of, local_date(slot.of, frame.zone)] += sign * quantity
            moved: defaultdict[int, Decimal] = defaultdict(Decimal)
            for (of, day), quantity in days.items():
                moved[of] += min(cap, quantity) - min(cap, before.get((of, day), ZERO))
            activities.append(
                Activity(
                    period,
                    {(): moved.pop(index, ZERO)},
                    {of: {(): -quantity} for of, quantity in moved.items() if quantity < 0},
                    {of: {(): quantity} for of, quantity in moved.items() if quantity > 0},
                )
            )
        return tuple(activities)
