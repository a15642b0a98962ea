"""Event amount: the events themselves say what they cost."""

from typing import Literal

from valorem.core.numbers import ONE, ZERO, plain
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage
from valorem.core.pricing.policies import PricePolicies
from valorem.core.units import Amount


class EventAmount(PriceBase):
    """The meter sums an amount that each event carries; the price multiplies it.

    Attributes:
        multiplier: On the carried amount: 1.2 adds a margin of 20 %, 0.01 turns cents into units of the currency.
    """

    model: Literal["event_amount"]
    multiplier: Amount = ONE

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:  # noqa: ARG002 - linear
        """One part; none where the events carried nothing."""
        if not usage.quantity:
            return ()
        amount = usage.quantity * self.multiplier
        text = f"{plain(usage.quantity)} carried × {plain(self.multiplier)}"
        return (Part("carried", "amount carried by events", ONE, None, amount, text),)

    def between(self, before: Usage | None, after: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """What was carried in between."""
        earlier = before if before is not None else Usage(ZERO)
        return self.parts(Usage(after.quantity - earlier.quantity, after.events - earlier.events), policies)
