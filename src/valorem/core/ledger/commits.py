"""Commitments on credits: what was paid before, what is promised, and which of them usage draws first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.ledger.account import Account
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.order import in_order
from valorem.core.ledger.policies import CreditPolicies, Criterion
from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact

#: What was carried on first (postpaid before prepaid), then prepaid, then postpaid; the kind beats the priority.
COMMIT_ORDER: tuple[Criterion, ...] = (
    "rolled over first",
    "prepaid first",
    "priority",
    "zero cost basis first",
    "narrowest first",
    "expiry",
    "start",
)
COMMIT_POLICIES = CreditPolicies(order=COMMIT_ORDER)


@dataclass(frozen=True, slots=True)
class Drawdown:
    """What usage does to commitments.

    Attributes:
        drawn: Commitment to what usage drew of it; a unit counts towards one of them only.
        left: Commitment to what is left of it.
        invoiced: What the usage invoice comes to: drawn from postpaid ones, and what none covered.
        trueup: What is still to be invoiced of postpaid ones when they end.
    """

    drawn: dict[str, Decimal]
    left: dict[str, Decimal]
    invoiced: Decimal
    trueup: Decimal


@exact
def drawdown(account: Account, grants: Iterable[Grant]) -> Drawdown:
    """Read the commitments off an account that was replayed under :data:`COMMIT_POLICIES`.

    Args:
        account: At the instant asked about.
        grants: Its commitments.
    """
    postpaid = {grant.id for grant in grants if grant.postpaid}
    drawn: dict[str, Decimal] = {}
    left = {grant.id: ZERO for grant in grants}
    invoiced = account.overage
    for lot in account.lots:
        name = lot.key.grant
        drawn[name] = drawn.get(name, ZERO) + lot.consumed
        left[name] += lot.remaining + lot.held
        if name in postpaid:
            invoiced += lot.consumed
    trueup = sum((amount for name, amount in left.items() if name in postpaid), ZERO)
    return Drawdown({name: amount for name, amount in drawn.items() if amount}, left, invoiced, trueup)


def commit_order(commits: Iterable[Grant]) -> list[Grant]:
    """Commitments in the order usage draws them."""
    return in_order(commits, COMMIT_ORDER)


@exact
def access(segments: Sequence[tuple[datetime, datetime | None, Decimal]], paid: Grant) -> tuple[Grant, ...]:
    """The grants of a prepaid commitment that becomes usable in dated segments; its cost is spread by their amounts.

    Args:
        segments: (start, end, amount) of each.
        paid: The commitment: its cost, currency, priority, scope and rollover; its own amount and dates are not looked at.
    """
    whole = sum((amount for _, _, amount in segments), ZERO)
    grants, spent, seen = [], ZERO, ZERO
    for number, (start, end, amount) in enumerate(segments):
        seen += amount
        share = _share(paid, seen, whole) - spent
        spent += share
        grants.append(_segment(paid, number, (start, end), amount, share))
    return tuple(grants)


def _share(paid: Grant, seen: Decimal, whole: Decimal) -> Decimal:
    if paid.currency is None or not whole:
        return ZERO
    return round_money(paid.cost * seen / whole, paid.currency)


def _segment(
    paid: Grant, number: int, span: tuple[datetime, datetime | None], amount: Decimal, cost: Decimal
) -> Grant:
    start, end = span
    return replace(
        paid, id=f"{paid.id}:{number}", amount=amount, start=start, expires=end, cost=cost, created_at=start
    )
