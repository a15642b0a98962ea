"""Volume: all units cost what the tier of the whole quantity says."""

from typing import ClassVar, Literal

from valorem.core.numbers import ONE, ZERO
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage, times
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import Tiers, tier_of


class Volume(PriceBase):
    """One tier for the whole period, picked by its total; so more usage can cost less.

    Attributes:
        tiers: Rising; the last open.
    """

    bills_on: ClassVar[Literal["every", "first", "last"]] = "last"

    model: Literal["volume"]
    tiers: Tiers

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """The tier's flat fee, then all units at its amount."""
        index = tier_of(self.tiers, usage.picks, policies)
        tier, number = self.tiers[index], index + 1
        parts = []
        if tier.flat is not None and (usage.picks or policies.flat_at_zero == "billed"):
            parts.append(times("volume_flat", f"tier {number} flat fee", ONE, tier.flat))
        if tier.unit is not None and usage.quantity:
            label = f"all units at tier {number}"
            parts.append(times("volume_usage", label, usage.quantity, tier.unit, tier.per))
        amount = sum((part.amount for part in parts), ZERO)
        if parts and tier.minimum is not None and amount < tier.minimum:
            parts.append(times("volume_minimum", f"tier {number} minimum", ONE, tier.minimum - amount))
        if tier.maximum is not None and amount > tier.maximum:
            parts.append(times("volume_maximum", f"tier {number} maximum", ONE, tier.maximum - amount))
        return tuple(parts)
