"""Several kinds of outcome in one conversation: charged once, by a named policy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.numbers import ONE, exact
from valorem.core.outcomes.billing import price_quantities
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.states import Outcome


@dataclass(frozen=True, slots=True)
class Picked:
    """Which outcome of one key is charged, and which are duplicates of it.

    Attributes:
        key: The key they share.
        charged: The definition that is charged.
        duplicates: The others that stand.
    """

    key: str
    charged: str
    duplicates: tuple[str, ...]


@exact
def charged_once(
    definitions: Mapping[str, OutcomeDefinition],
    outcomes: Mapping[str, Iterable[Outcome]],
    now: datetime,
    frame: Frame,
    policy: Literal["highest", "first"],
) -> tuple[Picked, ...]:
    """Of the definitions of one group, the one that is charged for each key.

    Args:
        definitions: By key, all of one group.
        outcomes: Their outcomes, by the same keys.
        now: The instant looked at.
        frame: The contract's calendar.
        policy: The one with the highest price of a single outcome (ties: the earlier), or the one accepted first.
    """
    standing: dict[str, list[tuple[Decimal, datetime, str]]] = {}
    for name, found in outcomes.items():
        for outcome in found:
            for result in outcome.standing(now):
                period = frame.period(frame.period_of(result.ends_at))
                price = price_quantities(definitions[name], {result.dimensions: ONE}, period, frame).total
                standing.setdefault(outcome.key, []).append((price, result.accepted_at, name))
    picked = []
    for key in sorted(standing):
        order = sorted(
            standing[key],
            key=lambda each: (-each[0] if policy == "highest" else 0, each[1], each[2]),
        )
        names = [name for _, _, name in order]
        picked.append(Picked(key, names[0], tuple(names[1:])))
    return tuple(picked)
