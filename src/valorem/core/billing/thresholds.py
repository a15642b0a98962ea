"""Spend thresholds: when usage is billed before its period ends."""

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.units import Amount


class Thresholds(BaseModel):
    """When usage is billed before its period ends.

    Attributes:
        fixed: Amounts of spend, ascending; each is passed once.
        recurring: After the last fixed one, every so much more; none for no more.
        recurring_from: ``grid`` counts full steps from the last fixed threshold; ``last_invoice`` waits until so much is
            not billed yet.
        over: Spend since its period began, or since the contract did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fixed: Annotated[tuple[Amount, ...], Field(max_length=50)] = ()
    recurring: Amount | None = None
    recurring_from: Literal["grid", "last_invoice"] = "grid"
    over: Literal["period", "lifetime"] = "period"

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if any(later <= earlier for earlier, later in pairwise((ZERO, *self.fixed))):
            raise ValueError("thresholds are amounts above zero, each greater than the one before")
        if self.recurring is not None and self.recurring <= 0:
            raise ValueError(f"a step of {plain(self.recurring)} is never passed (write more than zero)")
        if not self.fixed and self.recurring is None:
            raise ValueError("no threshold at all (give fixed amounts, or a recurring step)")
        return self


@exact
def passed(
    thresholds: Thresholds, *, billed: Decimal, billed_in_period: Decimal, spent_in_period: Decimal
) -> tuple[Decimal, ...]:
    """The thresholds that spend has passed since the last invoice, each reported once.

    Args:
        thresholds: When usage is billed.
        billed: Usage billed for earlier periods.
        billed_in_period: What progressive invoices billed of this period.
        spent_in_period: What the period's usage comes to by now.

    Returns:
        Fixed thresholds in order, then the recurring step, once however many steps were passed; empty if nothing is due.
    """
    earlier = billed if thresholds.over == "lifetime" else ZERO
    before, now = earlier + billed_in_period, earlier + spent_in_period
    found = [amount for amount in thresholds.fixed if before < amount <= now]
    step = thresholds.recurring
    if step is not None:
        base = thresholds.fixed[-1] if thresholds.fixed else ZERO
        start = max(before, base)
        steps_before = (start - base) // step if thresholds.recurring_from == "grid" else ZERO
        steps_now = (now - (base if thresholds.recurring_from == "grid" else start)) // step
        if now > base and steps_now > steps_before:
            found.append(step)
    return tuple(found)


@exact
def next_threshold(thresholds: Thresholds, *, billed: Decimal, spent: Decimal) -> Decimal | None:
    """The spend at which the next invoice falls due; none where no threshold is left.

    Args:
        thresholds: When usage is billed.
        billed: What was billed so far of the spend that is looked at.
        spent: That spend by now.

    Raises:
        InvalidInputError: Where less than nothing was spent.
    """
    if spent < 0:
        raise InvalidInputError(f"a spend of {plain(spent)}", field="spent")
    for amount in thresholds.fixed:
        if amount > max(billed, spent):
            return amount
    if thresholds.recurring is None:
        return None
    base = thresholds.fixed[-1] if thresholds.fixed else ZERO
    if thresholds.recurring_from == "last_invoice":
        return max(billed, base) + thresholds.recurring
    return base + ((max(spent, billed, base) - base) // thresholds.recurring + 1) * thresholds.recurring
