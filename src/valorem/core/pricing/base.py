"""What every price has in common, whatever its model."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Protocol
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from valorem.core.entry import Entry, Key
from valorem.core.metering.conversion import Conversion
from valorem.core.numbers import ONE, ZERO
from valorem.core.pricing.dates import Start
from valorem.core.pricing.parts import Part, Usage, difference
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import check_bounds
from valorem.core.pricing.whole_event import WholeEvent
from valorem.core.units import Amount, Quantity

Factor = Annotated[Amount, Field(ge=0)]


class Rater(Protocol):
    """The numbers that apply to one combination of dimension values."""

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """What a usage counted from the period's start costs, part by part."""

    def between(self, before: Usage | None, after: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """What the usage between two instants of a period costs; ``None`` before means the period begins here."""


class PriceBase(Entry):
    """The fields of every price; applied in the order of :data:`valorem.core.pricing.pipeline.ORDER`.

    Attributes:
        price: The key other files use, in a file of its own.
        meter: What it is the price of; inside a plan the plan says it.
        name: How its lines are called; the meter's name where left out.
        start: From when these numbers apply (``from``); the first version of a price has none.
        convert: From the meter's unit to the unit the numbers are written in.
        included: The quantity of each period that is free, after conversion. Used up in order of time, and within one
            segment in the order of the price's rows.
        by: Dimensions that are counted apart: tiers, packages and bands start anew for each of their values.
        multipliers: Dimension to its values to a factor on the amount (batch × 0.5); a value not named has 1.
        scale: A factor on every amount of the price, such as a negotiated 0.9.
        whole_event: A dimension that a single event's size decides, such as a long-context request.
        minimum: What one period comes to at least.
        maximum: What one period comes to at most.
    """

    #: When a period is billed in slices: with every slice, or as a whole with the first or the last.
    bills_on: ClassVar[Literal["every", "first", "last"]] = "every"

    price: Key | None = None
    meter: Key | None = None
    name: str | None = None
    start: Start | None = Field(default=None, alias="from")
    convert: Conversion | None = None
    included: Quantity = ZERO
    by: tuple[str, ...] = ()
    multipliers: Mapping[str, Mapping[str, Factor]] = Field(default_factory=dict)
    scale: Factor | None = None
    whole_event: WholeEvent | None = None
    minimum: Annotated[Amount, Field(ge=0)] | None = None
    maximum: Annotated[Amount, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "PriceBase":
        check_bounds(self.minimum, self.maximum)
        if self.rates_single_events and (self.included or self.convert is not None):
            raise ValueError(
                "what is charged event by event has no included quantity and no conversion of the sum"
            )
        return self

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """What a usage counted from the period's start costs, part by part."""
        raise NotImplementedError

    def between(self, before: Usage | None, after: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """price(after) − price(before), part by part; ``None`` before means the period begins here."""
        if before is None:
            return self.parts(after, policies)
        return difference(self.parts(before, policies), self.parts(after, policies))

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The meter's dimensions this price looks at, derived ones included; other dimensions are summed over."""
        named = (*self.own_dimensions(), *self.by, *self.multipliers)
        return tuple(dict.fromkeys(named))

    @property
    def reads_events(self) -> bool:
        """Whether it must see the value of each event in order of time, because free ones are counted off."""
        return False

    @property
    def rates_single_events(self) -> bool:
        """Whether its quantity is the sum of amounts worked out event by event (see ``derive_meter``)."""
        return False

    def own_dimensions(self) -> tuple[str, ...]:
        """Dimensions that pick the numbers."""
        return ()

    def rates_for(
        self,
        dimensions: Mapping[str, str | None],  # noqa: ARG002 - for models that depend on them
        at: datetime,  # noqa: ARG002
        zone: ZoneInfo | None = None,  # noqa: ARG002
    ) -> Rater | None:
        """The numbers for one combination of dimension values at an instant; ``None`` where there are none."""
        return self

    def rank(self, dimensions: Mapping[str, str | None]) -> int:  # noqa: ARG002 - for models with rows
        """Where a combination stands among the price's rows; the included quantity is used up in that order."""
        return 0

    def factor(self, dimensions: Mapping[str, str | None]) -> Decimal:
        """The product of the multipliers that apply to one combination of dimension values."""
        factor = ONE
        for _, _, each in self.factors(dimensions):
            factor *= each
        return factor

    def factors(self, dimensions: Mapping[str, str | None]) -> Iterator[tuple[str, str, Decimal]]:
        """The multipliers that apply, as (dimension, value, factor); that of the whole price as ``("all", "", factor)``."""
        if self.scale is not None:
            yield "all", "", self.scale
        for dimension, by_value in self.multipliers.items():
            value = dimensions.get(dimension)
            if value is not None and value in by_value:
                yield dimension, value, by_value[value]

    def dated(self) -> Iterator[date]:
        """Every date at which its numbers change."""
        if self.start is not None:
            yield self.start
