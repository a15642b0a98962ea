"""Adjustments of a whole invoice: discounts, its minimum and its maximum, in one fixed order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from valorem.core.errors import InvalidInputError
from valorem.core.money import Rounding, allocate, round_money
from valorem.core.numbers import ZERO, exact, plain

#: Usage discounts come first because they act on quantities, before pricing (``included`` of a price).
ADJUSTMENT_ORDER = ("usage", "amount", "percent", "minimum", "maximum")
AdjustmentKind = Literal["amount", "percent", "minimum", "maximum"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """One change of an invoice's sum.

    Attributes:
        kind: An amount off, a share off, a least or a greatest amount.
        value: An amount of zero or more; for ``percent`` a share of 0 to 1.
        lines: The lines it acts on; ``None`` for all. Adjustments of single lines come before those of the invoice.
    """

    kind: AdjustmentKind
    value: Decimal
    lines: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An invoice's lines after all adjustments.

    Attributes:
        subtotal: The sum before.
        lines: Every line's share of the total.
        after_discounts: The sum after discounts, before minimum and maximum.
        topup: What the minimum added.
        cut: What the maximum took off.
        total: The sum of ``lines``.
        steps: Each adjustment, in the order applied, with the sum after it.
    """

    subtotal: Decimal
    lines: Mapping[str, Decimal]
    after_discounts: Decimal
    topup: Decimal
    cut: Decimal
    total: Decimal
    steps: tuple[tuple[str, Decimal], ...]


@exact
def adjust(
    lines: Mapping[str, Decimal],
    adjustments: Sequence[Adjustment],
    *,
    currency: str,
    rounding: Rounding = "half_up",
) -> Adjusted:
    """Apply adjustments in the order amount, percent, minimum, maximum; of one kind in the order given.

    A change of the sum is split over the lines in proportion to them, by largest remainder, so that lines always sum to
    the total.

    Args:
        lines: Rounded amounts by line.
        adjustments: In any order.
        currency: ISO 4217 code.
        rounding: Of a share's amount.

    Raises:
        InvalidInputError: For a line that is not there, or a share outside 0 to 1.
    """
    amounts = dict(lines)
    steps: list[tuple[str, Decimal]] = []
    topup = cut = ZERO
    after_discounts = sum(amounts.values(), ZERO)
    ordered = sorted(adjustments, key=lambda each: (each.lines is None, ADJUSTMENT_ORDER.index(each.kind)))
    for adjustment in ordered:
        names = _names(adjustment, amounts)
        base = sum((amounts[name] for name in names), ZERO)
        change = _change(adjustment, base, currency, rounding)
        _spread(amounts, names, change, currency)
        steps.append((f"{adjustment.kind} {plain(adjustment.value)} on {plain(base)}", change))
        if adjustment.kind == "minimum":
            topup += change
        elif adjustment.kind == "maximum":
            cut -= change
        else:
            after_discounts += change
    total = sum(amounts.values(), ZERO)
    return Adjusted(sum(lines.values(), ZERO), amounts, after_discounts, topup, cut, total, tuple(steps))


def _names(adjustment: Adjustment, amounts: Mapping[str, Decimal]) -> tuple[str, ...]:
    names = tuple(amounts) if adjustment.lines is None else adjustment.lines
    for name in names:
        if name not in amounts:
            raise InvalidInputError(f"there is no line {name!r} to adjust", field="adjustments")
    return names


def _change(adjustment: Adjustment, base: Decimal, currency: str, rounding: Rounding) -> Decimal:
    value = adjustment.value
    if value < 0 or (adjustment.kind == "percent" and value > 1):
        raise InvalidInputError(
            f"{adjustment.kind} {plain(value)} is out of range",
            field="adjustments",
            hint="an amount of zero or more, or a share of 0 to 1",
        )
    match adjustment.kind:
        case "amount":
            return -round_money(min(value, max(ZERO, base)), currency, rounding)
        case "percent":
            return -round_money(base * value, currency, rounding)
        case "minimum":
            return max(ZERO, round_money(value, currency, rounding) - base)
        case "maximum":
            return min(ZERO, round_money(value, currency, rounding) - base)


def _spread(amounts: dict[str, Decimal], names: Sequence[str], change: Decimal, currency: str) -> None:
    if not names:
        if change:
            amounts["minimum"] = change
        return
    shares = allocate(change, [max(ZERO, amounts[name]) for name in names], currency)
    for name, share in zip(names, shares, strict=True):
        amounts[name] += share


@exact
def split_discount(lines: Mapping[str, Decimal], amount: Decimal, currency: str) -> dict[str, Decimal]:
    """Each line's share of a discount, in proportion to the lines; never more than they come to."""
    whole = sum(lines.values(), ZERO)
    shares = allocate(min(amount, whole), list(lines.values()), currency)
    return dict(zip(lines, shares, strict=True))
