"""Flat by band: one amount for the whole period, picked by the band its total falls in."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from valorem.core.entry import Entry
from valorem.core.numbers import ONE
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage, times
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import ascending, tier_of
from valorem.core.units import Amount, Quantity


class AmountBand(Entry):
    """One band: up to so much, for this amount in all."""

    up_to: Quantity | None = None
    amount: Amount


class FlatByBand(PriceBase):
    """A table from quantity to amount; past a closed last band its amount stands.

    Attributes:
        bands: Rising; the last may be open.
    """

    bills_on: ClassVar[Literal["every", "first", "last"]] = "last"

    model: Literal["flat_by_band"]
    bands: Annotated[tuple[AmountBand, ...], Field(min_length=1), AfterValidator(ascending)]

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """The amount of the band; at nought that of the first, unless flat fees wait for usage."""
        if not usage.picks and policies.flat_at_zero == "not":
            return ()
        index = tier_of(self.bands, usage.picks, policies)
        return (times(f"band_{index + 1}", f"band {index + 1}", ONE, self.bands[index].amount),)
