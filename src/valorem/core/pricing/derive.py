"""The meter a price reads: the plan's meter, with what the price must know of single events worked out at ingest."""

from valorem.core.errors import InvalidInputError
from valorem.core.metering.meter import Meter
from valorem.core.pricing.percentage import Percentage
from valorem.core.pricing.price import Price


def derive_meter(meter: Meter, price: Price) -> Meter:
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
        changes |= _cost_of_each_event(meter, first)
    if not changes:
        return meter
    written = {name: getattr(meter, name) for name in meter.model_fields_set}
    return Meter.model_validate(
        {**written, **changes}
    )  # not a copy: what the meter worked out must not come along


def _cost_of_each_event(meter: Meter, price: Percentage) -> dict[str, object]:
    if meter.aggregate != "sum":
        raise InvalidInputError(
            f"a minimum or maximum per event needs a meter that sums a value, and this one is {meter.aggregate}",
            field="minimum_per_event",
            hint="use a meter with aggregate: sum",
        )
    values = {
        name: {member: price.derived_value(text) for member, text in members.items()}
        for name, members in (meter.each or {}).items()
    }
    value = price.derived_value(meter.value) if meter.value is not None else None
    return {"value": value, "each": values or None, "convert": None}
