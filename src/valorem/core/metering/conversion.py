"""Unit conversion: from what a meter counts to what is invoiced, exactly, with one declared rounding."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from valorem.core.entry import Entry
from valorem.core.numbers import EXACT, ONE, exact
from valorem.core.units import Amount

Rounding = Literal["none", "up", "down", "half_up", "half_even"]
_ALIASES = {"ceiling": "up", "ceil": "up", "floor": "down", "round": "half_up", None: "none"}
_ROUNDINGS = {
    "up": ROUND_CEILING,
    "down": ROUND_FLOOR,
    "half_up": ROUND_HALF_UP,
    "half_even": ROUND_HALF_EVEN,
}


def _rounding(name: object) -> object:
    return _ALIASES.get(name, name) if name is None or isinstance(name, str) else name


@dataclass(frozen=True, slots=True)
class Converted:
    """A quantity after conversion: exact, and as it is invoiced after rounding."""

    converted: Decimal
    invoiced: Decimal


class Conversion(Entry):
    """Multiplies or divides an aggregated quantity, then rounds it.

    ``up`` (also ``ceiling``) rounds towards plus infinity, ``down`` (``floor``) towards minus infinity, ``half_up`` half
    away from zero, ``half_even`` half to the even neighbour. A negative precision rounds before the point: -2 to whole
    hundreds. With neither factor it only rounds.
    """

    multiply: Amount | None = None
    divide: Amount | None = None
    rounding: Annotated[Rounding, BeforeValidator(_rounding)] = "none"
    precision: int = Field(default=0, ge=-18, le=12)

    @model_validator(mode="after")
    def _one_factor(self) -> "Conversion":
        if self.multiply is not None and self.divide is not None:
            raise ValueError("give multiply or divide, not both")
        for factor in (self.multiply, self.divide):
            if factor is not None and factor <= 0:
                raise ValueError("the factor must be above zero")
        return self

    @exact
    def apply(self, quantity: Decimal) -> Converted:
        """Convert a quantity; zero stays zero."""
        converted = quantity
        if self.multiply is not None:
            converted = quantity * self.multiply
        elif self.divide is not None:
            converted = quantity / self.divide
        return Converted(converted, round_quantity(converted, self.rounding, self.precision))


def round_quantity(quantity: Decimal, rounding: Rounding, precision: int = 0) -> Decimal:
    """Round a quantity to ``precision`` decimals (negative: before the point)."""
    if rounding == "none":
        return quantity
    rounded = quantity.quantize(ONE.scaleb(-precision), rounding=_ROUNDINGS[rounding], context=EXACT)
    return rounded or abs(rounded)
