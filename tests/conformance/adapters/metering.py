"""Meters: aggregations after each event, expressions, unit conversion and metric rounding."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.metering.conversion import Conversion
from valorem.core.metering.evaluate import compile_expression
from valorem.core.metering.event import Event
from valorem.core.metering.expression import parse_expression
from valorem.core.metering.meter import Meter
from valorem.core.metering.read import compile_meter
from valorem.core.metering.tally import EMPTY, add, value
from valorem.core.money import round_money
from valorem.core.numbers import exact
from valorem.core.pricing.parts import Usage
from valorem.core.pricing.per_unit import PerUnit
from valorem.core.pricing.policies import PricePolicies
from valorem.core.time import parse_instant

START = datetime(2024, 1, 1, tzinfo=UTC)
AGGREGATES = {
    "avg": "average",
    "mean": "average",
    "unique_count": "unique",
    "count_distinct": "unique",
    "weighted_sum": "time_weighted_sum",
}
ROUNDINGS = {"round": "half_up", "ceil": "up", "floor": "down", None: "none"}


def event_of(data: dict[str, Any], at: datetime = START, number: int = 0) -> Event:
    """An event as ingest would have read it."""
    return Event(f"e{number:06}", "case", "usage", "customer", at, data)


def running(
    aggregate: str,
    values: Sequence[object],
    times: Sequence[datetime] | None = None,
    end: datetime | None = None,
) -> list[Decimal]:
    """A meter's quantity after each of the events."""
    name = AGGREGATES.get(aggregate, aggregate)
    meter = compile_meter(
        Meter.model_validate(
            {"meter": "m", "event": "usage", "aggregate": name}
            | ({} if name == "count" else {"value": "data.value"})
        )
    )
    tally, quantities = EMPTY, []
    for number, sent in enumerate(values):
        at = times[number] if times else START + timedelta(hours=number)
        event = event_of({"value": sent}, at, number)
        for reading in meter.read(event):
            tally = add(meter.aggregation, tally, reading.value, at, event.order + event.id.encode())
        quantities.append(value(meter.aggregation, tally, START, end or at))
    return quantities


@exact
def cents(quantity: Decimal, unit_price: object) -> int:
    """What a quantity costs per unit, in cents."""
    price = PerUnit.model_validate({"model": "per_unit", "amount": unit_price})
    amount = sum((part.amount for part in price.parts(Usage(quantity), PricePolicies())), Decimal(0))
    return int(round_money(amount, "USD").scaleb(2))


def case_values(inputs: Inputs) -> Sequence[object]:
    """The events' values, whichever name the case gives their list."""
    for name in ("event_values_in_time_order", "event_values", "values", "events"):
        if name in inputs:
            return [each[-1] if isinstance(each, list) else each for each in inputs[name]]
    raise Unsupported("no list of event values")


@adapter(
    "aggregation.latest",
    "aggregation.max",
    "aggregation.min",
    "aggregation.sum",
    "aggregation.count",
    "aggregation.average",
    "aggregation.unique_count",
)
def aggregate(inputs: Inputs) -> dict[str, Any]:
    """The usage after each event, as units and priced per unit."""
    case = inputs["case"]
    quantities = running(case.kind.removeprefix("aggregation."), case_values(inputs))
    answers: dict[str, Any] = {"units": quantities, "values": quantities, "value": quantities[-1]}
    if "unit_price" in inputs:
        answers["usage_cents"] = [cents(quantity, inputs["unit_price"]) for quantity in quantities]
    return {key: answers[key] for key in case.expected}


@adapter("aggregation.rounding")
def rounding(inputs: Inputs) -> dict[str, Any]:
    """A metric's rounding is a conversion that only rounds."""
    conversion = Conversion.model_validate(
        {"rounding": ROUNDINGS[inputs["function"]], "precision": inputs["precision"] or 0}
    )
    return {"units": conversion.apply(Decimal(str(inputs["units"]))).invoiced}


@adapter("unit_conversion")
def unit_conversion(inputs: Inputs) -> dict[str, Any]:
    """Converted exactly, invoiced after rounding."""
    conversion = Conversion.model_validate(
        {
            inputs["operation"]: str(inputs["conversion_factor"]),
            "rounding": inputs["rounding"],
            "precision": inputs["precision"],
        }
    )
    result = conversion.apply(Decimal(str(inputs["quantity"])))
    answers = {"converted": result.converted, "invoiced": result.invoiced}
    return {key: answers[key] for key in inputs["case"].expected}


@adapter("metric.expression")
def expression(inputs: Inputs) -> dict[str, Any]:
    """The peer's names for paths and functions, in Valorem's words."""
    source = str(inputs["expression"])
    for theirs, ours in (
        (r"\bevent\.properties\.", "data."),
        (r"\bevent\.timestamp\b", "data.timestamp"),
        (r"\bevent\.code\b", "type"),
        (r"\bleast\(", "min("),
        (r"\bgreatest\(", "max("),
        (r'"([^"\']*)"', r"'\1'"),
    ):
        source = re.sub(theirs, ours, source)
    sent: dict[str, Any] = dict(inputs.get("event") or {})
    data = dict(sent.get("properties") or inputs.get("properties") or {})
    if "timestamp" in sent:
        data["timestamp"] = sent["timestamp"]
    event = Event("e1", "case", str(sent.get("code", "usage")), "customer", START, data)
    return {"value": compile_expression(parse_expression(source))(event)}


def instant(text: str) -> datetime:
    """An instant of a case; a bare day is its first instant in UTC."""
    return parse_instant(text if "T" in text else f"{text}T00:00:00Z")
