"""Per unit: quantity times amount."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import model_validator

from valorem.core.numbers import ONE
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage, difference, times
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import Per
from valorem.core.units import Amount


@dataclass(frozen=True, slots=True)
class UnitRate:
    """So much for each ``per`` units."""

    amount: Decimal
    per: Decimal = ONE
    label: str = "usage"

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:  # noqa: ARG002 - linear
        """One part; none where nothing was used."""
        return unit_parts(usage, self.amount, self.per, self.label)

    def between(self, before: Usage | None, after: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """price(after) − price(before)."""
        if before is None:
            return self.parts(after, policies)
        return difference(self.parts(before, policies), self.parts(after, policies))


def unit_parts(usage: Usage, amount: Decimal, per: Decimal, label: str = "usage") -> tuple[Part, ...]:
    """A linear rating of a usage: one part, or none where nothing was used."""
    return (times("usage", label, usage.quantity, amount, per),) if usage.quantity else ()


class PerUnit(PriceBase):
    """One amount for every unit.

    Attributes:
        amount: For ``per`` units.
        per: How many units ``amount`` is the price of (``1M``).
        long: The amount for events above the threshold of ``whole_event``.
    """

    model: Literal["per_unit"]
    amount: Amount
    per: Per = ONE
    long: Amount | None = None

    @model_validator(mode="after")
    def _threshold(self) -> "PerUnit":
        if self.long is not None and self.whole_event is None:
            raise ValueError("long needs whole_event, which says what a long event is")
        return self

    def own_dimensions(self) -> tuple[str, ...]:
        """The derived one, where long events cost something else."""
        return (self.whole_event.dimension,) if self.whole_event is not None and self.long is not None else ()

    def rates_for(
        self,
        dimensions: Mapping[str, str | None],
        at: datetime,  # noqa: ARG002 - dated versions are picked before
        zone: ZoneInfo | None = None,  # noqa: ARG002
    ) -> "PerUnit | UnitRate":
        """The long amount for long events."""
        event = self.whole_event
        if self.long is None or event is None or dimensions.get(event.dimension) != event.then:
            return self
        return UnitRate(amount=self.long, per=self.per, label=f"usage, {event.then}")

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:  # noqa: ARG002 - linear
        """One part; none where nothing was used."""
        return unit_parts(usage, self.amount, self.per)
