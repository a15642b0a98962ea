"""Hours saved: what took longer before, and what the difference is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.terms import HourTerms

MINUTES = Decimal(60)


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
    value = minutes * terms.hour_value / MINUTES
    return HoursSaved(minutes / MINUTES, value)
