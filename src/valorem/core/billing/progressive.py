"""Progressive invoices: usage is billed when spend passes a threshold, and the slices add up to the price of the whole.

A slice is price(usage of the period so far) − what was billed for the period. The invoice that closes the period is computed
the same way, so whatever the slices took too early (a volume tier reached later) comes back on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from valorem.core.billing.charges import period_charges
from valorem.core.billing.draft import unbilled
from valorem.core.billing.invoice import Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed
from valorem.core.billing.terms import Terms
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.periods import Period

_MOST_UNITS = 10**18


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When usage is billed before its period ends.

    Attributes:
        fixed: Amounts of spend, ascending; each is passed once.
        recurring: After the last fixed one, every so much more; ``None`` for no more.
        recurring_from: ``grid`` counts full steps from the last fixed threshold; ``last_invoice`` waits until so much is not
            billed yet.
        over: Spend since the contract began, or since its period began.

    Raises:
        InvalidInputError: Where amounts are not above zero and ascending, or there are none.
    """

    fixed: tuple[Decimal, ...] = ()
    recurring: Decimal | None = None
    recurring_from: Literal["grid", "last_invoice"] = "grid"
    over: Literal["lifetime", "period"] = "lifetime"

    def __post_init__(self) -> None:
        if any(later <= earlier for earlier, later in zip((ZERO, *self.fixed), self.fixed, strict=False)):
            raise InvalidInputError(
                "thresholds are amounts above zero, each greater than the one before",
                field="thresholds.fixed",
            )
        if self.recurring is not None and self.recurring <= 0:
            raise InvalidInputError(f"a step of {plain(self.recurring)}", field="thresholds.recurring")
        if not self.fixed and self.recurring is None:
            raise InvalidInputError("no threshold at all", field="thresholds", hint="give fixed or recurring")


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
def slice_lines(
    terms: Terms, period: Period, usage: PeriodUsage, needs: Sequence[UsageNeed], billed: Sequence[Line]
) -> tuple[Line, ...]:
    """The usage lines of a progressive invoice: what the running period's usage comes to, less what was billed for it.

    Fees, minimums and maximums wait for the invoice that closes the period. More of a charge that was billed in part is no
    adjustment; only what goes back is.

    Args:
        terms: The contract's terms.
        period: The running period.
        usage: The answers to ``needs``.
        needs: ``usage_needs(terms, period, until=now)``.
        billed: Every line billed for the period so far.
    """
    charged = [line for line in period_charges(terms, period, usage, needs).lines if line.kind == "usage"]
    before = [line for line in billed if line.kind == "usage" and line.period_index == period.index]
    names = {line.charge: line.description for line in charged}
    return tuple(
        replace(line, timing="in_arrears", description=f"{names[line.charge]} (since the last invoice)")
        if line.timing == "adjustment" and line.amount > 0 and line.charge in names
        else line
        for line in unbilled(charged, before, closing=True)
    )


@exact
def slice_amounts(cumulative: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """What each invoice bills where the price of everything so far was so much at each: differences that sum to the last."""
    return tuple(now - before for before, now in zip((ZERO, *cumulative), cumulative, strict=False))


@dataclass(frozen=True, slots=True)
class Offset:
    """What progressive invoices take off the invoice that closes the period.

    Attributes:
        credit: Taken off, at most the period's usage.
        surplus: What they billed above it; it goes to the customer by a credit note.
    """

    credit: Decimal
    surplus: Decimal


@exact
def offset_progressive(usage: Decimal, billed: Decimal) -> Offset:
    """Take what was billed progressively off a period's usage."""
    credit = min(max(ZERO, usage), billed)
    return Offset(credit, billed - credit)


@exact
def units_until(price: Callable[[Decimal], Decimal], amount: Decimal, before: Decimal = ZERO) -> int | None:
    """How many more whole units it takes until they cost an amount; ``None`` where no number does.

    Args:
        price: The price of so many units of a period; it never falls.
        amount: Above zero.
        before: Units used already.
    """
    billed = price(before)
    high = 1
    while price(before + high) - billed < amount:
        high *= 2
        if high > _MOST_UNITS:
            return None
    low = high // 2  # not enough, or none
    while high - low > ONE:
        middle = (low + high) // 2
        if price(before + middle) - billed < amount:
            low = middle
        else:
            high = middle
    return high
