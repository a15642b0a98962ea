"""What is left of each unit sold: revenue and cost of a meter's use, by the unit."""

from dataclasses import dataclass
from decimal import Decimal

from valorem.core.numbers import MAX_FRACTION_DIGITS, ONE, exact

_QUANTUM = ONE.scaleb(-MAX_FRACTION_DIGITS)


@dataclass(frozen=True, slots=True)
class UnitMargin:
    """The use of one meter in an interval.

    Attributes:
        meter: Its key.
        name: For people.
        unit: Of its quantity.
        quantity: How much was used, of what its unit cost counts.
        revenue: What the use was charged.
        cost: What it cost whoever provides it; None where the meter has no unit cost.
    """

    meter: str
    name: str
    unit: str | None
    quantity: Decimal
    revenue: Decimal
    cost: Decimal | None

    @property
    @exact
    def margin(self) -> Decimal | None:
        """What is left."""
        return None if self.cost is None else self.revenue - self.cost

    @property
    def revenue_per_unit(self) -> Decimal | None:
        """By the unit; None without use."""
        return per_unit(self.revenue, self.quantity)

    @property
    def cost_per_unit(self) -> Decimal | None:
        """By the unit; None without use or without a cost."""
        return per_unit(self.cost, self.quantity)

    @property
    def margin_per_unit(self) -> Decimal | None:
        """By the unit; None without use or without a cost."""
        return per_unit(self.margin, self.quantity)


@exact
def per_unit(amount: Decimal | None, quantity: Decimal) -> Decimal | None:
    """An amount by the unit, to twelve digits; None where there is no amount, or no use."""
    return None if amount is None or not quantity else (amount / quantity).quantize(_QUANTUM)
