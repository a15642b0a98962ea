"""Unit conversion: from the meter's unit to the unit a price is written in."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from valorem.core.catalog.entry import Entry
from valorem.core.numbers import exact, plain
from valorem.core.units import Quantity

_ROUNDINGS = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "half_up": ROUND_HALF_UP}
Divisor = Annotated[Quantity, Field(gt=0)]


class UnitConversion(Entry):
    """Divide or multiply, then round.

    Attributes:
        divide: What the quantity is divided by.
        multiply: What it is multiplied by.
        rounding: Up, down or half away from zero; ``none`` keeps every digit.
        precision: How many decimals are kept when rounding.
    """

    divide: Divisor | None = None
    multiply: Divisor | None = None
    rounding: Literal["none", "up", "down", "half_up"] = "none"
    precision: Annotated[int, Field(ge=0, le=12)] = 0

    @model_validator(mode="after")
    def _one_way(self) -> "UnitConversion":
        if (self.divide is None) == (self.multiply is None):
            raise ValueError("a conversion needs one of divide and multiply")
        return self

    @exact
    def apply(self, quantity: Decimal) -> Decimal:
        """Convert and round a quantity."""
        converted = quantity / self.divide if self.divide is not None else quantity * (self.multiply or 1)
        if self.rounding == "none":
            return converted
        return converted.quantize(Decimal(1).scaleb(-self.precision), rounding=_ROUNDINGS[self.rounding])

    def text(self, quantity: Decimal) -> str:
        """The arithmetic, for people."""
        sign, by = ("/", self.divide) if self.divide is not None else ("×", self.multiply)
        rounded = "" if self.rounding == "none" else f", rounded {self.rounding} to {self.precision} decimals"
        return f"{plain(quantity)} {sign} {plain(by or Decimal(1))}{rounded}"
