"""The balance as it stood at one instant after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from valorem.core.ledger.account import Checkpoint, Facts
from valorem.core.ledger.policies import DEFAULT_CREDIT_POLICIES, CreditPolicies
from valorem.core.ledger.replay import replay
from valorem.core.numbers import exact


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a balance's history.

    Attributes:
        start: Its first instant.
        end: Not in it.
        balance: The balance at its start.
        used: Credits used within it.
        overage: Uncovered credits at its end.
    """

    start: datetime
    end: datetime
    balance: Decimal
    used: Decimal
    overage: Decimal


@exact
def history(
    facts: Facts,
    edges: Sequence[datetime],
    policies: CreditPolicies = DEFAULT_CREDIT_POLICIES,
    *,
    checkpoint: Checkpoint | None = None,
) -> tuple[Window, ...]:
    """The windows between consecutive edges; each replay goes on where the one before it stopped.

    Args:
        facts: As for a replay.
        edges: Rising; n edges give n − 1 windows.
        policies: How credits are used up.
        checkpoint: Where to begin, if not at the beginning.
    """
    windows: list[Window] = []
    if not edges:
        return ()
    account = replay(facts, edges[0], policies, checkpoint=checkpoint)
    for start, end in pairwise(edges):
        balance = account.balance
        account = replay(facts, end, policies, checkpoint=account.checkpoint)
        used = sum(burn.amount for burn in facts.burns if start <= burn.at < end and burn.purpose == "use")
        windows.append(Window(start, end, balance, Decimal(used), account.overage))
    return tuple(windows)
