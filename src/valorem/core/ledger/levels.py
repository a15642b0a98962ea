"""Credits as a limit on a level: what a meter of a latest value leaves of them.

A level is not used up. So every stretch between changes of the grants begins with their full amounts, of which the level
takes its part in burn order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from valorem.core.ledger.account import Facts
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.grants import Grant, spans
from valorem.core.ledger.policies import DEFAULT_CREDIT_POLICIES, CreditPolicies
from valorem.core.ledger.replay import replay
from valorem.core.numbers import ZERO, exact


@dataclass(frozen=True, slots=True)
class LevelPhase:
    """A stretch in which no grant begins or ends.

    Attributes:
        start: Its first instant.
        end: Not in it.
        level: The latest value before its end.
        balances: What the level leaves of each grant that can be used in it.
        overage: By how much the level is above all of them.
    """

    start: datetime
    end: datetime
    level: Decimal
    balances: Mapping[str, Decimal]
    overage: Decimal

    @property
    @exact
    def balance(self) -> Decimal:
        """What is left of all of them."""
        return sum(self.balances.values(), ZERO)


@exact
def level_phases(
    grants: Iterable[Grant],
    readings: Iterable[Burn],
    since: datetime,
    until: datetime,
    policies: CreditPolicies = DEFAULT_CREDIT_POLICIES,
) -> tuple[LevelPhase, ...]:
    """The stretches of ``[since, until)`` in order; the last is how things stand.

    Args:
        grants: The limits; of several at once the sum.
        readings: Values of the level; each stands until the next.
        since: From when readings count.
        until: To when.
        policies: The order in which the level is taken from the grants.
    """
    limits = tuple(grants)
    values = sorted(
        (each for each in readings if since <= each.at < until), key=lambda each: (each.at, each.key)
    )
    edges = {since, until}
    for grant in limits:
        for span in spans(grant, until):
            edges.update(edge for edge in span if edge is not None and since < edge < until)
    return tuple(_phase(limits, values, start, end, policies) for start, end in pairwise(sorted(edges)))


def _phase(
    limits: tuple[Grant, ...], values: list[Burn], start: datetime, end: datetime, policies: CreditPolicies
) -> LevelPhase:
    level = next((each.amount for each in reversed(values) if each.at < end), ZERO)
    whole = tuple(
        replace(grant, start=start, created_at=grant.created_at or grant.start, refill=None, voided_at=None)
        for grant in limits
        if grant.active_at(start)
    )
    account = replay(Facts(whole, (Burn(start, "level", level),)), end, policies, closing=True)
    balances = {grant.id: account.balances().get(grant.id, ZERO) for grant in limits}
    return LevelPhase(start, end, level, balances, account.overage)
