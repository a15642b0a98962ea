"""Several kinds of outcome in one conversation: charged once, by a named policy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.billing import price_quantities
from valorem.core.outcomes.charging import billable
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Governed
from valorem.core.outcomes.signing import version_at
from valorem.core.outcomes.states import Outcome
from valorem.core.pricing.price import Price


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
    alone = {name: _unbounded(definition) for name, definition in definitions.items()}
    for name, found in outcomes.items():
        for outcome in found:
            for result in outcome.standing(now):
                period = frame.period(frame.period_of(result.ends_at))
                quantity = (result.value or ZERO) if alone[name].bills == "value" else ONE
                price = price_quantities(alone[name], {result.dimensions: quantity}, period, frame).total
                standing.setdefault(outcome.key, []).append((price, result.accepted_at, name))
    picked = []
    for key in sorted(standing):
        order = sorted(
            standing[key],
            key=lambda each: (-each[0] if policy == "highest" else 0, each[1], each[2]),
        )
        names = list(dict.fromkeys(name for _, _, name in order))
        picked.append(Picked(key, names[0], tuple(names[1:])))
    return tuple(picked)


def _unbounded(definition: OutcomeDefinition) -> OutcomeDefinition:
    """The definition with the bare price of one outcome: what a period includes, its minimum and its cap say nothing of it."""
    assert definition.price is not None  # a share of savings is in no group
    bare = definition.price.versions[0].model_copy(
        update={"minimum": None, "maximum": None, "included": ZERO}
    )
    return definition.model_copy(update={"price": Price(bare), "minimum": None, "cap": None})


@exact
def duplicates(
    groups: Mapping[str, Definitions],
    governed: Mapping[str, Mapping[str, Governed]],
    now: datetime,
    frame: Frame,
) -> dict[str, frozenset[str]]:
    """By definition: the keys that another definition of its group is charged for.

    Only what may be billed is picked from: a definition in shadow takes no other's place.

    Args:
        groups: The definitions of a contract by outcome.
        governed: Their outcomes, by the same keys.
        now: The instant looked at.
        frame: The contract's calendar.
    """
    members: dict[str, dict[str, OutcomeDefinition]] = {}
    for outcome, each in groups.items():
        current = (version_at(each.versions, now) or each.versions[-1]).definition
        if current.group is not None and current.price is not None:
            members.setdefault(current.group, {})[outcome] = current
    found: dict[str, set[str]] = {}
    for of_group in members.values():
        if len(of_group) < 2:
            continue
        outcomes = {name: billable(governed[name].values()) for name in of_group}
        policy = of_group[min(of_group)].group_picks
        for picked in charged_once(of_group, outcomes, now, frame, policy):
            for name in picked.duplicates:
                found.setdefault(name, set()).add(picked.key)
    return {name: frozenset(keys) for name, keys in found.items()}
