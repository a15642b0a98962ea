"""The meter a price reads: the plan's meter, with what the price must know of single events worked out at ingest."""

from typing import TYPE_CHECKING

from valorem.core.errors import InvalidInputError
from valorem.core.pricing.percentage import Percentage
from valorem.core.pricing.price import Price

if TYPE_CHECKING:
    from valorem.core.metering.meter import Meter


def derive_meter(meter: "Meter", price: Price) -> "Meter":
    """Add the dimension of a whole-event rate, and put the cost of each event in place of its value.

    The result has a fingerprint of its own, so it is counted beside the plan's meter; where the price needs nothing of
    single events it is the same meter.

    Raises:
        InvalidInputError: When the derived dimension's name is taken, or the meter has no value to bound per event.
    """
    changes: dict[str, object] = {}
    first = price.versions[0]
    if (event := first.whole_event) is not None:
        if meter.dimensions.get(event.dimension, event.expression()) != event.expression():
            raise InvalidInputError(
                f"whole_event derives dimension {event.dimension!r}, but the meter has one of that name",
                field="whole_event.dimension",
                hint="give it another name",
            )
        changes["dimensions"] = {**meter.dimensions, event.dimension: event.expression()}
    if isinstance(first, Percentage) and first.rates_single_events:
        if meter.value is None or meter.aggregate != "sum":
            raise InvalidInputError(
                f"a minimum or maximum per event needs a meter that sums a value, and this one is {meter.aggregate}",
                field="minimum_per_event",
                hint="use a meter with aggregate: sum",
            )
        changes["value"] = first.derived_value(meter.value)
    return meter.model_copy(update=changes) if changes else meter
