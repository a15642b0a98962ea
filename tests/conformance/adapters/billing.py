"""Billing: fixed fees for a part of a period."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.conformance.runner import Inputs, adapter
from valorem.core.calendar import calendar_days, start_of_day
from valorem.core.contracts.proration import share_of
from valorem.core.money import round_money
from valorem.core.periods import Interval


@adapter("flat_fee_proration")
def _flat_fee_proration(inputs: Inputs) -> dict[str, Any]:
    part, full = (
        Interval(*map(datetime.fromisoformat, inputs[name]))
        for name in ("service_period", "full_service_period")
    )
    exact = share_of(part, full, "UTC", "second").of(Decimal(inputs["amount"]))
    return {"prorated_amount": round_money(exact, inputs["currency"])}


@adapter("proration.days")
def _proration_days(inputs: Inputs) -> dict[str, Any]:
    zone = inputs.get("timezone", "UTC")
    start, end = (start_of_day(date.fromisoformat(inputs[name]), zone) for name in ("start", "end_exclusive"))
    return {"days": calendar_days(start, end, zone)}
