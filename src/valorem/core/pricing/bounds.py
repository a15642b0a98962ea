"""A price's maximum and minimum, applied to its rounded lines."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.pricing.lines import RatedLine, Step


@exact
def at_most(lines: Sequence[RatedLine], maximum: Decimal | None, already_billed: Decimal) -> list[RatedLine]:
    """Take off what goes past the maximum: in the order of the lines, so from the last ones.

    Args:
        lines: Of one price and period.
        maximum: What the period comes to at most; ``None`` for no bound.
        already_billed: What earlier slices of the period billed.
    """
    if maximum is None:
        return list(lines)
    excess = already_billed + sum((line.total for line in lines), ZERO) - maximum
    kept = []
    for line in reversed(lines):
        off = min(max(ZERO, excess), max(ZERO, line.total))
        excess -= off
        kept.append(_less(line, off, maximum) if off else line)
    return kept[::-1]


def _less(line: RatedLine, off: Decimal, maximum: Decimal) -> RatedLine:
    text = f"{plain(line.total)} − {plain(off)} over the maximum of {plain(maximum)}"
    steps = (*line.steps, Step("maximum", text, line.total - off))
    return replace(line, discount=line.discount + off, steps=steps)


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
