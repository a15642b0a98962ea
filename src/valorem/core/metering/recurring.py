"""Levels that carry over periods, such as seats: prorated by day, averaged over time, or billed in advance.

Shares of a period are exact fractions of whole days in the contract's zone; a day on which something is present at all
counts in full.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from valorem.core.calendar import local_date
from valorem.core.errors import InvalidInputError
from valorem.core.metering.tally import epoch_s
from valorem.core.numbers import EXACT


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a period, half-open: ``start`` belongs to it, ``end`` does not."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start > self.end:
            raise InvalidInputError(f"a period cannot end ({self.end}) before it starts ({self.start})")

    def __len__(self) -> int:
        return (self.end - self.start).days

    def overlap(self, other: "Days") -> "Days":
        """The days in both."""
        start = max(self.start, other.start)
        return Days(start, max(start, min(self.end, other.end)))

    def share_from(self, day: date) -> Fraction:
        """The share of the period from ``day``, itself included, to the end."""
        return Fraction(len(self.overlap(Days(min(day, self.end), self.end))), len(self))


@dataclass(frozen=True, slots=True)
class Change:
    """A thing (a seat, a user, a volume) comes or goes at an instant."""

    at: datetime
    key: str
    added: bool


def to_quantity(fraction: Fraction) -> Decimal:
    """A fraction as a decimal of 100 digits; rounded where it is billed."""
    return EXACT.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))


def prorated_sum(period: Days, carried: Decimal, additions: Iterable[tuple[date, Decimal]]) -> Fraction:
    """Σ value · share of the period from its day on; what was carried in counts in full.

    Args:
        period: The whole billing period, whose days are the denominator.
        carried: The level at the period's start.
        additions: Changes of the level within the period (negative for a decrease), with their day.
    """
    return Fraction(carried) + sum(
        (Fraction(value) * period.share_from(day) for day, value in additions), Fraction(0)
    )


def present(changes: Iterable[Change], carried: Collection[str] = ()) -> set[str]:
    """What is there after all changes; adding what is there, or removing what is not, changes nothing."""
    there = set(carried)
    for change in sorted(changes, key=lambda change: change.at):
        (there.add if change.added else there.discard)(change.key)
    return there


def prorated_unique(
    period: Days,
    changes: Iterable[Change],
    *,
    carried: Collection[str] = (),
    active: Days | None = None,
    zone: str,
) -> Fraction:
    """Σ over things of (days of the period on which it was there) / (days of the period).

    Args:
        period: The whole billing period, whose days are the denominator.
        changes: Comings and goings within it; the day of either counts in full, and once however often it toggles.
        carried: What was there when the period began.
        active: The days the contract bills, where it begins or ends within the period.
        zone: Decides the day of an instant.
    """
    billed = period if active is None else period.overlap(active)
    spans: dict[str, list[Days]] = {}
    since = dict.fromkeys(carried, period.start)
    for change in sorted(changes, key=lambda change: change.at):
        day = local_date(change.at, zone)
        if change.added:
            since.setdefault(change.key, day)
        elif change.key in since:
            spans.setdefault(change.key, []).append(Days(since.pop(change.key), day + timedelta(days=1)))
    for key, day in since.items():
        spans.setdefault(key, []).append(Days(day, max(day, period.end)))
    return Fraction(sum(_distinct_days(parts, billed) for parts in spans.values()), len(period))


def _distinct_days(spans: Sequence[Days], within: Days) -> int:
    """How many days of ``within`` lie in at least one of the spans, which are in order of their start."""
    count, reached = 0, within.start
    for span in spans:
        part = Days(reached, within.end).overlap(span) if reached < within.end else Days(reached, reached)
        count += len(part)
        reached = max(reached, part.end)
    return count


@dataclass(frozen=True, slots=True)
class InAdvance:
    """Where a level billed in advance stands after one change.

    Attributes:
        present: Things there now.
        billed: Units billed so far in the period, with those carried in: only a rise above the period's highest level
            adds to it, and a fall returns nothing.
    """

    present: int
    billed: Fraction


def billed_in_advance(
    period: Days,
    changes: Iterable[Change],
    *,
    carried: Collection[str] = (),
    prorated: bool,
    zone: str,
) -> list[InAdvance]:
    """What is billed in advance after each change, in order of time.

    Args:
        period: The whole billing period, whose days are the denominator.
        changes: Comings and goings within it.
        carried: What was there when the period began, billed in full.
        prorated: Whether a rise is billed for the days from its own to the period's end, or for the whole period.
        zone: Decides the day of an instant.
    """
    there = set(carried)
    highest, billed = len(there), Fraction(len(there))
    states = []
    for change in sorted(changes, key=lambda change: change.at):
        (there.add if change.added else there.discard)(change.key)
        if len(there) > highest:
            rise = len(there) - highest
            billed += rise * (period.share_from(local_date(change.at, zone)) if prorated else 1)
            highest = len(there)
        states.append(InAdvance(len(there), billed))
    return states


def mean_level(level_seconds: Decimal, start: datetime, end: datetime) -> Decimal:
    """A time-weighted sum as units: level-seconds over the seconds of ``[start, end)``."""
    seconds = EXACT.subtract(epoch_s(end), epoch_s(start))
    if seconds <= 0:
        raise InvalidInputError("an average over time needs an interval of more than no time")
    return EXACT.divide(level_seconds, seconds)


def increments(levels: Sequence[Decimal], before: Decimal = Decimal(0)) -> list[Decimal]:
    """What each reading of a level adds to the one before it; negative where it fell."""
    return [EXACT.subtract(level, earlier) for earlier, level in zip((before, *levels), levels, strict=False)]


def swapped(before_swap: Decimal, replaced_at_swap: Decimal, now: Decimal) -> Decimal:
    """The quantity of a period in which one meter took over from another.

    Args:
        before_swap: The replaced meter's quantity up to the swap.
        replaced_at_swap: The new meter's quantity up to the swap, which is not to count twice.
        now: The new meter's quantity up to now.
    """
    return EXACT.subtract(EXACT.add(now, before_swap), replaced_at_swap)
