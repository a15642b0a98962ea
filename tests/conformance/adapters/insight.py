"""Metrics of recurring revenue and retention: metric.*."""

from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from tests.conformance.adapters.periods import cadence
from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, adapter
from valorem.core.insight.movements import Movement, movement
from valorem.core.insight.recurring_revenue import (
    Recurring,
    committed_arr,
    metered_mrr,
    monthly,
    mrr,
    per_account,
    run_rate_arr,
)
from valorem.core.insight.retention import lifetime_value, retained, subscriber_churn, trial_conversion


def printed(value: Decimal | None, places: int, rounding: str = ROUND_HALF_UP) -> Decimal | None:
    return None if value is None else value.quantize(Decimal(1).scaleb(-places), rounding=rounding)


def percent(share: Decimal | None, places: int) -> Decimal | None:
    return None if share is None else printed(share.scaleb(2), places)


@adapter("metric.arpu")
def arpu(inputs: Inputs) -> Any:
    return {"arpu": per_account(number(inputs["mrr"]), inputs["active"])}


@adapter("metric.mrr")
def mrr_sum(inputs: Inputs) -> Any:
    return {
        "mrr": mrr(
            Recurring(
                number(each["price"]),
                cadence(each["interval"], int(each.get("interval_count", 1))),
                number(each.get("n", 1)),
            )
            for each in inputs["subs"]
        )
    }


@adapter("metric.mrr_metered")
def mrr_metered(inputs: Inputs) -> Any:
    return {
        "metered_mrr": metered_mrr(
            {month: number(each) for month, each in inputs["invoiced_by_month"].items()}
        )
    }


@adapter("metric.committed_arr")
def arr_committed(inputs: Inputs) -> Any:
    arr = committed_arr(number(inputs["amount"]), inputs["duration_days"])
    return asked(inputs["case"], {"arr": arr, "arr_2dp": printed(arr, 2)})


@adapter("metric.run_rate_arr")
def arr_run_rate(inputs: Inputs) -> Any:
    months = [number(each) for each in inputs["last_months"]]
    arr = run_rate_arr(months, inputs["window"])
    return asked(inputs["case"], {"arr": arr, "arr_2dp": printed(arr, 2)})


@adapter("metric.mrr_walk", "metric.net_new_mrr")
def walk(inputs: Inputs) -> Any:
    moved = Movement(
        start=number(inputs.get("start")),
        new=number(inputs.get("new")),
        expansion=number(inputs.get("expansion")),
        contraction=number(inputs.get("contraction")),
        churned=number(inputs.get("churn")),
        reactivation=number(inputs.get("reactivation")),
        fx=number(inputs.get("fx")),
    )
    return asked(inputs["case"], {"end": moved.end, "net_new": moved.net})


@adapter("metric.nrr_grr")
def nrr_grr(inputs: Inputs) -> Any:
    moved = movement(
        *({key: number(each) for key, each in inputs[name].items()} for name in ("base", "current"))
    )
    return asked(
        inputs["case"],
        {
            "new": moved.new,
            "expansion": moved.expansion,
            "contraction": moved.contraction,
            "churned": moved.churned,
            "net_change": moved.net,
            "grr_pct_2dp": percent(moved.grr(), 2),
            "nrr_pct_2dp": percent(moved.nrr(), 2),
        },
    )


@adapter("metric.subscriber_churn")
def churn(inputs: Inputs) -> Any:
    rate = subscriber_churn(inputs["active_at_start"], inputs["new"], inputs["churned"])
    return asked(
        inputs["case"], {"rate_1dp_pct": percent(rate, 1), "rate_2dp_pct": percent(rate, 2), "rate": rate}
    )


@adapter("metric.churned_revenue")
def churned_revenue(inputs: Inputs) -> Any:
    """This peer counts downgrades inside churned revenue."""
    cancelled = monthly(Recurring(number(inputs["cancelled_annual"]), cadence("year")))
    moved = movement(
        {"cancelled": cancelled, "downgraded": number(inputs["downgrade_from"])},
        {"downgraded": number(inputs["downgrade_to"])},
    )
    return {"churned_mrr": moved.churned + moved.contraction}


@adapter("metric.cohort_retention")
def cohort(inputs: Inputs) -> Any:
    shares = retained(number(inputs["monthly_churn"]), inputs["months"])
    return asked(inputs["case"], {"pct_rounded": [percent(each, 0) for each in shares]})


@adapter("metric.ltv")
def ltv(inputs: Inputs) -> Any:
    rate = inputs["churn_rate_rounded"] if "churn_rate_rounded" in inputs else inputs["churn_rate"]
    value = lifetime_value(number(inputs["arpu"]), number(rate))
    return asked(
        inputs["case"],
        {"ltv_floor": printed(value, 0, ROUND_FLOOR), "ltv": value, "ltv_2dp": printed(value, 2)},
    )


@adapter("metric.trial_conversion")
def conversion(inputs: Inputs) -> Any:
    rate = trial_conversion(inputs["trials_ended"], inputs["converted"])
    return asked(
        inputs["case"],
        {"rate_pct": rate.scaleb(2), "rate_1dp_pct": percent(rate, 1), "rate_2dp_pct": percent(rate, 2)},
    )
