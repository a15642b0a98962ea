"""Graduated and volume prices of a level that is prorated by day, such as seats or stored volumes.

The full level picks the tiers; the share of the period for which each unit was there is what is charged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from valorem.core.metering.recurring import Change, Days, to_quantity
from valorem.core.numbers import ZERO, exact
from valorem.core.pricing.graduated import Graduated
from valorem.core.pricing.parts import Usage, total
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies
from valorem.core.pricing.volume import Volume


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A rise or fall of a level.

    Attributes:
        full: By how many units.
        prorated: The same times the share of the period that was left.
    """

    full: Decimal
    prorated: Decimal


@exact
def prorate_changes(
    period: Days, carried: Decimal, changes: Iterable[tuple[date, Decimal]], *, until: date | None = None
) -> tuple[LevelChange, ...]:
    """Weigh changes of a level by the share of the period from their day on; what was carried in counts in full.

    Args:
        period: The whole billing period, whose days are the denominator.
        carried: The level at its start.
        changes: Day and units, in order of time.
        until: The first day that is no longer billed, where the contract ends within the period.
    """
    end = until if until is not None else period.end

    def weighed(units: Decimal, day: date) -> LevelChange:
        share = period.share_from(day) - period.share_from(end)
        return LevelChange(units, to_quantity(Fraction(units) * share))

    whole = (weighed(carried, period.start),) if carried else ()
    return (*whole, *(weighed(units, day) for day, units in changes))


def toggles(changes: Iterable[Change], carried: Iterable[str] = ()) -> tuple[tuple[date, Decimal], ...]:
    """Comings and goings of things as changes of their number; whatever changes nothing is left out.

    A thing that goes still counts on that day, so its fall begins on the next; when it comes back on the same day, so
    does its rise.
    """
    there = set(carried)
    left_on: dict[str, date] = {}
    level: list[tuple[date, Decimal]] = []
    for change in changes:
        day = change.at.date()
        if change.added and change.key not in there:
            there.add(change.key)
            gone = left_on.get(change.key)
            level.append((day if gone is None else max(day, gone + timedelta(days=1)), Decimal(1)))
        elif not change.added and change.key in there:
            there.remove(change.key)
            left_on[change.key] = day
            level.append((day + timedelta(days=1), Decimal(-1)))
    return tuple(level)


@exact
def rate_prorated_graduated(
    price: Graduated, changes: Sequence[LevelChange], policies: PricePolicies = DEFAULT_POLICIES
) -> Decimal:
    """The exact amount for one period.

    Each change fills tiers by the full level, or empties them from the top, and is charged for its prorated share. Flat
    fees are never prorated: every tier that the highest level reached is due once. Units never cost less than nothing.
    """
    level = highest = charged = ZERO
    for change in changes:
        after = level + change.full
        moved = _units(price, after, policies) - _units(price, level, policies)
        charged += moved * change.prorated / change.full if change.full else ZERO
        level, highest = after, max(highest, after)
    if level < 0:
        return ZERO
    return max(ZERO, charged) + _flats(price, highest, policies)


def _units(price: Graduated, level: Decimal, policies: PricePolicies) -> Decimal:
    parts = price.parts(Usage(max(ZERO, level)), policies)
    return sum((part.amount for part in parts if part.key.endswith("_usage")), ZERO)


def _flats(price: Graduated, level: Decimal, policies: PricePolicies) -> Decimal:
    parts = price.parts(Usage(level), policies)
    return sum((part.amount for part in parts if not part.key.endswith("_usage")), ZERO)


@exact
def rate_prorated_volume(
    price: Volume, full: Decimal, prorated: Decimal, policies: PricePolicies = DEFAULT_POLICIES
) -> Decimal:
    """The exact amount for one period: the tier of the full units, its amount on the prorated ones, its flat fee whole."""
    return total(price.parts(Usage(prorated, standing=full), policies))
