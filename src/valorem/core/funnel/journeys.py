"""Journeys folded into a funnel: how many reached each step, how long it took, and where the others stand."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.calendar import local_date
from valorem.core.numbers import ONE, ZERO, exact

Step = Literal["signed_up", "activated", "at_80", "at_cap", "prompt_shown", "upgraded"]
STEPS: tuple[Step, ...] = ("signed_up", "activated", "at_80", "at_cap", "prompt_shown", "upgraded")
NAMES = {
    "signed_up": "signed up",
    "activated": "first success",
    "at_80": "at 80 % of a limit",
    "at_cap": "at a limit",
    "prompt_shown": "saw the prompt",
    "upgraded": "upgraded",
}


@dataclass(frozen=True, slots=True)
class Journey:
    """One customer's way.

    Attributes:
        customer: Its key.
        at: When it reached each step; a step it has not reached is absent.
        walls: Features whose limit it met, the first one first.
    """

    customer: str
    at: dict[Step, datetime]
    walls: tuple[str, ...] = ()

    @property
    def last(self) -> Step:
        """The furthest step it has reached."""
        return max(self.at, key=STEPS.index)


@dataclass(frozen=True, slots=True)
class StepCount:
    """How many reached a step.

    Attributes:
        step: Which.
        customers: How many.
        share: Of those who signed up.
        median_from_start: Half of them needed no longer than this since they signed up; None where nobody got there.
        stalled: How many got here and no further.
    """

    step: Step
    customers: int
    share: Decimal
    median_from_start: timedelta | None
    stalled: int


@dataclass(frozen=True, slots=True)
class Funnel:
    """A funnel of all, or of one cohort.

    Attributes:
        cohort: ``2026-W03`` for the ISO week of signing up; empty for all together.
        steps: In order.
        walls: Feature to how many met its limit and did not upgrade: where people stall.
    """

    cohort: str
    steps: tuple[StepCount, ...]
    walls: dict[str, int] = field(default_factory=dict)


@exact
def funnel_of(journeys: Iterable[Journey], cohort: str = "") -> Funnel:
    """Fold journeys.

    A customer who skipped a step (who upgraded without ever meeting a limit) is not counted there.
    """
    known = list(journeys)
    total = len(known)
    stalled = Counter(one.last for one in known if "upgraded" not in one.at)
    steps = []
    for step in STEPS:
        times = sorted(
            max(one.at[step] - one.at["signed_up"], timedelta(0)) for one in known if step in one.at
        )
        share = (Decimal(len(times)) / total).quantize(ONE.scaleb(-4)) if total else ZERO
        steps.append(StepCount(step, len(times), share, median(times), stalled[step]))
    walls = Counter(wall for one in known if "upgraded" not in one.at for wall in one.walls)
    return Funnel(cohort, tuple(steps), dict(walls.most_common()))


def by_cohort(journeys: Iterable[Journey], zone: str = "UTC") -> list[Funnel]:
    """One funnel for each ISO week of signing up, in order."""
    cohorts: dict[str, list[Journey]] = {}
    for one in journeys:
        year, week, _ = local_date(one.at["signed_up"], zone).isocalendar()
        cohorts.setdefault(f"{year}-W{week:02d}", []).append(one)
    return [funnel_of(cohorts[key], key) for key in sorted(cohorts)]


def median(times: Sequence[timedelta]) -> timedelta | None:
    """The lower median of sorted times."""
    return times[(len(times) - 1) // 2] if times else None
