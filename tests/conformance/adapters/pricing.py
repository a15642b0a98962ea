"""Price models: charge.*, price.*, tier lookups, packages, minimums."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.runner import Case, Inputs, Unsupported, adapter
from valorem.core.contracts.proration import Share
from valorem.core.metering.event import Event
from valorem.core.metering.measured import Measured
from valorem.core.metering.meter import Meter
from valorem.core.metering.read import compile_meter
from valorem.core.money import minor_digits, round_money
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.bounds import shortfall
from valorem.core.pricing.derive import derive_meter
from valorem.core.pricing.effective import effective_unit_amount
from valorem.core.pricing.lines import Rated, Segment
from valorem.core.pricing.matrix import combinations
from valorem.core.pricing.package import packages
from valorem.core.pricing.parts import Usage
from valorem.core.pricing.percentage import Percentage
from valorem.core.pricing.pipeline import rate
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies
from valorem.core.pricing.price import Price
from valorem.core.pricing.tiers import tier_of

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
#: This peer bills a graduated first tier's flat fee at nought, and a volume tier's only once something was used.
CHARGE_POLICIES = {"graduated": DEFAULT_POLICIES, "volume": PricePolicies(flat_at_zero="not")}
METER = {"meter": "charge", "event": "charge", "aggregate": "sum", "value": "data.value"}


def number(value: Any) -> Decimal:
    return Decimal(str(value)) if value is not None else Decimal(0)


def asked(case: Case, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Of the answers, those the case asks for."""
    unknown = [key for key in case.expected if key not in answers]
    if unknown:
        raise Unsupported(f"no answer to {', '.join(unknown)}")
    return {key: answers[key] for key in case.expected}


def without_nothing(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


def tier(each: Mapping[str, Any]) -> dict[str, Any]:
    """Both spellings of a tier: ``up_to`` and inclusive ``from``/``to``."""
    return without_nothing(
        {
            "up_to": each["up_to"] if "up_to" in each else each.get("to"),
            "unit": each.get("unit", each.get("per_unit")),
            "flat": each.get("flat"),
            "minimum": each.get("min"),
            "maximum": each.get("max"),
        }
    )


def tiered(model: str, tiers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    priced = [tier(each) for each in tiers]
    return {
        "model": model,
        "tiers": [each if {"unit", "flat"} & set(each) else {**each, "unit": 0} for each in priced],
    }


def share_tiers(tiers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    rows = [
        without_nothing(
            {"up_to": each.get("to"), "rate": f"{number(each['rate']):f}%", "flat": each.get("flat")}
        )
        for each in tiers
    ]
    return {"model": "graduated_percentage", "tiers": rows}


def version(fields: Mapping[str, Any]) -> PriceBase:
    return Price.model_validate(fields).versions[0]


def rated(fields: Mapping[str, Any], *measured: Measured, currency: str = "USD") -> Rated:
    """The whole pipeline over one period."""
    price = Price.model_validate(fields)
    return rate(price, [Segment(START, END, measured)], currency=currency, meter="charge")


def used(quantity: Any, events: int = 1, **dimensions: str) -> Measured:
    return Measured(dimensions, number(quantity), events)


def exact_amount(
    fields: Mapping[str, Any], quantity: Any, policies: PricePolicies = DEFAULT_POLICIES
) -> Decimal:
    price = Price.model_validate(fields)
    lines = rate(
        price, [Segment(START, END, (used(quantity),))], currency="USD", meter="charge", policies=policies
    ).lines
    return sum((line.exact - line.discount for line in lines), Decimal(0))


def to_cents(amount: Decimal, currency: str = "USD") -> Decimal:
    """An amount in minor units, rounded as a line is."""
    return round_money(amount, currency).scaleb(minor_digits(currency))


def event_of(index: int, value: Any, **data: Any) -> Event:
    at = START + timedelta(seconds=index)
    return Event(str(index), "case", "charge", "customer", at, {"value": number(value), **data})


def amount_answers(amount: Decimal, units: Any) -> dict[str, Any]:
    unit_amount = effective_unit_amount(amount, number(units))
    return {"amount": amount, "unit_amount": unit_amount, "amount_cents": to_cents(amount)}


# Tiers and packages


@adapter("tiered_total")
def tiered_total(inputs: Inputs) -> Any:
    fields = tiered(inputs["mode"], inputs["tiers"])
    lines = rated(fields, used(inputs["quantity"]), currency=inputs.get("currency", "USD"))
    return {"total": lines.total}


@adapter("volume_tier_lookup")
def volume_tier_lookup(inputs: Inputs) -> Any:
    tiers = version(tiered("volume", inputs["tiers"])).tiers  # type: ignore[attr-defined]
    return {"tier_index": tier_of(tiers, number(inputs["quantity"]), DEFAULT_POLICIES)}


@adapter("package_count")
def package_count(inputs: Inputs) -> Any:
    return {"packages": packages(number(inputs["quantity"]), number(inputs["package_size"]))}


@adapter("charge.graduated", "charge.volume")
def charge_tiered(inputs: Inputs) -> Any:
    case: Case = inputs["case"]
    model = case.kind.removeprefix("charge.")
    amount = exact_amount(tiered(model, inputs["tiers"]), inputs["units"], CHARGE_POLICIES[model])
    return asked(case, amount_answers(amount, inputs["units"]))


@adapter("charge.graduated_percentage")
def charge_graduated_percentage(inputs: Inputs) -> Any:
    amount = exact_amount(share_tiers(inputs["tiers"]), inputs["units"])
    return asked(inputs["case"], amount_answers(amount, inputs["units"]))


@adapter("charge.package")
def charge_package(inputs: Inputs) -> Any:
    amount = exact_amount(package_fields(inputs), inputs["units"])
    return asked(inputs["case"], amount_answers(amount, inputs["units"]))


def package_fields(inputs: Inputs) -> dict[str, Any]:
    return {
        "model": "package",
        "amount": inputs["package_price"],
        "size": inputs["package_size"],
        "free": inputs.get("free_units") or 0,
    }


@adapter("charge.standard")
def charge_standard(inputs: Inputs) -> Any:
    fields = {"model": "per_unit", "amount": inputs.get("unit_price", inputs.get("amount"))}
    amount = exact_amount(fields, inputs["units"])
    return asked(inputs["case"], amount_answers(amount, inputs["units"]))


@adapter("charge.dynamic")
def charge_dynamic(inputs: Inputs) -> Any:
    multiplier = 1 / number(inputs.get("currency_subunit", 100))
    amount = exact_amount(
        {"model": "event_amount", "multiplier": multiplier}, inputs["precise_total_amount_cents"]
    )
    unit_amount = effective_unit_amount(amount, number(inputs["units"]))
    return asked(inputs["case"], {"amount": amount, "unit_amount": unit_amount})


# Percentages


def percentage_fields(inputs: Inputs) -> dict[str, Any]:
    return without_nothing(
        {
            "model": "percentage",
            "rate": f"{number(inputs['rate']):f}%",
            "fixed": inputs.get("fixed_amount") or 0,
            "free_events": int(inputs.get("free_units_per_events") or 0),
            "free_amount": inputs.get("free_units_per_total_aggregation") or 0,
            "minimum_per_event": inputs.get("per_transaction_min"),
            "maximum_per_event": inputs.get("per_transaction_max"),
        }
    )


def event_values(inputs: Inputs) -> tuple[Decimal, ...]:
    """The values of the events: as listed, or from the running totals of the first and what is left for the others."""
    if "event_values" in inputs:
        return tuple(number(value) for value in inputs["event_values"])
    running = [number(value) for value in inputs.get("running_totals_of_free_candidate_events") or ()]
    values = [after - before for before, after in zip([Decimal(0), *running], running, strict=False)]
    others = int(inputs.get("events_count") or 0) - len(values)
    if others > 0:
        rest = max(Decimal(0), number(inputs.get("units")) - sum(values, Decimal(0)))
        values += [Decimal(0)] * (others - 1) + [rest]
    return tuple(values)


def percentage_amount(
    fields: Mapping[str, Any], values: Sequence[Decimal], quantity: Decimal | None = None
) -> Decimal:
    """Count the events with the meter the price reads, then rate what it measured."""
    price = Price.model_validate(fields)
    meter = compile_meter(derive_meter(Meter.model_validate(METER), price))
    events = [event_of(index, value) for index, value in enumerate(values)]
    readings = (reading.value for event in events for reading in meter.read(event))
    counted = sum((value for value in readings if isinstance(value, Decimal)), Decimal(0))
    measured = Measured({}, counted if quantity is None else quantity, len(values), tuple(values))
    lines = rate(price, [Segment(START, END, (measured,))], currency="USD", meter="charge").lines
    return sum((line.exact for line in lines), Decimal(0))


@adapter("charge.percentage")
def charge_percentage(inputs: Inputs) -> Any:
    fields = percentage_fields(inputs)
    price = version(fields)
    assert isinstance(price, Percentage)
    values = event_values(inputs)
    quantity = number(inputs["units"]) if "units" in inputs else None
    measured = sum(values, Decimal(0)) if quantity is None else quantity
    free, free_events = price.free_start(Usage(measured, len(values), values))
    plain_fields = {**fields}
    plain_fields.pop("minimum_per_event", None)
    plain_fields.pop("maximum_per_event", None)
    return asked(
        inputs["case"],
        {
            "amount": percentage_amount(fields, values, None if price.rates_single_events else quantity),
            "amount_without_min_max": percentage_amount(plain_fields, values, quantity),
            "free_units": free,
            "free_events": free_events,
        },
    )


@adapter("charge.percentage.sequence")
def charge_percentage_sequence(inputs: Inputs) -> Any:
    fields, values = percentage_fields(inputs), event_values(inputs)
    amounts = [percentage_amount(fields, values[: count + 1]) for count in range(len(values))]
    rate_of_tax = number(inputs.get("tax_rate")).scaleb(-2)
    cents = [to_cents(amount) for amount in amounts]
    whole = percentage_amount(fields, values)
    with_tax = [each + (each * rate_of_tax).quantize(Decimal(1), "ROUND_HALF_UP") for each in cents]
    return asked(
        inputs["case"],
        {
            "cumulative_amount_cents": cents,
            "cumulative_total_with_tax_cents": with_tax,
            "amount_cents": to_cents(whole),
        },
    )


# Filters, minimums


@adapter("charge.filter")
def charge_filter(inputs: Inputs) -> Any:
    event = {key: str(value) for key, value in inputs["event"].items() if key != "amount"}
    rows = [{**filter_values(each, event), "amount": each["price"]} for each in inputs["filters"]]
    fields = {"model": "matrix", "rates": rows, "default": {"amount": inputs["default_price"]}}
    lines = rated(fields, Measured(event, number(inputs["event"].get("amount", 1)), 1))
    return {"fee_cents": lines.total.scaleb(2)}


def filter_values(row: Mapping[str, Any], event: Mapping[str, str]) -> dict[str, Any]:
    """A filter's values, where the case lists them; else what its description says about the event."""
    for key in ("values", "filter", "match"):
        if isinstance(row.get(key), Mapping):
            return {
                name: value if isinstance(value, str) else tuple(str(each) for each in value)
                for name, value in row[key].items()
            }
    said = str(row.get("desc", ""))
    if "not match" in said:
        return {name: f"not {value}" for name, value in event.items()}
    if "match" in said:
        return dict(event)
    raise Unsupported("a filter without values")


@adapter("charge.minimum")
def charge_minimum(inputs: Inputs) -> Any:
    if "days" in inputs:
        served, days = inputs["days"].split("/")
    elif "terminated" in inputs:
        served, days = date.fromisoformat(inputs["terminated"]).day, inputs["month_days"]
    else:
        served = days = 1
    minimum = Share(number(served), number(days), "day").of(number(inputs["min_cents"]))
    usage = sum(
        (number(each) for each in inputs.get("filter_usage_cents", [inputs.get("usage_cents")])), Decimal(0)
    )
    precise = shortfall(minimum, usage)
    true_up = round_money(precise, "JPY")
    fees = usage + true_up
    tax = round_money(fees * number(inputs.get("tax")).scaleb(-2), "JPY")
    answers = {
        "true_up_cents": true_up,
        "precise": precise,
        "fees_cents": fees,
        "tax_cents": tax,
        "total_cents": fees + tax - number(inputs.get("credit_note_cents")),
    }
    if "precise" in inputs["case"].expected:  # printed with so many decimals there
        answers["precise"] = precise.quantize(Decimal(inputs["case"].expected["precise"]))
    return asked(inputs["case"], answers)


# Prices as the leaders document them


@adapter("price.graduated", "price.volume")
def price_tiered(inputs: Inputs) -> Any:
    case: Case = inputs["case"]
    fields = tiered(case.kind.removeprefix("price."), inputs["tiers"])
    if "quantities" in inputs:
        return {"amounts": [exact_amount(fields, quantity) for quantity in inputs["quantities"]]}
    return asked(case, {"amount": exact_amount(fields, inputs["quantity"])})


@adapter("price.unit")
def price_unit(inputs: Inputs) -> Any:
    amount = exact_amount({"model": "per_unit", "amount": inputs["unit_amount"]}, inputs["quantity"])
    return asked(inputs["case"], {"amount": amount})


@adapter("price.package")
def price_package(inputs: Inputs) -> Any:
    size, rounding = number(inputs["divide_by"]), inputs.get("round", "up")
    fields = {"model": "package", "amount": inputs["unit_amount"], "size": size, "rounding": rounding}
    count = packages(number(inputs["quantity"]), size, rounding)
    return asked(
        inputs["case"],
        {
            "packages": count,
            "rounded_quantity": count * size,
            "amount": exact_amount(fields, inputs["quantity"]),
        },
    )


@adapter("price.package_min1")
def price_package_min1(inputs: Inputs) -> Any:
    fields = {"model": "package", "amount": inputs["price"], "size": inputs["package"]}
    return {"amounts": [exact_amount(fields, quantity) for quantity in inputs["quantities"]]}


@adapter("price.flat_by_band")
def price_flat_by_band(inputs: Inputs) -> Any:
    bands = [without_nothing({"up_to": each["up_to"], "amount": each["price"]}) for each in inputs["bands"]]
    fields = {"model": "flat_by_band", "bands": bands}
    return {"amounts": [exact_amount(fields, quantity) for quantity in inputs["quantities"]]}


@adapter("price.fixed_plus_overage")
def price_fixed_plus_overage(inputs: Inputs) -> Any:
    usage = {"model": "per_unit", "amount": inputs["overage_unit"], "included": inputs["included"]}
    base = exact_amount({"model": "flat", "amount": inputs["base"]}, 0)
    return {"amount": base + exact_amount(usage, inputs["quantity"])}


@adapter("price.nested_min_max")
def price_nested_min_max(inputs: Inputs) -> Any:
    """Tiers of one unit each, all reached: what matters is each tier's amount and its bounds."""
    tiers = [
        {**tier({**each, "flat": each["amount"]}), **({} if last else {"up_to": place})}
        for place, each, last in (
            (index + 1, each, index + 1 == len(inputs["tiers"])) for index, each in enumerate(inputs["tiers"])
        )
    ]
    fields = without_nothing(
        {
            "model": "graduated",
            "tiers": tiers,
            "minimum": inputs.get("charge_min"),
            "maximum": inputs.get("charge_max"),
        }
    )
    lines = rated(fields, used(len(tiers))).lines
    usage = sum((line.amount for line in lines if line.kind == "usage"), Decimal(0))
    return asked(inputs["case"], {"sum": usage, "final": sum((line.total for line in lines), Decimal(0))})


def token_rates(rates: Mapping[str, Any], **dimensions: str) -> list[dict[str, Any]]:
    return [{"kind": kind, **dimensions, "amount": amount, "per": "1M"} for kind, amount in rates.items()]


@adapter("price.tokens", "price.tokens_cached")
def price_tokens(inputs: Inputs) -> Any:
    rates = {key.removesuffix("_per_m"): value for key, value in inputs.items() if key.endswith("_per_m")}
    model = str(inputs.get("model", "any"))
    fields = {"model": "matrix", "rates": token_rates(rates, model=model)}
    counts = {kind: number(inputs.get(kind)) for kind in rates}
    if "input_total" in inputs:
        counts["cached"] = number(inputs["of_which_cached"])
        counts["input"] = number(inputs["input_total"]) - counts["cached"]
    measured = [used(quantity, kind=kind, model=model) for kind, quantity in counts.items()]
    lines = rated(fields, *measured)
    costs = {f"{line.dimensions['kind']}_cost": line.exact for line in lines.lines}
    return asked(inputs["case"], {**costs, "total": sum(costs.values(), Decimal(0))})


@adapter("price.whole_request_tier")
def price_whole_request_tier(inputs: Inputs) -> Any:
    threshold = re.sub(r"\D", "", str(inputs["threshold_input"]))
    fields = {
        "model": "matrix",
        "rates": [row for name in ("short", "long") for row in token_rates(inputs[name], context=name)],
        "whole_event": {"value": "data.input", "above": threshold},
    }
    price = Price.model_validate(fields)
    kinds = {kind: f"data.{kind}" for kind in inputs["short"]}
    plain_meter = Meter.model_validate(
        {"meter": "tokens", "event": "charge", "aggregate": "sum", "each": {"kind": kinds}}
    )
    meter = compile_meter(derive_meter(plain_meter, price))
    amounts = []
    for index, request in enumerate(inputs["requests"]):
        tokens = dict(zip(inputs["short"], map(number, request), strict=True))
        measured = tuple(
            Measured(dict(zip(meter.dimension_names, reading.dimensions, strict=True)), reading.value, 1)  # type: ignore[arg-type]
            for reading in meter.read(event_of(index, 0, **tokens))
        )
        lines = rate(price, [Segment(START, END, measured)], currency="USD", meter="tokens").lines
        amounts.append(sum((line.exact for line in lines), Decimal(0)))
    return {"amounts": amounts}


@adapter("pricing.dimensional_cardinality")
def dimensional_cardinality(inputs: Inputs) -> Any:
    return {"combinations": combinations(inputs["dims"])}
