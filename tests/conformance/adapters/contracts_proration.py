"""What a change in the middle of a period comes to: proration.*, credit caps, end modes; when lines are collected."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.conformance.adapters.periods import iso_cadence
from tests.conformance.adapters.pricing import asked, number
from tests.conformance.contracts import every_of, instant
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.billing.timing import next_collection
from valorem.core.calendar import add_days, local_date, start_of_day
from valorem.core.contracts.proration import (
    ChangeAmounts,
    ProrationPolicy,
    Share,
    capped_credit,
    change_amounts,
    share_of,
)
from valorem.core.money import round_money
from valorem.core.periods import Interval, boundary
from valorem.core.pricing.adjustments import split_discount

MODES: dict[str, ProrationPolicy] = {"bill_full_period": "none", "bill_actual_period": "second"}


def fraction(text: Any) -> Share:
    read = Fraction(str(text))
    return Share(Decimal(read.numerator), Decimal(read.denominator), "period")


def change_answers(changed: ChangeAmounts) -> dict[str, Any]:
    return {
        "credit": -changed.credit,
        "charge": changed.charge,
        "debit": changed.charge,
        "net": changed.net,
        "total": changed.net,
        "customer_balance": -changed.net,
    }


@adapter("proration.change", "proration.change_days")
def proration_change(inputs: Inputs) -> Any:
    if unknown := set(inputs) - {"old", "new", "fraction_left", "days_left", "days", "currency", "case"}:
        raise Unsupported(f"a change with {', '.join(sorted(unknown))}")
    rest = (
        fraction(inputs["fraction_left"])
        if "fraction_left" in inputs
        else Share(number(inputs["days_left"]), number(inputs["days"]), "day")
    )
    changed = change_amounts(
        number(inputs["old"]), number(inputs["new"]), rest, inputs.get("currency", "USD")
    )
    return asked(inputs["case"], change_answers(changed))


@adapter("proration.backdate_classic")
def backdate_classic(inputs: Inputs) -> Any:
    start, ends = instant(inputs["start"]), instant(inputs["next_anchor"])
    imagined = boundary(start, every_of(inputs["interval"]), "UTC", 1)
    share = share_of(Interval(start, ends), Interval(start, imagined), "UTC", "day")
    return asked(
        inputs["case"],
        {"days": share.numerator, "of": share.denominator, "fraction": share.of(Decimal(1))},
    )


@adapter("proration.unpaid_upgrade")
def unpaid_upgrade(inputs: Inputs) -> Any:
    if inputs["mode"] not in ("classic", "flexible"):
        raise Unsupported(f"mode {inputs['mode']}")
    full = Interval(*(instant(f"2023-{day}") for day in inputs["period"]))
    rest = Interval(instant(f"2023-{inputs['downgrade_day']}"), full.end)
    # Classic takes the current price back, flexible what was really billed.
    old = inputs["upgrade"] if inputs["mode"] == "classic" else inputs["price_start"]
    share = share_of(rest, full, "UTC", "second")
    changed = change_amounts(number(old), number(inputs["downgrade"]), share, "USD")
    return asked(inputs["case"], {**change_answers(changed), "credit": changed.credit})


@adapter("proration.coupon_cancel_item")
def coupon_cancel_item(inputs: Inputs) -> Any:
    items = {str(place): number(each) for place, each in enumerate(inputs["items"])}
    cancelled = next(key for key, amount in items.items() if amount == number(inputs["cancel"]))
    spread = split_discount(
        items if inputs["mode"] == "flexible" else {cancelled: items[cancelled]},
        number(inputs["coupon"]),
        "USD",
    )
    paid = items[cancelled] - spread[cancelled]
    changed = change_amounts(paid, Decimal(0), fraction(inputs["fraction_left"]), "USD")
    return asked(inputs["case"], {"credit": changed.credit})


@adapter("proration_credit_cap")
def credit_cap(inputs: Inputs) -> Any:
    credit = capped_credit(
        *(number(inputs[name]) for name in ("potential_credit", "original_amount", "previous_credits"))
    )
    return {"credit": credit}


@adapter("change_proration_day_based")
def change_day_based(inputs: Inputs) -> Any:
    zone = inputs.get("timezone", "UTC")
    start, last = (
        start_of_day(local_date(moment(inputs[name]), zone), zone)
        for name in ("period_start", "period_end_inclusive")
    )
    full = Interval(start, start_of_day(add_days(local_date(last, zone), 1), zone))
    changed_on = start_of_day(local_date(moment(inputs["change_date"]), zone), zone)
    old, new = (
        None if inputs[f"{name}_unit_price"] is None else whole(inputs, name) for name in ("old", "new")
    )
    paid = inputs.get("original_amount_paid")
    nothing_paid = not inputs.get("pay_in_advance", True) and paid is None
    share = share_of(Interval(changed_on, full.end), full, zone, "day")
    changed = change_amounts(
        old or Decimal(0),
        new or Decimal(0),
        share,
        inputs.get("currency", "USD"),
        paid=Decimal(0) if nothing_paid else None if paid is None else number(paid),
        credited=number(inputs.get("previous_credits")),
    )
    return asked(
        inputs["case"],
        {
            "credit": None if old is None else changed.credit,
            "charge": None if new is None else changed.charge,
            "net": changed.net,
        },
    )


def whole(inputs: Mapping[str, Any], name: str) -> Decimal:
    return number(inputs[f"{name}_unit_price"]) * number(inputs[f"{name}_qty"])


def moment(text: str) -> datetime:
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(hour=12, tzinfo=UTC)


@adapter("flat_fee_proration_mode")
def end_mode(inputs: Inputs) -> Any:
    start, anchor, cancelled = (
        datetime.fromisoformat(inputs[name]) for name in ("subscription_start", "billing_anchor", "cancel_at")
    )
    full = Interval(anchor, boundary(anchor, every_of(inputs.get("interval", "monthly")), "UTC", 1))
    served = Interval(start, cancelled)
    policy = MODES[inputs["subscription_end_proration_mode"]]
    amount = share_of(served, full, "UTC", policy).of(number(inputs["amount"]))
    return {"amount_after_cancel": round_money(amount, inputs.get("currency", "USD"))}


@adapter("invoice_collection_at")
def collection_at(inputs: Inputs) -> Any:
    lines = [datetime.fromisoformat(each) for each in inputs["line_invoice_at"]]
    if not lines:
        return {"next_collection_at": None}
    if inputs.get("alignment") != "anchored":
        return {"next_collection_at": next_collection(lines)}
    anchored = inputs["anchored"]
    anchor = datetime.fromisoformat(anchored["anchor"])
    return {"next_collection_at": next_collection(lines, iso_cadence(anchored["interval"]), anchor)}
