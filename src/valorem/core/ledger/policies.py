"""The switches on which credit systems disagree; the default is named first."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from valorem.core.entry import Entry
from valorem.core.numbers import ONE
from valorem.core.units import Share

#: One thing by which grants are compared; what is named first in it is used first.
Criterion = Literal[
    "seat first",
    "rolled over first",
    "prepaid first",
    "priority",
    "expiry",
    "zero cost basis first",
    "lower cost basis first",
    "promotional first",
    "scoped first",
    "narrowest first",
    "start",
    "oldest",
    "largest first",
]
#: The orders that have a name of their own.
ORDERS: dict[str, tuple[Criterion, ...]] = {
    "priority first": ("seat first", "priority", "expiry", "zero cost basis first", "oldest"),
    "expiry first": ("seat first", "expiry", "priority", "zero cost basis first", "oldest"),
}


def _named(value: object) -> object:
    return ORDERS.get(value, value) if isinstance(value, str) else value


class CreditPolicies(Entry):
    """How credits are used up.

    Attributes:
        order: By what grants are compared, the first that differs deciding: ``priority first`` (an allowance before the
            pool, priority, expiry, zero cost basis first, oldest), ``expiry first``, or a list of criteria. What is equal
            in all of them is used in the order of the grants' ids.
        overage: What happens when credits run out: the rest is billed, work is refused, or work is slowed down.
        uncovered: Whether usage that no credits paid for stands as it is, so that a later grant never pays for the past,
            or is carried on and paid by the next grant of the same period.
        corrections: Whether a negative burn gives back what was drawn last, or stands as a credit on the bill.
        settle_above: What a settlement above its hold does: uses what else is available and counts the rest as overage,
            or is refused.
        soft_limit: Up to which share of the credits granted work goes on where ``overage`` is block: 125% lets a quarter
            more through.
        applied: Whether money credits that pay invoices lessen what is taxed, or pay the taxed sum.
        granted: Whether credits that are bought can be used at once, or when their invoice is paid.
    """

    order: Annotated[tuple[Criterion, ...], BeforeValidator(_named), Field(min_length=1)] = ORDERS[
        "priority first"
    ]
    overage: Literal["bill", "block", "throttle"] = "bill"
    uncovered: Literal["stands", "carried"] = "stands"
    corrections: Literal["restore", "keep"] = "restore"
    settle_above: Literal["allow", "refuse"] = "allow"
    soft_limit: Annotated[Share, Field(ge=1)] = ONE
    applied: Literal["before tax", "after tax"] = "before tax"
    granted: Literal["at once", "on payment"] = "at once"


DEFAULT_CREDIT_POLICIES = CreditPolicies()
