"""A price's maximum and minimum, applied to its rounded lines."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.pricing.lines import RatedLine, Step


@exact
def at_most(lines: Sequence[RatedLine], maximum: Decimal | None, already_billed: Decimal) -> list[RatedLine]:
    """Take off, line by line in their order, what goes past the maximum.

    Args:
        lines: Of one price and period.
        maximum: What the period comes to at most; ``None`` for no bound.
        already_billed: What earlier slices of the period billed.
    """
    if maximum is None:
        return list(lines)
    kept, billed = [], already_billed
    for line in lines:
        off = min(line.total, max(ZERO, billed + line.total - maximum)) if line.total > 0 else ZERO
        billed += line.total - off
        if off:
            text = f"{plain(line.total)} − {plain(off)} over the maximum of {plain(maximum)}"
            steps = (*line.steps, Step("maximum", text, line.total - off))
            line = replace(line, discount=line.discount + off, steps=steps)  # noqa: PLW2901 - one line, lessened
        kept.append(line)
    return kept


@exact
def shortfall(minimum: Decimal | None, billed: Decimal) -> Decimal:
    """What is missing to a minimum; never below zero."""
    return max(ZERO, minimum - billed) if minimum is not None else ZERO


@exact
def at_least(
    lines: Sequence[RatedLine],
    minimum: Decimal | None,
    already_billed: Decimal,
    *,
    name: str,
    start: datetime,
    end: datetime,
) -> list[RatedLine]:
    """Add the line that brings a period up to its minimum, where one is missing."""
    billed = already_billed + sum((line.total for line in lines), ZERO)
    missing = shortfall(minimum, billed)
    if not missing or minimum is None:
        return list(lines)
    step = Step("minimum", f"{plain(minimum)} − {plain(billed)} billed", missing)
    line = RatedLine(
        key="minimum",
        kind="minimum",
        description=f"{name}: minimum",
        dimensions={},
        start=start,
        end=end,
        quantity=ONE,
        unit_amount=missing,
        exact=missing,
        amount=missing,
        discount=ZERO,
        steps=(step,),
        selector=None,
    )
    return [*lines, line]
