"""Invoices before the end of a period: progressive.*, invoice.threshold_*."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.money import MONTH, cents, money
from tests.conformance.adapters.pricing import asked, exact_amount, number, tiered
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.billing.progressive import offset_progressive, slice_amounts, units_until
from valorem.core.billing.settlement import settle_invoice
from valorem.core.billing.taxes import Taxable
from valorem.core.billing.thresholds import Thresholds, passed
from valorem.core.calendar import start_of_day
from valorem.core.contracts.proration import share_of
from valorem.core.money import round_money
from valorem.core.periods import Interval, boundary


@adapter("progressive.thresholds")
def progressive_thresholds(inputs: Inputs) -> Any:
    thresholds = Thresholds(
        fixed=tuple(number(each) for each in inputs["fixed"]),
        recurring=number(inputs["recurring"]) if inputs.get("recurring") is not None else None,
        over="lifetime",
    )
    got = [
        list(
            passed(
                thresholds,
                billed=number(invoiced),
                billed_in_period=number(inputs.get("progressive_billed_in_period")),
                spent_in_period=number(used),
            )
        )
        for invoiced, used, _ in inputs["rows"]
    ]
    held = [
        found == [number(each) for each in row[2]] for found, row in zip(got, inputs["rows"], strict=True)
    ]
    return asked(inputs["case"], {"all_rows_hold": all(held), "passed": got})


@adapter("progressive.credit")
def progressive_credit(inputs: Inputs) -> Any:
    """Each fee is of a contract of its own, and the progressive invoices are of the first one's; each is the sum so far."""
    cumulative = [money(amount) for amount in inputs["progressive_invoice_amounts"]]
    billed = sum(slice_amounts(cumulative), Decimal(0))
    fees = [money(amount) for amount in inputs["invoice_fees_cents"]]
    offset = offset_progressive(fees[0], billed)
    return asked(
        inputs["case"],
        {
            "credit": cents(offset.credit),
            "credit_note": cents(offset.surplus),
            "total": cents(sum(fees, Decimal(0)) - offset.credit),
        },
    )


class Month:
    """One month's usage, sliced where thresholds are passed."""

    def __init__(self, lifetime: Decimal) -> None:
        self.lifetime = lifetime
        self.used = Decimal(0)
        self.billed = Decimal(0)

    def use(self, units: Decimal, price: Mapping[str, Any], thresholds: Thresholds) -> Decimal | None:
        """The slice that this usage makes due."""
        self.used += units
        spent = self.spent(price)
        due = passed(thresholds, billed=self.lifetime, billed_in_period=self.billed, spent_in_period=spent)
        if not due:
            return None
        (_, amount) = slice_amounts([self.billed, spent])
        self.billed += amount
        return amount

    def spent(self, price: Mapping[str, Any]) -> Decimal:
        return round_money(exact_amount(price, self.used), "USD")


@adapter("progressive.e2e")
def progressive_e2e(inputs: Inputs) -> Any:
    known = {"thresholds_cents", "recurring_cents", "unit_price", "usage_units", "next_month_usage"}
    if unknown := set(inputs) - known - {"plan_cents", "terminate", "case"}:
        raise Unsupported(f"slices with {', '.join(sorted(unknown))}")
    price = {"model": "per_unit", "amount": inputs.get("unit_price", "0.0002")}
    thresholds = Thresholds(
        fixed=tuple(money(each) for each in inputs.get("thresholds_cents", [20000])),
        recurring=money(inputs["recurring_cents"]) if inputs.get("recurring_cents") else None,
        over="lifetime",
    )
    plan = money(inputs.get("plan_cents", 3100))
    if "terminate" in inputs:
        last = date.fromisoformat(inputs["terminate"])
        start = start_of_day(last.replace(day=1), "UTC")
        served = Interval(start, start_of_day(last + timedelta(days=1), "UTC"))
        full = Interval(start, boundary(start, MONTH, "UTC", 1))
        plan = round_money(share_of(served, full, "UTC", "day").of(plan), "USD")
    months: list[Month] = []
    slices: list[Decimal | None] = []
    seen: str | None = None
    for each in inputs["usage_units"]:
        dated = isinstance(each, Sequence) and not isinstance(each, str)
        day, units = each if dated else ("the month", each)
        if day[:7] != seen:
            seen = day[:7]
            months.append(Month(sum((month.spent(price) for month in months), Decimal(0))))
        slices.append(months[-1].use(number(units), price, thresholds))
    following = Month(sum((month.spent(price) for month in months), Decimal(0)))
    after = following.use(number(inputs.get("next_month_usage")), price, thresholds)
    fees = [plan + month.spent(price) for month in months]
    credit = [offset_progressive(month.spent(price), month.billed).credit for month in months]
    totals = [cents(fee - taken) for fee, taken in zip(fees, credit, strict=True)]
    return asked(
        inputs["case"],
        {
            "progressive_invoices_after_each_event": [
                None if each is None else cents(each) for each in slices
            ],
            "progressive_invoices": [cents(each) for each in slices if each is not None],
            "month_total": totals[0],
            "month_totals": totals,
            "final_fees": cents(fees[-1]),
            "credit": cents(credit[-1]),
            "total": totals[-1],
            "next_month_progressive": None if after is None else cents(after),
        },
    )


# Thresholds on an amount


def written_tiers(inputs: Inputs) -> dict[str, Any]:
    """The case's tiers, with ``.50`` written in full."""
    numbers = ("unit", "flat")
    rows = [
        {key: number(each[key]) if key in numbers else each[key] for key in each} for each in inputs["tiers"]
    ]
    return tiered(inputs["mode"], rows)


@adapter("invoice.threshold_superset")
def threshold_superset(inputs: Inputs) -> Any:
    cumulative = [number(each) for each in (*inputs["cumulative_at_triggers"], inputs["final"])]
    invoices = slice_amounts(cumulative)
    return asked(inputs["case"], {"invoices": invoices, "total": sum(invoices, Decimal(0))})


@adapter("invoice.threshold_steps")
def threshold_steps(inputs: Inputs) -> Any:
    fields = written_tiers(inputs)
    step = number(inputs["threshold_amount"])
    reached = [Decimal(0), *(number(tier["up_to"]) for tier in inputs["tiers"][:-1])]
    answers = {
        f"units_per_invoice_in_tier{place}": units_until(
            lambda quantity: exact_amount(fields, quantity), step, before
        )
        for place, before in enumerate(reached, 1)
    }
    return asked(inputs["case"], answers)


@adapter("invoice.threshold_volume")
def threshold_volume(inputs: Inputs) -> Any:
    fields = written_tiers(inputs)
    thresholds = Thresholds(
        recurring=number(inputs["threshold_amount"]), recurring_from="last_invoice", over="period"
    )
    billed = cost = Decimal(0)
    slices = []
    for used in map(number, inputs["usage_sequence"]):
        cost = exact_amount(fields, used)
        if passed(thresholds, billed=Decimal(0), billed_in_period=billed, spent_in_period=cost):
            slices.append(cost - billed)
            billed = cost
    final = settle_invoice([Taxable("usage", cost - billed)], currency="USD")
    return asked(
        inputs["case"],
        {
            "threshold_invoices": slices,
            "cumulative_cost": cost,
            "final_invoice": final.total,
            "customer_balance_credit": final.to_balance,
        },
    )
