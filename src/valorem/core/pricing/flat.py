"""Flat: the same amount every period, whatever was used."""

from typing import Literal

from valorem.core.numbers import ONE
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage, times
from valorem.core.pricing.policies import PricePolicies
from valorem.core.units import Amount


class Flat(PriceBase):
    """A fixed amount for each period.

    Attributes:
        amount: For one whole period.
        billed: With the first slice of a period, or with the last.
    """

    model: Literal["flat"]
    amount: Amount
    billed: Literal["in advance", "in arrears"] = "in arrears"

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:  # noqa: ARG002 - the same for all
        """One part, whatever was used."""
        return (times("flat", "flat price", ONE, self.amount),)
