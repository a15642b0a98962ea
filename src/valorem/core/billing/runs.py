"""Stretches of a period over which a meter is counted without a break, whatever its price is in between."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from valorem.core.billing.terms import PricedMeter, Stretch, Terms
from valorem.core.metering.meter import Meter
from valorem.core.periods import Interval
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.price import Price


@dataclass(frozen=True, slots=True)
class PriceOverTime:
    """Prices of one meter one after the other: tiers and included quantities run on from one to the next.

    Attributes:
        parts: From when each is in force, in order; the first also before.
    """

    parts: tuple[tuple[datetime, Price], ...]

    @property
    def name(self) -> str | None:
        """How its lines are called."""
        return self.parts[-1][1].name

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The meter's dimensions it looks at, the same of every part."""
        return self.parts[0][1].dimensions

    @property
    def reads_events(self) -> bool:
        """Whether segments must carry the values of single events in order of time."""
        return any(price.reads_events for _, price in self.parts)

    def at(self, instant: datetime, zone: ZoneInfo | None = None) -> PriceBase:
        """The numbers in force at an instant."""
        found = self.parts[0][1]
        for since, price in self.parts[1:]:
            if since > instant:
                break
            found = price
        return found.at(instant, zone)

    def edges(self, start: datetime, end: datetime, zone: ZoneInfo | None = None) -> tuple[datetime, ...]:
        """The instants strictly inside ``[start, end)`` at which numbers change, rising."""
        starts = [start, *(since for since, _ in self.parts[1:]), end]
        edges = {each for each in starts if start < each < end}
        for (one, other), (_, price) in zip(pairwise(starts), self.parts, strict=True):
            first, last = max(one, start), min(other, end)
            if first < last:
                edges.update(price.edges(first, last, zone))
        return tuple(sorted(edges))


@dataclass(frozen=True, slots=True)
class PricedRun:
    """A stretch over which one meter is counted on.

    Attributes:
        key: The meter's key in the plan.
        meter: The revision that is read.
        interval: The stretch.
        price: What the usage costs.
    """

    key: str
    meter: Meter
    interval: Interval
    price: Price | PriceOverTime


def priced_runs(terms: Terms, within: Interval) -> Iterator[PricedRun]:
    """The runs of every meter during an interval, by meter in the order the terms name them, then by time.

    A change of terms begins a new run where another meter revision or other dimensions are read, and by policy
    (``counting: restart``) wherever the price changes. Usage while nothing is charged for it belongs to no run.
    """
    stretches = terms.within(within)
    starts = [within.start, *(each.since for each in stretches[1:]), within.end]
    keys = dict.fromkeys(each.key for stretch in stretches for each in stretch.priced)
    for key in keys:
        open_run: list[tuple[Interval, PricedMeter]] = []
        for (start, end), stretch in zip(pairwise(starts), stretches, strict=True):
            priced = _priced(stretch, key)
            if open_run and (priced is None or not _runs_on(open_run[-1][1], priced, stretch)):
                yield _run(key, open_run)
                open_run = []
            if priced is not None:
                open_run.append((Interval(start, end), priced))
        if open_run:
            yield _run(key, open_run)


def _priced(stretch: Stretch, key: str) -> PricedMeter | None:
    if not stretch.charges_usage:
        return None
    return next((each for each in stretch.priced if each.key == key), None)


def _runs_on(before: PricedMeter, after: PricedMeter, stretch: Stretch) -> bool:
    if before.price == after.price:
        return before.meter.fingerprint() == after.meter.fingerprint()
    return (
        stretch.policies.counting == "run_on"
        and before.meter.fingerprint() == after.meter.fingerprint()
        and before.price.dimensions == after.price.dimensions
    )


def _run(key: str, parts: list[tuple[Interval, PricedMeter]]) -> PricedRun:
    whole = Interval(parts[0][0].start, parts[-1][0].end)
    prices = [(part.start, priced.price) for part, priced in parts]
    kept = [prices[0]]
    for since, price in prices[1:]:
        if price != kept[-1][1]:
            kept.append((since, price))
    whole_price = kept[0][1] if len(kept) == 1 else PriceOverTime(tuple(kept))
    return PricedRun(key, parts[0][1].meter, whole, whole_price)
