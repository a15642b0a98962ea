"""The switches on which billing systems disagree about prices; the default is named first."""

from typing import Literal

from valorem.core.entry import Entry
from valorem.core.money import Rounding


class PricePolicies(Entry):
    """How the numbers of a price are read.

    Attributes:
        rounding: Half away from zero, or half to the even digit; once per line.
        tier_bound: Whether a quantity of exactly ``up_to`` still belongs to that tier, or already to the next.
        flat_at_zero: Whether the first tier's flat fee is billed when nothing was used.
        conversion: Whether a unit conversion rounds the running total of a period, so that slices add up to the whole, or
            each slice by itself.
    """

    rounding: Rounding = "half_up"
    tier_bound: Literal["inclusive_upper", "exclusive_upper"] = "inclusive_upper"
    flat_at_zero: Literal["billed", "not"] = "billed"
    conversion: Literal["running_total", "each_slice"] = "running_total"


DEFAULT_POLICIES = PricePolicies()
