"""Billing periods: half-open intervals that tile the line, kept to their anchor in the contract's time zone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import Literal, get_args

from valorem.core.calendar import add_days, add_months, instant_of, local
from valorem.core.errors import InvalidInputError
from valorem.core.time import write_instant

Unit = Literal["day", "week", "month", "quarter", "year"]
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A stretch of time from ``start`` (in it) to ``end`` (not in it), both in UTC.

    Raises:
        InvalidInputError: Where the end is not after the start, or an instant has no zone.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC or self.end.tzinfo is not UTC:
            if self.start.tzinfo is None or self.end.tzinfo is None:
                raise InvalidInputError("an interval's instants need a time zone", field="start")
            object.__setattr__(self, "start", self.start.astimezone(UTC))
            object.__setattr__(self, "end", self.end.astimezone(UTC))
        if self.end <= self.start:
            raise InvalidInputError(
                f"the end {write_instant(self.end)} is not after the start {write_instant(self.start)}",
                field="end",
            )

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"{write_instant(self.start)}/{write_instant(self.end)}"

    def overlap(self, other: "Interval") -> "Interval | None":
        """What both intervals have in common, or nothing."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None

    def split(self, edges: Iterable[datetime]) -> "tuple[Interval, ...]":
        """The interval cut at every edge strictly inside it, in order."""
        cuts = [self.start, *sorted({edge for edge in edges if self.start < edge < self.end}), self.end]
        return tuple(Interval(start, end) for start, end in pairwise(cuts))

    def seconds(self) -> Decimal:
        """Its exact length in seconds."""
        return Decimal((self.end - self.start) // timedelta(microseconds=1)).scaleb(-6)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often something recurs: every ``count`` units.

    Raises:
        InvalidInputError: For a count below one or a unit a calendar has not.
    """

    count: int
    unit: Unit

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise InvalidInputError(
                f"unknown unit {self.unit!r}", field="every", hint="use day, week, month, quarter or year"
            )
        if not 1 <= self.count <= 1200:  # a century of months; more is a slip of the pen
            raise InvalidInputError(
                f"every {self.count} {self.unit}s is no cadence", field="every", hint="count 1 to 1200"
            )

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'s' if self.count != 1 else ''}"

    @property
    def months(self) -> int:
        """Its length in months; 0 where it is a number of days."""
        return self.count * _MONTHS.get(self.unit, 0)

    @property
    def days(self) -> int:
        """Its length in days; 0 where it is a number of months."""
        return self.count * _DAYS.get(self.unit, 0)

    def after(self, day: date, times: int) -> date:
        """The date ``times`` cadences from a date, its day of the month kept where the month has it."""
        return add_months(day, self.months * times) if self.months else add_days(day, self.days * times)


def longest(cadences: Iterable[Cadence]) -> Cadence:
    """The longest of several cadences: the term of a contract that carries them all."""
    return max(cadences, key=_nominal_days)


def shortest(cadences: Iterable[Cadence]) -> Cadence:
    """The shortest of several cadences: the billing interval of a contract that carries them all."""
    return min(cadences, key=_nominal_days)


def _nominal_days(cadence: Cadence) -> Decimal:
    mean_month = Decimal("30.436875")  # 400 Gregorian years are 146,097 days
    return cadence.days + cadence.months * mean_month


@dataclass(frozen=True, slots=True)
class Period:
    """One period of a contract.

    Attributes:
        index: Which one, counted from the anchor; negative before it.
        interval: The part that lies inside the contract.
        full: The whole period, by which a part is prorated.
    """

    index: int
    interval: Interval
    full: Interval

    @property
    def partial(self) -> bool:
        """Whether the contract's start or end cuts it."""
        return self.interval != self.full


@lru_cache(maxsize=65_536)
def boundary(anchor: datetime, cadence: Cadence, zone: str, index: int) -> datetime:
    """The ``index``-th period border from the anchor (index 0), in UTC.

    The anchor's wall time and day are kept: an anchor on the 31st gives Feb 28 or 29 and Mar 31 again, Feb 29 gives
    Feb 28 in common years. Borders never decrease; two are equal only where the zone skipped the day between them.
    """
    if index == 0:  # also where the anchor is the second pass of a repeated hour
        return anchor.astimezone(UTC)
    wall = local(anchor, zone)
    return instant_of(datetime.combine(cadence.after(wall.date(), index), wall.time()), zone)


def full_period(anchor: datetime, cadence: Cadence, zone: str, index: int) -> Interval | None:
    """The whole period between borders ``index`` and ``index + 1``; nothing where the zone skipped it."""
    start, end = (boundary(anchor, cadence, zone, k) for k in (index, index + 1))
    return Interval(start, end) if start < end else None


def index_at(anchor: datetime, cadence: Cadence, zone: str, at: datetime) -> int:
    """The index of the one non-empty period that holds an instant."""
    here, there = local(anchor, zone).date(), local(at, zone).date()
    if cadence.months:
        guess = ((there.year - here.year) * 12 + there.month - here.month) // cadence.months
    else:
        guess = (there - here).days // cadence.days
    while boundary(anchor, cadence, zone, guess) > at:
        guess -= 1
    while boundary(anchor, cadence, zone, guess + 1) <= at:
        guess += 1
    return guess


def period_at(anchor: datetime, cadence: Cadence, zone: str, at: datetime) -> Period:
    """The whole period that holds an instant."""
    index = index_at(anchor, cadence, zone, at)
    full = Interval(boundary(anchor, cadence, zone, index), boundary(anchor, cadence, zone, index + 1))
    return Period(index, full, full)


def periods_between(anchor: datetime, cadence: Cadence, zone: str, within: Interval) -> Iterator[Period]:
    """The periods that overlap an interval, in order; the first and last are cut to it and know their full period."""
    index = index_at(anchor, cadence, zone, within.start)
    start = boundary(anchor, cadence, zone, index)
    while start < within.end:
        end = boundary(anchor, cadence, zone, index + 1)
        if start < end:
            full = Interval(start, end)
            if inside := full.overlap(within):
                yield Period(index, inside, full)
        start, index = end, index + 1


def calendar_anchor(start: datetime, cadence: Cadence, zone: str) -> datetime:
    """The anchor that puts borders on the calendar: local midnight of a Monday, of the 1st, of Jan, Apr, Jul or Oct 1.

    It is at or before the start. Where clocks skipped that midnight an earlier one of the same row is taken, so that
    later borders stay at midnight.
    """
    wall = local(start, zone)
    day = wall.date()
    if cadence.unit == "week":
        day = add_days(day, -day.weekday())
    elif cadence.unit == "month":
        day = day.replace(day=1)
    elif cadence.unit == "quarter":
        day = day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    elif cadence.unit == "year":
        day = day.replace(month=1, day=1)
    while True:
        midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - wall time of the zone
        anchor = instant_of(midnight, zone)
        if local(anchor, zone).replace(tzinfo=None) == midnight:
            return anchor
        day = cadence.after(day, -1)
