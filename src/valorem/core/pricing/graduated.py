"""Graduated: each unit costs what its own tier says."""

from typing import Literal

from valorem.core.numbers import ONE, ZERO, plain
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage, times
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import Tier, Tiers, filled


class Graduated(PriceBase):
    """Units fill the tiers from the first on; a tier's flat fee is due once, by the unit that enters it.

    Attributes:
        tiers: Rising; the last open.
    """

    model: Literal["graduated"]
    tiers: Tiers

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """Per tier reached: its units, its flat fee, and what its own minimum adds or maximum takes off."""
        parts: list[Part] = []
        for number, tier, quantity in filled(self.tiers, usage.quantity, policies):
            own = []
            if tier.unit is not None:
                own.append(
                    times(f"tier_{number}_usage", f"tier {number} usage", quantity, tier.unit, tier.per)
                )
            if tier.flat is not None and _flat_due(usage, policies):
                own.append(times(f"tier_{number}_flat", f"tier {number} flat fee", ONE, tier.flat))
            parts.extend((*own, *_bounded(number, tier, own)))
        return tuple(parts)


def _flat_due(usage: Usage, policies: PricePolicies) -> bool:
    return bool(usage.quantity) or policies.flat_at_zero == "billed"


def _bounded(number: int, tier: Tier, own: list[Part]) -> list[Part]:
    """What brings a tier's amount up to its minimum or down to its maximum."""
    amount = sum((part.amount for part in own), ZERO)
    if tier.minimum is not None and amount < tier.minimum and own:
        gap, label, text = tier.minimum - amount, "minimum", f"{plain(tier.minimum)} − {plain(amount)}"
    elif tier.maximum is not None and amount > tier.maximum:
        gap, label, text = tier.maximum - amount, "maximum", f"{plain(tier.maximum)} − {plain(amount)}"
    else:
        return []
    return [Part(f"tier_{number}_{label}", f"tier {number} {label}", ONE, gap, gap, text)]
