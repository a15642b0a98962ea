"""Why one bill differs from another: the difference, split exactly into causes that add up to it.

For an item that is counted (the same meter, dimension values and price part on both bills) with quantity Q, amount A, average
price p = A / Q and a period of L quarter hours, taken from bill 0 to bill 1 in this order:

- length of the period: p₀ · Q₀ · (L₁ − L₀) / L₀, what the same daily use at the same price would have come to,
- quantity: p₀ · (Q₁ − Q₀ · L₁ / L₀),
- price: A₁ − p₀ · Q₁, whatever made a unit cost something else: another rate, another tier, an included quantity used up.

The three add up to A₁ − A₀. Each is then rounded to the minor unit by largest remainder, so the shown ones add up as well.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.errors import InvalidInputError
from valorem.core.money import minor_digits
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.time import QUARTER_HOUR_S

Cause = Literal["length", "quantity", "price", "fixed", "credits", "bounds", "late"]
#: In the order in which a bridge from one bill to the other shows them.
CAUSES: tuple[Cause, ...] = ("length", "quantity", "price", "fixed", "credits", "bounds", "late")

_Key = tuple[str, str, tuple[tuple[str, str | None], ...]]


@dataclass(frozen=True, slots=True)
class ItemDifference:
    """One item on both bills.

    Attributes:
        kind: The kind of its lines.
        key: The key of its meter, fee, discount …
        description: For people.
        quantity_before: None where nothing is counted, or it was not on the bill.
        quantity_after: Likewise.
        amount_before: Zero where it was not on the bill.
        amount_after: Likewise.
        parts: What each cause comes to; they add up to the difference of the amounts.
    """

    kind: str
    key: str
    description: str
    quantity_before: Decimal | None
    quantity_after: Decimal | None
    amount_before: Decimal
    amount_after: Decimal
    parts: dict[Cause, Decimal]

    @property
    def difference(self) -> Decimal:
        """How much more it is on the second bill."""
        return self.amount_after - self.amount_before


@dataclass(frozen=True, slots=True)
class Difference:
    """Why one bill differs from another.

    Attributes:
        before: The total of the first.
        after: The total of the second.
        currency: Of both.
        parts: What each cause comes to over all items; they add up to ``after − before``.
        items: The largest difference first, whatever its sign.
    """

    before: Decimal
    after: Decimal
    currency: str
    parts: dict[Cause, Decimal]
    items: tuple[ItemDifference, ...]

    @property
    def total(self) -> Decimal:
        """How much more the second bill is."""
        return self.after - self.before


@exact
def difference_of(before: Invoice, after: Invoice) -> Difference:
    """Split the difference of two invoices of one contract into its causes.

    Raises:
        InvalidInputError: Where they are in different currencies, whose amounts have no difference.
    """
    if before.currency != after.currency:
        raise InvalidInputError(
            f"the invoices are in {before.currency} and {after.currency}",
            field="currency",
            hint="compare invoices in one currency",
        )
    olds, news = _grouped(before.lines), _grouped(after.lines)
    stretch = _stretch(before, after)
    items = [
        _item(olds.get(key, ()), news.get(key, ()), stretch, after.currency)
        for key in dict.fromkeys((*news, *olds))
    ]
    parts = {cause: sum((item.parts.get(cause, ZERO) for item in items), ZERO) for cause in CAUSES}
    ranked = sorted(items, key=lambda item: (-abs(item.difference), item.description, item.key))
    return Difference(
        before.total,
        after.total,
        after.currency,
        {cause: amount for cause, amount in parts.items() if amount},
        tuple(ranked),
    )


def _grouped(lines: Iterable[Line]) -> dict[_Key, tuple[Line, ...]]:
    """Lines of one item: a price that changes within a period gives several lines with the same values."""
    grouped: dict[_Key, list[Line]] = {}
    for line in lines:
        group = "late" if line.timing == "adjustment" else line.kind
        grouped.setdefault((group, line.key, tuple(sorted(line.dimensions.items()))), []).append(line)
    return {key: tuple(found) for key, found in grouped.items()}


def _stretch(before: Invoice, after: Invoice) -> Decimal:
    """How many times as long the second closed period is; one where either closes none."""
    if before.closed is None or after.closed is None:
        return ONE
    lengths = [(each.end - each.start).total_seconds() for each in (before.closed, after.closed)]
    quarters = [int(length) // QUARTER_HOUR_S for length in lengths]
    return Decimal(quarters[1]) / Decimal(quarters[0]) if quarters[0] else ONE


def _item(olds: Sequence[Line], news: Sequence[Line], stretch: Decimal, currency: str) -> ItemDifference:
    shown = (news or olds)[0]
    old_amount, new_amount = _amount(olds), _amount(news)
    old_quantity, new_quantity = _quantity(olds), _quantity(news)
    if shown.timing == "adjustment":
        exact_parts: dict[Cause, Decimal] = {"late": new_amount - old_amount}
    elif shown.kind == "usage":
        exact_parts = _of_usage(old_quantity or ZERO, old_amount, new_quantity or ZERO, new_amount, stretch)
    else:
        exact_parts = {_cause(shown.kind): new_amount - old_amount}
    return ItemDifference(
        kind=shown.kind,
        key=shown.key,
        description=shown.description,
        quantity_before=old_quantity,
        quantity_after=new_quantity,
        amount_before=old_amount,
        amount_after=new_amount,
        parts=_rounded(exact_parts, new_amount - old_amount, currency),
    )


def _of_usage(
    old_quantity: Decimal, old_amount: Decimal, new_quantity: Decimal, new_amount: Decimal, stretch: Decimal
) -> dict[Cause, Decimal]:
    if not old_quantity:  # there is no old price: all of it is new quantity
        return {"quantity": new_amount - old_amount}
    price = old_amount / old_quantity
    return {
        "length": old_amount * (stretch - ONE),
        "quantity": price * (new_quantity - old_quantity * stretch),
        "price": new_amount - price * new_quantity,
    }


def _cause(kind: str) -> Cause:
    if kind in ("fee", "charge"):
        return "fixed"
    return "credits" if kind in ("discount", "credit", "credits") else "bounds"


def _amount(lines: Sequence[Line]) -> Decimal:
    return sum((line.amount for line in lines), ZERO)


def _quantity(lines: Sequence[Line]) -> Decimal | None:
    counted = [line.quantity for line in lines if line.quantity is not None]
    return sum(counted, ZERO) if counted else None


def _rounded(parts: dict[Cause, Decimal], total: Decimal, currency: str) -> dict[Cause, Decimal]:
    """Each part to the minor unit, by largest remainder; ties go to the earlier cause."""
    unit = ONE.scaleb(-minor_digits(currency))
    floored = {
        cause: (amount / unit).to_integral_value("ROUND_FLOOR") * unit for cause, amount in parts.items()
    }
    missing = int(((total - sum(floored.values(), ZERO)) / unit).to_integral_value())
    by_remainder = sorted(parts, key=lambda cause: (floored[cause] - parts[cause], CAUSES.index(cause)))
    for cause in by_remainder[:missing]:
        floored[cause] += unit
    return {cause: amount for cause, amount in floored.items() if amount}
