"""What a price model takes and gives: usage counted from the start of a period, and the parts of its cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from valorem.core.numbers import ZERO, plain


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used from the start of a billing period up to some instant of it.

    Attributes:
        quantity: In the unit the price is written in, after conversion and the included quantity.
        events: How many events stand behind it.
        values: The value of each event in order of time, for a price that must look at single events.
        standing: The quantity that picks a volume tier, where it is not ``quantity`` itself: that of the whole period,
            or the full units where ``quantity`` is prorated.
    """

    quantity: Decimal
    events: int = 0
    values: tuple[Decimal, ...] = ()
    standing: Decimal | None = None

    @property
    def picks(self) -> Decimal:
        """The quantity that picks a volume tier."""
        return self.quantity if self.standing is None else self.standing


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a price: so many of something at so much each.

    Attributes:
        key: Stable within the price (``tier_2_usage``), so that two ratings can be subtracted part by part.
        label: For people.
        quantity: How many.
        unit_amount: The price of one; ``None`` where the amount is not a product.
        amount: Exact.
        text: The arithmetic, so that a person can redo it.
    """

    key: str
    label: str
    quantity: Decimal
    unit_amount: Decimal | None
    amount: Decimal
    text: str


def times(key: str, label: str, quantity: Decimal, amount: Decimal, per: Decimal = Decimal(1)) -> Part:
    """A part of ``quantity`` at ``amount`` for each ``per``; multiplied before it is divided, so nothing is lost early."""
    text = f"{plain(quantity)} × {plain(amount)}" + (f" / {plain(per)}" if per != 1 else "")
    return Part(key, label, quantity, amount / per, quantity * amount / per, text)


def difference(before: Sequence[Part], after: Sequence[Part]) -> tuple[Part, ...]:
    """The parts that lead from one cumulative rating to a later one.

    Parts with the same key and unit amount are subtracted. A part that no longer stands is taken back as a whole. A part
    that did not change is left out; one that stands at zero is kept, because it says which rate applies.
    """
    booked = {(part.key, part.unit_amount): part for part in before}
    parts = []
    for part in after:
        earlier = booked.pop((part.key, part.unit_amount), None)
        if earlier is None:
            parts.append(part)
            continue
        quantity, amount = part.quantity - earlier.quantity, part.amount - earlier.amount
        if quantity or amount or not (part.quantity or part.amount):
            text = (
                part.text if not (earlier.quantity or earlier.amount) else _lessened(part, earlier, quantity)
            )
            parts.append(replace(part, quantity=quantity, amount=amount, text=text))
    parts.extend(taken_back(part) for part in booked.values() if part.amount or part.quantity)
    return tuple(parts)


def taken_back(part: Part) -> Part:
    """The same part with its sign turned."""
    return replace(part, quantity=-part.quantity, amount=-part.amount, text=f"−({part.text})")


def total(parts: Sequence[Part]) -> Decimal:
    """The exact sum of the parts."""
    return sum((part.amount for part in parts), ZERO)


def _lessened(part: Part, earlier: Part, quantity: Decimal) -> str:
    if part.unit_amount is not None and quantity:
        return f"({plain(part.quantity)} − {plain(earlier.quantity)} before) × {_rate(part.text)}"
    return f"{part.text} − {plain(earlier.amount)} before"


def _rate(text: str) -> str:
    return text.partition(" × ")[2] or text
