"""Prices as plans hold them: the name of a price in a file of its own, or the price itself."""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from valorem.core.entry import Key
from valorem.core.pricing.price import Price


def _written(value: Any) -> str:
    return "by name" if isinstance(value, str) else "in place"


#: What a plan says about one meter: the name of a price, a price, or a price's dated versions.
PlanPrice = Annotated[
    Annotated[Key, Tag("by name")] | Annotated[Price, Tag("in place")],
    Discriminator(_written),
]
