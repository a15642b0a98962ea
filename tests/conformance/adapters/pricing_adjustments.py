"""Adjustments of an invoice: adjust.*, invoice.pipeline."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.pricing import asked, exact_amount, number, tiered, version
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.billing.settlement import settle_invoice
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import Taxable
from valorem.core.contracts.proration import Share
from valorem.core.money import round_money
from valorem.core.pricing.adjustments import Adjustment, AdjustmentKind, adjust, split_discount
from valorem.core.pricing.slices import rate_slice, usage_discount

KINDS: dict[str, AdjustmentKind] = {
    "amount": "amount",
    "amount_discount": "amount",
    "percent": "percent",
    "percentage": "percent",
    "minimum": "minimum",
    "maximum": "maximum",
}


def adjustment(each: Mapping[str, Any], lines: tuple[str, ...] | None = None) -> Adjustment:
    ((kind, value),) = each.items()
    if kind not in KINDS:
        raise Unsupported(f"an adjustment of {kind}")
    return Adjustment(KINDS[kind], number(value), lines)


@adapter("adjust.amount", "adjust.percent", "adjust.minimum", "adjust.maximum")
def adjust_sum(inputs: Inputs) -> Any:
    changes = [adjustment({key: value}) for key, value in inputs.items() if key in KINDS]
    adjusted = adjust({"subtotal": number(inputs["subtotal"])}, changes, currency="USD")
    return asked(
        inputs["case"],
        {
            "subtotal": adjusted.subtotal,
            "discount": adjusted.subtotal - adjusted.after_discounts,
            "minimum_topup": adjusted.topup,
            "total": adjusted.total,
        },
    )


@adapter("adjust.usage")
def adjust_usage(inputs: Inputs) -> Any:
    quantity = number(inputs["quantity"])
    price = version({"model": "per_unit", "amount": inputs["unit"], "included": inputs["usage_discount"]})
    lines = rate_slice(price, quantity=quantity, currency="USD")
    billable = usage_discount(quantity, number(inputs["usage_discount"])).quantity
    return asked(
        inputs["case"],
        {"billable": billable, "amount": sum((line.total for line in lines), Decimal(0))},
    )


@adapter("adjust.usage_discount_progressive")
def adjust_usage_progressive(inputs: Inputs) -> Any:
    included, before = number(inputs["discount"]), Decimal(0)
    billable, left = [], []
    for part in map(number, inputs["parts"]):
        discount = usage_discount(part, included, before)
        before += part
        billable.append(discount.quantity)
        left.append(included - discount.used_before - discount.used)
    return asked(inputs["case"], {"billable": billable, "left": left})


@adapter("adjust.allocate")
def adjust_allocate(inputs: Inputs) -> Any:
    lines = {name: number(amount) for name, amount in inputs["lines"].items()}
    if "amount_discount" not in inputs:
        raise Unsupported("what is allocated")
    shares = split_discount(lines, number(inputs["amount_discount"]), "USD")
    return asked(
        inputs["case"],
        {"share": shares, "lines": {name: amount - shares[name] for name, amount in lines.items()}},
    )


@adapter("adjust.prorate_minimum", "adjust.prorate_maximum")
def adjust_prorated_bound(inputs: Inputs) -> Any:
    share = Share(number(inputs["served_days"]), number(inputs["period_days"]), "day")
    currency = str(inputs.get("currency", "USD"))
    bounds = {
        key: round_money(share.of(number(inputs[key])), currency)
        for key in ("minimum", "maximum")
        if key in inputs
    }
    return asked(inputs["case"], bounds)


def priced(price: Mapping[str, Any], quantity: Any) -> Decimal:
    mode = price.get("mode", "unit")
    if mode == "unit":
        return exact_amount({"model": "per_unit", "amount": price["unit"]}, quantity)
    if mode in ("graduated", "volume"):
        return exact_amount(tiered(mode, price["tiers"]), quantity)
    raise Unsupported(f"a price of mode {mode}")


@adapter("invoice.pipeline")
def invoice_pipeline(inputs: Inputs) -> Any:
    known = {"lines", "subtotal", "price", "quantity", "adjust", "line_coupon", "invoice_coupon", "wallet"}
    if unknown := set(inputs) - known - {"prepaid_credits", "tax", "tax_before_wallet", "case"}:
        raise Unsupported(f"an invoice with {', '.join(sorted(unknown))}")
    if "lines" in inputs:
        lines = {name: number(amount) for name, amount in inputs["lines"].items()}
    elif "price" in inputs:
        free = sum(
            (number(each["usage"]) for each in inputs.get("adjust", ()) if "usage" in each), Decimal(0)
        )
        lines = {"usage": priced(inputs["price"], usage_discount(number(inputs["quantity"]), free).quantity)}
    else:
        lines = {"usage": number(inputs["subtotal"])}
    changes = [adjustment(each) for each in inputs.get("adjust", ()) if "usage" not in each]
    coupons = inputs.get("line_coupon", {})
    changes += [Adjustment("percent", number(share), (name,)) for name, share in coupons.items()]
    if "invoice_coupon" in inputs:
        changes.append(Adjustment("amount", number(inputs["invoice_coupon"])))
    adjusted = adjust(lines, changes, currency="USD")
    prepaid = number(inputs.get("prepaid_credits", inputs.get("wallet")))
    tax = TaxRate("tax", "Tax", number(inputs.get("tax")))
    settled = settle_invoice(
        [Taxable("invoice", adjusted.total, (tax,))],
        currency="USD",
        prepaid=prepaid,
        applied="after tax" if inputs.get("tax_before_wallet") else "before tax",
    )
    return asked(
        inputs["case"],
        {
            "subtotal": adjusted.subtotal,
            "after_discount": adjusted.after_discounts,
            "after_discounts": adjusted.after_discounts,
            "minimum_topup": adjusted.topup,
            "taxable": settled.taxed.net,
            "tax": settled.taxed.tax,
            "credits_used": settled.prepaid_used,
            "credits_left": prepaid - settled.prepaid_used,
            "due": settled.due,
            "total": settled.due,
        },
    )
