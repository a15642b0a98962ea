"""Amendments: what would change in words, and in money on the evidence that is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.diff import Change, diff_catalogs
from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.charging import charge, total_of
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Recorded
from valorem.core.outcomes.signing import PARTIES, DefinitionVersion, Signature
from valorem.core.outcomes.states import State
from valorem.core.periods import Interval
from valorem.core.time import quarter_hour_of


@dataclass(frozen=True, slots=True)
class PeriodDifference:
    """What one period would have been billed.

    Attributes:
        period: Which.
        before: Under the definition as it stands.
        after: Under the amendment.
    """

    period: Interval
    before: Decimal
    after: Decimal

    @property
    def change(self) -> Decimal:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class AmendmentBacktest:
    """An amendment on recorded evidence, without touching anything.

    Attributes:
        changes: What the text changes, in plain sentences.
        periods: The money of each period, before and after.
        moved: Key to its state before and after, where they differ at the end of the last period.
    """

    changes: tuple[Change, ...]
    periods: tuple[PeriodDifference, ...]
    moved: dict[str, tuple[State, State]]

    @property
    def change(self) -> Decimal:
        """The difference over all periods."""
        return sum((each.change for each in self.periods), ZERO)


def describe_amendment(old: OutcomeDefinition, new: OutcomeDefinition) -> tuple[Change, ...]:
    """Every difference in meaning between two definitions, as the catalog tells changes."""
    return diff_catalogs(Catalog(outcomes={old.outcome: old}), Catalog(outcomes={new.outcome: new}))


@exact
def backtest_amendment(
    current: OutcomeDefinition,
    amendment: OutcomeDefinition,
    recorded: Recorded,
    frame: Frame,
    periods: Sequence[Interval],
) -> AmendmentBacktest:
    """What each period would have cost under either definition, had it held from the start.

    Args:
        current: As it stands.
        amendment: As proposed.
        recorded: Events with their arrivals.
        frame: The contract's calendar and rates.
        periods: In order of time, without gaps.
    """
    end = periods[-1].end
    first = min((event.time for event, _ in recorded if event.time is not None), default=end)
    since = quarter_hour_of(min(first, periods[0].start))
    before, after = (_as_if_signed(each, since) for each in (current, amendment))
    billed = [charge(each, recorded, frame, periods) for each in (before, after)]
    states = [
        {key: each.outcome.state(end) for key, each in one.fold(recorded, frame).items()}
        for one in (before, after)
    ]
    keys = sorted(states[0].keys() | states[1].keys())
    pairs = {key: (states[0].get(key, "candidate"), states[1].get(key, "candidate")) for key in keys}
    return AmendmentBacktest(
        describe_amendment(current, amendment),
        tuple(
            PeriodDifference(period, total_of(billed[0], index), total_of(billed[1], index))
            for index, period in enumerate(periods)
        ),
        {key: pair for key, pair in pairs.items() if pair[0] != pair[1]},
    )


def _as_if_signed(definition: OutcomeDefinition, since: datetime) -> Definitions:
    """A definition as if both had signed it at an instant; it never leaves the backtest."""
    draft = DefinitionVersion(1, definition, since, live_from=since)
    signatures = tuple(
        Signature(party, "backtest", "backtest", "console", since, draft.digest) for party in PARTIES
    )
    return Definitions([replace(draft, signatures=signatures)])
