"""The order in which grants are used: one pure, total order, whatever order they were recorded in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from valorem.core.ledger.grants import Grant
from valorem.core.ledger.policies import ORDERS, Criterion

_NEVER = datetime.max.replace(tzinfo=UTC)


#: What each criterion compares: (grant, end of the filling) to something that sorts.
_COMPARED: Mapping[Criterion, Callable[[Grant, datetime], Any]] = MappingProxyType(
    {
        "seat first": lambda grant, _: grant.holder is None,
        # among what was carried on, what was postpaid goes before what was prepaid
        "rolled over first": lambda grant, _: (not grant.rolled, grant.rolled and not grant.postpaid),
        "prepaid first": lambda grant, _: grant.postpaid and not grant.rolled,
        "priority": lambda grant, _: grant.priority,
        "expiry": lambda _, end: end,
        "zero cost basis first": lambda grant, _: grant.cost > 0,
        "lower cost basis first": lambda grant, _: grant.unit_cost,
        "promotional first": lambda grant, _: grant.source != "promotional",
        "scoped first": lambda grant, _: not grant.scope.restricted,
        "narrowest first": lambda grant, _: grant.scope.breadth,
        "start": lambda grant, _: grant.start,
        "oldest": lambda grant, _: grant.created_at or grant.start,
        "largest first": lambda grant, _: -grant.amount,
    }
)


def rank_of(grant: Grant, order: Sequence[Criterion], end: datetime | None = None) -> tuple[Any, ...]:
    """What a grant is compared by; the lesser is used first, and no two grants are equal.

    Args:
        grant: The grant.
        order: The criteria of the policy.
        end: The end of one filling of it, where that is earlier than the grant's.
    """
    # taking back what is unused must not change in which order the rest was used before
    taken_back = end is not None and end == grant.voided_at
    until = (grant.expires if end is None or taken_back else end) or _NEVER
    return (*(_COMPARED[each](grant, until) for each in order), grant.id)


def in_order(grants: Iterable[Grant], order: Sequence[Criterion] = ORDERS["priority first"]) -> list[Grant]:
    """Grants in the order they are used."""
    return sorted(grants, key=lambda grant: rank_of(grant, order))
