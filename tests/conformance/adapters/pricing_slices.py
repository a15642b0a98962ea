"""Slices of a period: rating_line, progressive deltas, usage discounts, pay in advance."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.pricing import (
    asked,
    number,
    package_fields,
    percentage_fields,
    share_tiers,
    tiered,
    to_cents,
    version,
    without_nothing,
)
from tests.conformance.runner import Case, Inputs, Quirk, Unsupported, adapter
from valorem.core.errors import InvalidInputError
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.lines import RatedLine
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.slices import (
    Booked,
    Credited,
    Position,
    rate_delta,
    rate_in_advance,
    rate_slice,
    spread_credits,
    usage_discount,
)
from valorem.core.pricing.volume import Volume

POSITIONS: dict[str, Position] = {"single": "only", "first": "first", "mid": "mid", "last": "last"}
CONVERSIONS = {"ceiling": "up", "floor": "down", "half_up": "half_up", "none": "none"}
#: This peer converts each slice by itself.
POLICIES = PricePolicies(conversion="each_slice")
PRICE_KEYS = {
    "type",
    "mode",
    "amount",
    "tiers",
    "multiplier",
    "quantity_per_package",
    "payment_term",
    "minimum_spend",
    "maximum_spend",
}


def price_fields(price: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    if unknown := set(price) - PRICE_KEYS:
        raise Unsupported(f"a price with {', '.join(sorted(unknown))}")
    match price["type"]:
        case "flat":
            billed = price.get("payment_term", "in_arrears").replace("_", " ")
            fields: dict[str, Any] = {"model": "flat", "amount": price["amount"], "billed": billed}
        case "unit":
            fields = {"model": "per_unit", "amount": price["amount"]}
        case "package":
            fields = {"model": "package", "amount": price["amount"], "size": price["quantity_per_package"]}
        case "dynamic":
            fields = {"model": "event_amount", "multiplier": price["multiplier"]}
        case "tiered":
            fields = tiered(price["mode"], price["tiers"])
        case other:
            raise Unsupported(f"a price of type {other}")
    return fields | without_nothing(
        {
            "minimum": price.get("minimum_spend"),
            "maximum": price.get("maximum_spend"),
            "included": inputs.get("usage_discount_qty", inputs.get("usage_discount_quantity")),
            "convert": conversion(inputs),
        }
    )


def conversion(inputs: Inputs) -> dict[str, Any] | None:
    config = inputs.get("unit_config")
    if config is None:
        return None
    if inputs.get("unit_config_enabled") is False:
        raise Quirk(
            "the peer has a flag that switches unit conversion off; here a written conversion always applies"
        )
    return {
        config["operation"]: config["conversion_factor"],
        "rounding": CONVERSIONS[config.get("rounding", "none")],
        "precision": config.get("precision", 0),
    }


# rating_line


@adapter("rating_line")
def rating_line(inputs: Inputs) -> Any:
    known = {
        "price",
        "line_mode",
        "line_period_qty",
        "pre_line_period_qty",
        "previously_billed_amount",
        "currency",
        "unit_config",
        "unit_config_enabled",
        "credits_applied",
        "usage_discount_qty",
        "usage_discount_quantity",
        "case",
    }
    if unknown := set(inputs) - known:
        raise Unsupported(f"a line with {', '.join(sorted(unknown))}")
    price = version(price_fields(inputs["price"], inputs))
    lines = rate_slice(
        price,
        quantity=number(inputs["line_period_qty"]),
        before=number(inputs.get("pre_line_period_qty")),
        position=POSITIONS[inputs["line_mode"].partition("_")[0]],
        already_billed=number(inputs.get("previously_billed_amount")),
        currency=inputs.get("currency", "USD"),
        policies=POLICIES,
    )
    amounts = [
        number(each["amount"] if isinstance(each, Mapping) else each)
        for each in inputs.get("credits_applied", ())
    ]
    try:
        credited = spread_credits(lines, amounts)
    except InvalidInputError:
        if (
            "error" in inputs["case"].expected
        ):  # what is compared is that it is refused, not the peer's name for it
            return {"error": inputs["case"].expected["error"]}
        raise
    written = in_order_of(
        inputs["case"].expected.get("lines", ()), [written_line(price, each) for each in credited]
    )
    answer: dict[str, Any] = {"lines": written}
    answer["total"] = sum((each.due for each in credited), Decimal(0))
    return asked(inputs["case"], answer)


def in_order_of(expected: Sequence[Mapping[str, Any]], lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines in the order the case prints them, which is no rule of pricing."""
    places = {line["name"]: place for place, line in reversed(list(enumerate(expected)))}
    return sorted(lines, key=lambda line: places.get(line["name"], len(places)))


def written_line(price: PriceBase, credited: Credited) -> dict[str, Any]:
    line = credited.line
    commitment = line.kind == "minimum"
    written: dict[str, Any] = {
        "name": name_of(price, line),
        "per_unit_amount": line.unit_amount if line.unit_amount is not None else line.amount,
        "quantity": line.quantity,
        "amount": Decimal(0) if commitment else line.amount,
        "charges_total": line.amount if commitment else Decimal(0),
        "discounts_total": line.discount,
        "credits_total": sum(credited.credits, Decimal(0)),
        "total": credited.due,
    }
    if line.discount:
        written["amount_discounts"] = [{"amount": line.discount, "reason": "maximum_spend"}]
    if credited.credits:
        written["credits_applied"] = list(credited.credits)
    if commitment:
        written["period"] = "full_service_period"
    return written


def name_of(price: PriceBase, line: RatedLine) -> str:
    if line.kind == "minimum":
        return "minimum spend"
    place = re.search(r"tier (\d+)", line.description)
    if place is None:
        return "flat price" if line.key == "flat" else "usage in period"
    if line.key.endswith("_flat"):
        return f"flat price for tier {place[1]}"
    return f"{'unit' if isinstance(price, Volume) else 'usage'} price for tier {place[1]}"


# Progressive


REFS = {
    "usage": "unit-price-usage",
    "packages": "usage",
    "carried": "usage",
    "flat": "flat-price",
    "volume_flat": "volume-flat-price",
    "volume_usage": "volume-tiered-price",
    "minimum": "min-spend",
}


def ref_of(booked: Booked) -> str:
    place = re.fullmatch(r"tier_(\d+)_(usage|flat)", booked.line.key)
    kinds = {"usage": "price-usage", "flat": "flat-price"}
    ref = f"graduated-tiered-{place[1]}-{kinds[place[2]]}" if place else REFS[booked.line.key]
    return f"{ref}#correction:detailed_line_id={booked.corrects}" if booked.corrects else ref


@adapter("rating_delta_progressive")
def rating_delta_progressive(inputs: Inputs) -> Any:
    if unknown := set(inputs) - {
        "price",
        "currency",
        "phases",
        "periods",
        "usage_discount_qty",
        "unit_config",
        "unit_config_enabled",
        "case",
    }:
        raise Unsupported(f"a rating with {', '.join(sorted(unknown))}")
    price = version(price_fields(inputs["price"], inputs))
    booked: list[Booked] = []
    phases = []
    for index, phase in enumerate(inputs["phases"], 1):
        if unknown := set(phase) - {"period", "cumulative_metered_quantity", "ignore_minimum_commitment"}:
            raise Unsupported(f"a phase with {', '.join(sorted(unknown))}")
        open_ended = price.model_copy(update={"minimum": None})
        lines = rate_slice(
            open_ended if phase.get("ignore_minimum_commitment") else price,
            quantity=number(phase["cumulative_metered_quantity"]),
            currency=inputs["currency"],
        )
        added = rate_delta(lines, booked, f"phase-{index}")
        booked.extend(added)
        phases.append(written_phase(added, phase["period"], inputs["case"].expected["phases"][index - 1]))
    return {"phases": phases}


def written_phase(added: Sequence[Booked], period: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    lines = [written_delta(each, period) for each in added]
    sums = {
        key: sum((line[key] for line in lines), Decimal(0))
        for key in ("amount", "charges_total", "discounts_total", "total")
    }
    said = expected["lines"] if len(expected["lines"]) == len(lines) else [{}] * len(lines)
    return {
        "lines": [without_zeros(line, like) for line, like in zip(lines, said, strict=True)],
        "totals": without_zeros(sums, expected["totals"]),
    }


def without_zeros(fields: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """A sum of nought that the case does not mention is left out."""
    return {key: value for key, value in fields.items() if key in like or value != 0}


def written_delta(booked: Booked, period: str) -> dict[str, Any]:
    line = booked.line
    commitment = line.kind == "minimum"
    return {
        "ref": ref_of(booked),
        "category": "commitment" if commitment else "regular",
        "service_period": period,
        "per_unit_amount": unit_amount_of(line),
        "quantity": line.quantity,
        "amount": Decimal(0) if commitment else line.amount,
        "charges_total": line.amount if commitment else Decimal(0),
        "discounts_total": line.discount,
        "total": line.total,
    }


def unit_amount_of(line: RatedLine) -> Decimal:
    """An amount that is not a product counts as one of it."""
    return line.unit_amount if line.unit_amount is not None else line.amount * line.quantity


@adapter("progressive_invoicing")
def progressive_invoicing(inputs: Inputs) -> Any:
    price = version(price_fields(inputs["line"], inputs))
    slices = inputs["invoices"]
    before = billed = Decimal(0)
    totals = []
    for index, each in enumerate(slices):
        last = index + 1 == len(slices)
        position: Position = ("only" if last else "first") if index == 0 else ("last" if last else "mid")
        quantity = number(each["usage_in_slice"])
        lines = rate_slice(
            price,
            quantity=quantity,
            before=before,
            position=position,
            already_billed=billed,
            currency=inputs.get("currency", "USD"),
        )
        total = sum((line.total for line in lines), Decimal(0))
        totals.append(total)
        before, billed = before + quantity, billed + total
    return asked(inputs["case"], {"invoice_totals": totals, "total": billed})


@adapter("usage_discount")
def usage_discount_line(inputs: Inputs) -> Any:
    discount = usage_discount(
        number(inputs["quantity"]),
        number(inputs["discount_quantity"]),
        number(inputs.get("pre_line_quantity")),
    )
    return asked(
        inputs["case"],
        {
            "quantity": discount.quantity,
            "pre_line_quantity": discount.before,
            "discount_used_on_line": discount.used,
            "discount_used_before_line": discount.used_before,
        },
    )


@adapter("usage_discount_progressive")
def usage_discount_progressive(inputs: Inputs) -> Any:
    before = Decimal(0)
    discounts = []
    for quantity in map(number, inputs["invoices_metered_qty"]):
        discounts.append(usage_discount(quantity, number(inputs["usage_discount_qty"]), before))
        before += quantity
    return asked(
        inputs["case"],
        {
            "billed_qty": [each.quantity for each in discounts],
            "discount_qty": [each.used for each in discounts],
            "pre_line_discount_qty": [each.used_before if each.used else None for each in discounts],
        },
    )


# In advance


def advance_fields(case: Case, inputs: Inputs) -> dict[str, Any]:
    match case.kind:
        case "charge.standard.pay_in_advance":
            return {"model": "per_unit", "amount": inputs["unit_price"]}
        case "charge.graduated.pay_in_advance":
            return tiered("graduated", inputs["tiers"])
        case "charge.package.pay_in_advance":
            return package_fields(inputs)
        case "charge.percentage.pay_in_advance":
            return percentage_fields(inputs)
        case "charge.graduated_percentage.pay_in_advance":
            return share_tiers(inputs["tiers"])
    raise Unsupported(case.kind)


@adapter(
    "charge.standard.pay_in_advance",
    "charge.graduated.pay_in_advance",
    "charge.package.pay_in_advance",
    "charge.percentage.pay_in_advance",
    "charge.graduated_percentage.pay_in_advance",
)
def pay_in_advance(inputs: Inputs) -> Any:
    values = [number(value) for value in inputs.get("event_values", ())]
    if "events_same_timestamp" in inputs:
        values = [Decimal(1)] * int(inputs["events_same_timestamp"])
    elif inputs.get("aggregation") == "count" and isinstance(inputs.get("events"), int):
        values = [Decimal(1)] * int(inputs["events"])
    price = version(advance_fields(inputs["case"], inputs))
    if price.rates_single_events:
        values = [price.cost_of_event(value) for value in values]  # type: ignore[attr-defined]
    fees = rate_in_advance(price, values, currency=inputs.get("currency", "USD"))
    cents = [to_cents(fee.exact) for fee in fees]
    return asked(
        inputs["case"],
        {
            "fee_cents_per_event": cents,
            "fee_cents_per_event_sorted": sorted(cents),
            "billed_units": [fee.quantity for fee in fees],
        },
    )


@adapter("charge.dynamic.pay_in_advance")
def dynamic_pay_in_advance(inputs: Inputs) -> Any:
    price = version({"model": "event_amount", "multiplier": Decimal("0.01")})
    fees = rate_in_advance(price, [number(cents) for _, cents in inputs["events"]], currency="USD")
    return {"fee_cents_per_event": [fee.amount.scaleb(2) for fee in fees]}
