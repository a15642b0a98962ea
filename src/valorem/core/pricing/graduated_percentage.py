"""Graduated percentage: each part of a value is charged the share of its own tier."""

from typing import Literal

from valorem.core.numbers import ONE
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage, times
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import ShareTiers, filled


class GraduatedPercentage(PriceBase):
    """A share of the measured value that changes from tier to tier.

    Attributes:
        tiers: Rising; the last open.
    """

    model: Literal["graduated_percentage"]
    tiers: ShareTiers

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """Per tier reached: the share of the value in it, and its flat fee."""
        parts = []
        for number, tier, value in filled(self.tiers, usage.quantity, policies):
            if value:
                parts.append(times(f"tier_{number}_share", f"tier {number} share", value, tier.rate))
            if tier.flat is not None and (usage.quantity or policies.flat_at_zero == "billed"):
                parts.append(times(f"tier_{number}_flat", f"tier {number} flat fee", ONE, tier.flat))
        return tuple(parts)
