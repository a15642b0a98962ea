"""What a unit of a meter costs whoever provides it: the other side of a margin."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from valorem.core.entry import Entry, Key
from valorem.core.numbers import ONE, exact
from valorem.core.units import Amount, Quantity


class UnitCost(Entry):
    """A cost for each unit, for all or by the values of one dimension.

    Attributes:
        amount: For ``per`` units, in the plan's currency; of a value that ``values`` does not name.
        per: How many units ``amount`` is the cost of.
        by: The dimension that tells costs apart.
        values: Its values to amounts.
    """

    amount: Annotated[Amount, Field(ge=0)]
    per: Annotated[Quantity, Field(gt=0)] = ONE
    by: Key | None = None
    values: Mapping[str, Annotated[Amount, Field(ge=0)]] = Field(default_factory=dict)


@exact
def cost_of(cost: UnitCost, dimensions: Mapping[str, str | None], quantity: Decimal | int) -> Decimal:
    """What a quantity with these dimension values costs."""
    value = dimensions.get(cost.by) if cost.by is not None else None
    amount = cost.values.get(value, cost.amount) if value is not None else cost.amount
    return quantity * amount / cost.per
