"""May work begin? What the overage policy makes of a balance that does or does not suffice."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from valorem.core.ledger.account import Account
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.policies import DEFAULT_CREDIT_POLICIES, CreditPolicies
from valorem.core.numbers import ONE, ZERO, exact

Verdict = Literal["allow", "bill", "throttle", "block"]


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer.

    Attributes:
        verdict: ``allow``: credits pay for it; ``bill``: the rest is billed; ``throttle``: it may go on slowly; ``block``: it
            may not begin.
        short: Credits missing for it.
    """

    verdict: Verdict
    short: Decimal


@exact
def admit(
    amount: Decimal,
    available: Decimal,
    account: Account,
    policies: CreditPolicies = DEFAULT_CREDIT_POLICIES,
) -> Admission:
    """Whether work that costs so many credits may begin.

    Args:
        amount: What it costs, at most.
        available: What this work may use (:func:`valorem.core.ledger.replay.spendable`).
        account: As it is now, for the soft limit.
        policies: What happens when credits run out.
    """
    short = max(amount - max(available, ZERO), ZERO)
    if not short:
        return Admission("allow", ZERO)
    if policies.overage == "block":
        return Admission("allow" if short <= soft_room(account, policies) else "block", short)
    return Admission(policies.overage, short)


def verdict_on(hold: Hold, policies: CreditPolicies = DEFAULT_CREDIT_POLICIES) -> Verdict:
    """What a hold was answered; the same whenever it is asked about."""
    if hold.state == "refused":
        return "block"
    return policies.overage if hold.shortfall and policies.overage != "block" else "allow"


@exact
def soft_room(account: Account, policies: CreditPolicies = DEFAULT_CREDIT_POLICIES) -> Decimal:
    """Credits beyond what was granted that a soft limit still lets through: granted × (soft limit − 1) − overage."""
    return room_beyond(account.granted, account.overage, policies)


@exact
def room_beyond(granted: Decimal, overage: Decimal, policies: CreditPolicies) -> Decimal:
    """The same from the numbers alone: granted × (soft limit − 1) − overage, never below zero."""
    return max(granted * (policies.soft_limit - ONE) - max(overage, ZERO), ZERO)
