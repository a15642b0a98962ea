"""The meter a price reads."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.pricing.builders import price, version
from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.metering.meter import Meter
from valorem.core.metering.read import compile_meter
from valorem.core.pricing.derive import derive_meter
from valorem.core.pricing.percentage import Percentage

METER = Meter.model_validate({"meter": "m", "event": "e", "aggregate": "sum", "value": "data.v"})
BOUNDED = {
    "model": "percentage",
    "rate": "1%",
    "fixed": "0.5",
    "minimum_per_event": "1.75",
    "maximum_per_event": 2,
}


def event(**data: Any) -> Event:
    return Event("1", "s", "e", "c", datetime(2026, 3, 1, tzinfo=UTC), data)


def test_a_price_that_needs_nothing_of_single_events_reads_the_meter_itself():
    assert derive_meter(METER, price(model="per_unit", amount=1)) is METER


@settings(max_examples=50, deadline=None)
@given(st.decimals(0, 10**6, places=4))
def test_the_derived_value_is_what_one_event_costs(value):
    bounded = version(**BOUNDED)
    assert isinstance(bounded, Percentage)
    derived = derive_meter(METER, price(**BOUNDED))
    assert derived.fingerprint() != METER.fingerprint()
    (reading,) = compile_meter(derived).read(event(v=value))
    assert reading.value == bounded.cost_of_event(value)


def test_a_threshold_is_a_dimension_of_the_whole_event():
    rule = {"value": "data.v", "above": "272k"}
    long = price(model="per_unit", amount=5, long=10, whole_event=rule)
    derived = compile_meter(derive_meter(METER, long))
    assert derived.dimension_names == ("context",)
    assert [derived.read(event(v=Decimal(v)))[0].dimensions for v in (272000, 272001)] == [
        ("short",),
        ("long",),
    ]
    assert long.dimensions == derived.dimension_names


def test_each_reading_has_its_own_cost():
    each = {"meter": "m", "event": "e", "aggregate": "sum", "each": {"kind": {"a": "data.a", "b": "data.b"}}}
    derived = compile_meter(derive_meter(Meter.model_validate(each), price(**BOUNDED)))
    readings = derived.read(event(a=Decimal(100), b=Decimal(140)))
    assert [reading.value for reading in readings] == [Decimal("1.75"), Decimal("1.9")]


def test_what_cannot_be_derived_is_refused():
    taken = METER.model_copy(update={"dimensions": {"context": "data.context"}})
    rule = {"value": "data.v", "above": 1}
    with pytest.raises(InvalidInputError, match="one of that name"):
        derive_meter(taken, price(model="per_unit", amount=1, long=2, whole_event=rule))
    counting = Meter.model_validate({"meter": "m", "event": "e", "aggregate": "count"})
    with pytest.raises(InvalidInputError, match="sums a value"):
        derive_meter(counting, price(**BOUNDED))
