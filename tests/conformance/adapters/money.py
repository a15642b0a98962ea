"""Money after the lines: tax, credit_note, credit_note.apply, immutable_invoice_change."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.periods import cadence
from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.billing.credit_notes import (
    Creditable,
    CreditableLine,
    CreditNote,
    creditable_lines,
    draft_credit_note,
    room,
)
from valorem.core.billing.customer_balance import Balance, Credit, apply_balance
from valorem.core.billing.life import Life, check_step, finalise
from valorem.core.billing.settlement import settle_invoice
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import Taxable, Taxed, tax_lines
from valorem.core.calendar import start_of_day
from valorem.core.contracts.proration import share_of
from valorem.core.errors import ConflictError
from valorem.core.money import round_money
from valorem.core.periods import Cadence, Interval, boundary, calendar_anchor, index_at
from valorem.core.pricing.adjustments import split_discount

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = Cadence(1, "month")


def money(cents: Any) -> Decimal:
    return number(cents).scaleb(-2)


def cents(amount: Decimal) -> Decimal:
    return amount.scaleb(2)


def rates(percents: Any) -> tuple[TaxRate, ...]:
    """One tax for each percentage, named by its place: what a fee has several of adds up."""
    listed = percents if isinstance(percents, Sequence) and not isinstance(percents, str) else [percents]
    return tuple(
        TaxRate(f"tax_{place}", "Tax", number(percent).scaleb(-2)) for place, percent in enumerate(listed)
    )


def fee_rates(fee: Mapping[str, Any]) -> tuple[TaxRate, ...]:
    return rates(fee.get("tax", fee.get("taxes", fee.get("rates", "0"))))


@adapter("tax")
def tax(inputs: Inputs) -> Any:
    known = {
        "fees",
        "fee_cents",
        "rates",
        "tax",
        "coupon_fixed_cents",
        "prepaid_cents",
        "credit_cents",
        "case",
    }
    if unknown := set(inputs) - known:
        raise Unsupported(f"taxes with {', '.join(sorted(unknown))}")
    fees = inputs.get("fees") or [
        {"cents": inputs["fee_cents"], "tax": inputs.get("rates", inputs.get("tax", "0"))}
    ]
    amounts = {str(place): money(fee["cents"]) for place, fee in enumerate(fees)}
    coupons = split_discount(amounts, money(inputs.get("coupon_fixed_cents")), "USD")
    lines = [
        Taxable(key, amounts[key] - coupons[key], fee_rates(fee))
        for key, fee in zip(amounts, fees, strict=True)
    ]
    by_line = tax_lines(lines, currency="USD", rounded="per_line")
    whole = settle_invoice(
        lines,
        currency="USD",
        prepaid=money(inputs.get("prepaid_cents", inputs.get("credit_cents"))),
        applied="after tax",
    )
    return asked(
        inputs["case"],
        {
            "coupon_per_fee": [cents(coupons[key]) for key in amounts],
            "tax_per_fee": [cents(line.tax) for line in by_line.lines],
            "net_per_fee": [cents(line.net) for line in by_line.lines],
            "tax_cents": cents(whole.taxed.tax),
            "rate": sum((rate.share for rate in lines[0].rates), Decimal(0)) * 100,
            "rates": [rate.share * 100 for rate in lines[0].rates],
            "fees": cents(sum(amounts.values(), Decimal(0))),
            "coupons": cents(sum(coupons.values(), Decimal(0))),
            "net": cents(whole.taxed.net),
            "tax": cents(whole.taxed.tax),
            "total": cents(whole.total),
            "due": cents(whole.due),
        },
    )


# Credit notes


def issued(fees: Sequence[Mapping[str, Any]], paid: Decimal) -> Creditable:
    """An invoice over fees with their coupons taken off, some of it paid."""
    coupons = {str(place): money(fee.get("coupon")) for place, fee in enumerate(fees)}
    taxable = [
        Taxable(str(place), money(fee["cents"]) - coupons[str(place)], fee_rates(fee))
        for place, fee in enumerate(fees)
    ]
    taxed: Taxed = tax_lines(taxable, currency="USD")
    lines: tuple[CreditableLine, ...] = creditable_lines(taxed.lines, coupons)
    return Creditable("INV-1", "USD", lines, paid, taxed.gross - paid)


def note_answers(note: CreditNote, invoice: Creditable) -> dict[str, Any]:
    left = room(invoice)
    return {
        "coupon_adjustment": cents(note.discount),
        "net": cents(note.net),
        "tax": cents(note.tax),
        "total": cents(note.total),
        "max_creditable": cents(left.creditable),
        "max_refundable": cents(left.refundable),
    }


@adapter("credit_note")
def credit_note(inputs: Inputs) -> Any:
    if "plan_cents" in inputs:
        return terminated(inputs)
    known = {
        "fees",
        "paid_cents",
        "invoice_fee_cents",
        "fee_coupon_cents",
        "tax",
        "item_cents",
        "items_cents",
    }
    if unknown := set(inputs) - known - {"case"}:
        raise Unsupported(f"a note with {', '.join(sorted(unknown))}")
    fees = inputs.get("fees") or [
        {
            "cents": inputs["invoice_fee_cents"],
            "coupon": inputs.get("fee_coupon_cents"),
            "tax": inputs.get("tax", "0"),
        }
    ]
    invoice = issued(fees, money(inputs.get("paid_cents")))
    items = inputs.get("items_cents", [inputs["item_cents"]] if "item_cents" in inputs else None)
    chosen = None if items is None else {str(place): money(each) for place, each in enumerate(items)}
    return asked(inputs["case"], note_answers(draft_credit_note(invoice, chosen, reason="asked"), invoice))


def terminated(inputs: Inputs) -> Any:
    """The note over the unused days of a fee billed in advance; the day of the end is used.

    Of a fee with a coupon the note takes that share of the fee, and the coupon's part of it is not given back; what can be
    paid back in money is never more than what was paid.
    """
    known = {"plan_cents", "tax", "anniversary", "start", "terminated", "interval", "billing", "timezone"}
    known |= {"coupon_cents", "fee_coupon_cents", "paid_cents", "case"}
    if unknown := set(inputs) - known:
        raise Unsupported(f"a termination with {', '.join(sorted(unknown))}")
    zone, every = inputs.get("timezone", "UTC"), cadence(inputs.get("interval", "monthly"))
    began = date.fromisoformat(inputs.get("anniversary", inputs.get("start")))
    last = began if inputs["terminated"] == "same day" else date.fromisoformat(inputs["terminated"])
    start = start_of_day(began, zone)
    by_calendar = "anniversary" not in inputs and inputs.get("billing", "calendar") == "calendar"
    anchor = calendar_anchor(start, every, zone) if by_calendar else start
    index = index_at(anchor, every, zone, start_of_day(last, zone))
    full = Interval(boundary(anchor, every, zone, index), boundary(anchor, every, zone, index + 1))
    billed = Interval(max(start, full.start), full.end)
    fee = round_money(share_of(billed, full, zone, "day").of(money(inputs["plan_cents"])), "USD")
    unused_from = start_of_day(last + timedelta(days=1), zone)
    coupon = inputs.get("coupon_cents", inputs.get("fee_coupon_cents"))
    written = {"cents": cents(fee), "tax": inputs.get("tax", "0"), "coupon": coupon}
    unpaid = issued([written], Decimal(0))
    invoice = issued([written], money(inputs["paid_cents"]) if "paid_cents" in inputs else unpaid.total)
    back = Decimal(0)
    if unused_from < full.end:
        unused = Interval(unused_from, full.end)
        of_plan = share_of(unused, full, zone, "day").of(money(inputs["plan_cents"]))
        back = min(fee, round_money(of_plan, "USD"))
    if not back:  # nothing is unused: no note is written
        return asked(inputs["case"], {"net": 0, "tax": 0, "total": 0, "coupon_adjustment": 0})
    return asked(
        inputs["case"], note_answers(draft_credit_note(invoice, {"0": back}, reason="ended"), invoice)
    )


@adapter("credit_note.apply")
def credit_note_apply(inputs: Inputs) -> Any:
    if unknown := set(inputs) - {
        "invoices_total",
        "invoice_total",
        "credit_note_balances",
        "parallel",
        "case",
    }:
        raise Unsupported(f"balances with {', '.join(sorted(unknown))}")
    totals = inputs.get("invoices_total", [inputs.get("invoice_total", 0)])
    dues = [(str(place), money(total)) for place, total in enumerate(totals)]
    credits_ = [
        Credit(f"note {place}", NOW + timedelta(days=place), money(left))
        for place, left in enumerate(inputs["credit_note_balances"])
    ]
    applied = apply_balance(Balance(tuple(credits_)), dues)
    per_invoice = [
        sum((each.amount for each in applied if each.invoice == key), Decimal(0)) for key, _ in dues
    ]
    left = [
        credit.left - sum((each.amount for each in applied if each.credit == credit.id), Decimal(0))
        for credit in credits_
    ]
    return asked(
        inputs["case"],
        {
            "sum_of_credits": cents(sum(per_invoice, Decimal(0))),
            "credits": [cents(amount) for amount in per_invoice],
            "credit_per_invoice": [cents(amount) for amount in per_invoice],
            "balances_left": [cents(amount) for amount in left],
            "totals": [cents(due - amount) for (_, due), amount in zip(dues, per_invoice, strict=True)],
        },
    )


# A final invoice under a change


@adapter("immutable_invoice_change")
def immutable_invoice_change(inputs: Inputs) -> Any:
    line = inputs["issued_line"]
    start, end = (start_of_day(date.fromisoformat(day), "UTC") for day in line["period"])
    changed = start_of_day(date.fromisoformat(inputs["edit_at"]), "UTC")
    full = Interval(start, boundary(start, MONTH, "UTC", 1))
    following = Interval(full.end, boundary(start, MONTH, "UTC", 2))
    price = number(inputs["new_price"])
    life: Life = finalise(Life(), start, total=number(line["amount"]), due=start.date(), zone="UTC")
    try:
        check_step(life, "edit", changed)
    except ConflictError:
        answer = "validation warning, not rewritten"
    else:
        answer = "rewritten"
    return asked(
        inputs["case"],
        {
            "issued_line_amount": life.total,
            "issued_invoice_gets": answer,
            "gathering_lines": [
                {
                    "amount": round_money(share_of(part, whole, "UTC", "day").of(price), "USD"),
                    "period": [part.start.date().isoformat(), part.end.date().isoformat()],
                }
                for part, whole in ((Interval(changed, end), full), (following, following))
            ],
        },
    )
