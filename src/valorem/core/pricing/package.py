"""Package: units are sold in packages; a package is charged as soon as it is opened."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

from pydantic import Field

from valorem.core.numbers import ZERO, exact, plain
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage
from valorem.core.pricing.policies import PricePolicies
from valorem.core.units import Amount, Quantity

PackageRounding = Literal["up", "down", "half_up"]
_ROUNDINGS = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "half_up": ROUND_HALF_UP}


@exact
def packages(quantity: Decimal, size: Decimal, rounding: PackageRounding = "up") -> Decimal:
    """How many packages a quantity takes; ``up`` counts a package with its first unit, and nought takes none."""
    return (quantity / size).to_integral_value(rounding=_ROUNDINGS[rounding]) if quantity > 0 else ZERO


class Package(PriceBase):
    """An amount for every package of ``size`` units.

    Attributes:
        amount: For one package.
        size: Units in a package.
        free: Units before the first package.
        rounding: How a package that is not full counts.
    """

    model: Literal["package"]
    amount: Amount
    size: Annotated[Quantity, Field(gt=0)]
    free: Quantity = ZERO
    rounding: PackageRounding = "up"

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:  # noqa: ARG002 - no tiers
        """The packages opened; none where the free units were enough."""
        count = packages(usage.quantity - self.free, self.size, self.rounding)
        if not count:
            return ()
        paid = f"({plain(usage.quantity)} − {plain(self.free)} free)" if self.free else plain(usage.quantity)
        opened = f"{paid} / {plain(self.size)} rounded {self.rounding} = {plain(count)} packages"
        text = f"{opened}; {plain(count)} × {plain(self.amount)}"
        label = f"packages of {plain(self.size)}"
        return (Part("packages", label, count, self.amount, count * self.amount, text),)
