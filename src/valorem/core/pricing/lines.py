"""Rated lines: what a price comes to, with the arithmetic that a person can redo."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.metering.measured import Measured
from valorem.core.numbers import ZERO


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a billing period in which no number of the price changes.

    Attributes:
        start: In it (UTC).
        end: Not in it (UTC).
        measured: The usage within it, one value for each combination of the price's dimensions.
    """

    start: datetime
    end: datetime
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a line's arithmetic.

    Attributes:
        label: The stage of the pipeline.
        text: The formula with its numbers.
        value: The number it gives: a quantity up to ``included``, an amount after that.
    """

    label: str
    text: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events stand behind a line: those of the meter, with these dimension values, in ``[start, end)``."""

    meter: str
    dimensions: Mapping[str, str | None]
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class RatedLine:
    """One line of a rating.

    Attributes:
        key: Names the part of the price (``tier_2_usage``); the same in every rating of it.
        kind: Usage, or what brings the price up to its minimum.
        description: For people.
        dimensions: The dimension values it is the price of.
        start: The stretch of time it covers (UTC).
        end: Not in it.
        quantity: What is charged for.
        unit_amount: The price of one, multipliers included; ``None`` where the amount is not a product.
        exact: The exact amount.
        amount: Rounded once, to the currency's minor unit.
        discount: What the price's maximum takes off.
        steps: The arithmetic, from what was measured to ``total``.
        selector: Leads down to the events; ``None`` where no events stand behind the line.
    """

    key: str
    kind: Literal["usage", "minimum"]
    description: str
    dimensions: Mapping[str, str | None]
    start: datetime
    end: datetime
    quantity: Decimal
    unit_amount: Decimal | None
    exact: Decimal
    amount: Decimal
    discount: Decimal
    steps: tuple[Step, ...]
    selector: Selector | None

    @property
    def total(self) -> Decimal:
        """What is billed."""
        return self.amount - self.discount


@dataclass(frozen=True, slots=True)
class Rated:
    """A price applied to the usage of one period.

    Attributes:
        lines: In order of time, then of the price's rows, then of its parts.
        order: The stages of the pipeline, as applied.
        unpriced: Usage that no row of the price is for; billed at nothing, so somebody must look at it.
    """

    lines: tuple[RatedLine, ...]
    order: tuple[str, ...]
    unpriced: tuple[Measured, ...] = ()

    @property
    def total(self) -> Decimal:
        """The sum of what the lines bill."""
        return sum((line.total for line in self.lines), ZERO)
