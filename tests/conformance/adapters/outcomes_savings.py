"""Savings and estimates: outcome.savings, .holdout, .did, .hours."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.calendar import add_months
from valorem.core.money import round_money
from valorem.core.numbers import ZERO
from valorem.core.outcomes.estimates import Estimate, applied, billable_outcomes, difference_in_differences
from valorem.core.outcomes.hours import Work, hours_saved
from valorem.core.outcomes.keys import held_out
from valorem.core.outcomes.savings import (
    Facts,
    NonRoutine,
    SavingsFee,
    adjusted_baseline,
    savings_fees,
    share_fee,
    working_days,
)
from valorem.core.outcomes.terms import HourTerms, SavingsTerms
from valorem.lab.estimating import holdout_uplift


def sharing(inputs: Inputs, baseline: Mapping[str, Any], **fields: Any) -> SavingsTerms:
    told: dict[str, Any] = {"baseline": baseline, "share": str(inputs["share"]), **fields}
    for name, key in (
        ("minimum_rate", "minimum_rate"),
        ("cap_share", "cap_share_of_benchmark"),
        ("cap", "cap"),
    ):
        if key in inputs:
            told[name] = str(inputs[key])
    return SavingsTerms.model_validate(told)


def fees(terms: SavingsTerms, facts: Sequence[Facts], inputs: Inputs) -> tuple[SavingsFee, ...]:
    return savings_fees(terms, facts, inputs.get("currency", "USD"))


@adapter("outcome.savings")
def savings(inputs: Inputs) -> Any:
    baseline = inputs.get("baseline")
    if isinstance(baseline, Mapping) and "period" in baseline:
        return asked(inputs["case"], last_year(inputs))
    if isinstance(baseline, Mapping):
        volumes = set(baseline) - {"cost", "amount", "months", "periods", "method"}
        return asked(inputs["case"], by_unit_cost(inputs) if volumes else of_one_period(inputs))
    if "actual" in inputs and not isinstance(inputs["actual"], list):
        return asked(inputs["case"], of_one_period(inputs))
    return in_a_row(inputs)


def of_one_period(inputs: Inputs) -> dict[str, Any]:
    """One period against a fixed sum, or the mean of the periods before."""
    told = inputs["baseline"]
    if isinstance(told, Mapping):
        before = next((told[name] for name in ("months", "periods") if name in told), None)
        base = (
            mean([number(each) for each in before])
            if before
            else number(told.get("cost", told.get("amount")))
        )
        method = "pre_period_mean" if before else "fixed"
    else:
        base, method = number(told), "fixed"
    spent = inputs["actual"]["cost"] if isinstance(inputs["actual"], Mapping) else inputs["actual"]
    terms = sharing(inputs, {"method": method})
    signed = tuple(
        NonRoutine(number(each["amount"]), each.get("reason", ""), "")
        for each in inputs.get("non_routine", ())
    )
    facts = Facts(number(spent), baseline=base, non_routine=signed)
    (fee,) = fees(terms, [facts], inputs)
    return {
        "baseline": fee.baseline,
        "adjusted_baseline": fee.baseline,
        "savings": fee.savings,
        "fee": fee.fee,
        "reached": fee.reached,
    }


def mean(values: Sequence[Decimal]) -> Decimal:
    return sum(values, ZERO) / len(values)


def by_unit_cost(inputs: Inputs) -> dict[str, Any]:
    before, now = inputs["baseline"], inputs["actual"]
    ((volume, count),) = ((key, value) for key, value in before.items() if key != "cost")
    adjusting = sharing(inputs, {"method": "unit_cost", "amount": before["cost"], "volume": str(count)})
    facts = Facts(number(now["cost"]), volume=number(now[volume]))
    (fee,) = fees(adjusting, [facts], inputs)
    (plain,) = fees(sharing(inputs, {"method": "fixed", "amount": before["cost"]}), [facts], inputs)
    return {
        "adjusted_baseline": adjusted_baseline(adjusting, facts),
        "savings": fee.savings,
        "fee": fee.fee,
        "unadjusted_fee": plain.fee,
    }


def last_year(inputs: Inputs) -> dict[str, Any]:
    before, now = inputs["baseline"], inputs["actual"]
    answers = {}
    for name, per in (
        ("normalised_by_days", "day"),
        ("normalised_by_working_days", "working_day"),
        ("raw", "period"),
    ):
        terms = sharing(inputs, {"method": "same_period_last_year", "amount": before["cost"], "per": per})
        days, baseline_days = (
            days_of(each["period"], working=per == "working_day") for each in (now, before)
        )
        (fee,) = fees(terms, [Facts(number(now["cost"]), days=days, baseline_days=baseline_days)], inputs)
        answers[name] = {"baseline": fee.baseline, "savings": fee.savings, "fee": fee.fee}
    expected = inputs["case"].expected
    return {
        name: {key: each[key] for key in expected[name]} for name, each in answers.items() if name in expected
    }


def days_of(period: str, *, working: bool) -> int:
    start = date.fromisoformat(f"{period}-01")
    end = add_months(start, 1)
    return working_days(start, end) if working else (end - start).days


def in_a_row(inputs: Inputs) -> Any:
    """Several periods against a baseline; losses carried or not."""
    rows = row_facts(inputs)
    baselines = [facts.baseline for facts in rows]
    terms = sharing(inputs, {"method": "pre_period_mean"})
    assert all(each is not None for each in baselines)
    answers: dict[str, Any] = {}
    for policy in ("carry_losses", "none"):
        found = fees(terms.model_copy(update={"losses": policy}), rows, inputs)
        answers[policy] = fee_answers(found, inputs["case"].expected.get(policy))
    default = "carry_losses" if inputs.get("carry_losses", True) else "none"
    chosen = inputs.get("loss", inputs.get("losses", default))
    found = fees(terms.model_copy(update={"losses": chosen}), rows, inputs)
    return asked(inputs["case"], {**fee_answers(found, {}), **answers})


def fee_answers(found: Sequence[SavingsFee], shape: Any) -> Any:
    amounts = [each.fee for each in found]
    answers = {
        "fees": amounts,
        "savings": [each.savings for each in found],
        "total": sum(amounts, ZERO),
        "carried": [each.carried for each in found],
        "carried_loss": found[-1].carried,
        "loss_carried": found[-1].carried,
    }
    if isinstance(shape, list):
        return amounts
    if isinstance(shape, str):
        return answers["total"]
    return {key: answers[key] for key in shape if key in answers} if shape else answers


def row_facts(inputs: Inputs) -> list[Facts]:
    for key in ("spend", "actual", "actuals"):
        if key in inputs:
            given = inputs.get("benchmark", inputs.get("baseline"))
            bases = given if isinstance(given, list) else [given] * len(inputs[key])
            return [
                Facts(number(spent), baseline=number(base))
                for spent, base in zip(inputs[key], bases, strict=True)
            ]
    for key in ("savings", "periods", "months", "quarters"):
        if key in inputs:
            return [one_fact(each, inputs) for each in inputs[key]]
    raise Unsupported("savings without periods")


def one_fact(each: Any, inputs: Inputs) -> Facts:
    if not isinstance(each, Mapping):
        return Facts(-number(each), baseline=ZERO)
    if "savings" in each:
        return Facts(-number(each["savings"]), baseline=ZERO)
    base = each.get("baseline", inputs.get("baseline"))
    return Facts(number(each.get("actual", each.get("cost"))), baseline=number(base))


@adapter("outcome.holdout")
def holdout(inputs: Inputs) -> Any:
    if "units" in inputs:
        ppm = int(number(inputs.get("share", 0)) * 1_000_000) or int(inputs.get("share_ppm", 0))
        assigned = {unit: held_out(inputs["salt"], unit, ppm) for unit in inputs["units"]}
        chosen = [unit for unit, out in assigned.items() if out]
        return asked(inputs["case"], {"held_out": chosen, "assigned": assigned, "holdout": chosen})
    estimate = uplift(inputs)
    price = number(inputs["price_per_incremental"])
    currency = inputs.get("currency", "USD")
    floored = billable_outcomes(estimate, "lower_bound")
    places = {key: value for key, value in inputs["case"].expected.items() if key.startswith("incremental")}
    numbers = {
        "incremental_point": estimate.point,
        "incremental_lower": estimate.lower,
        "incremental_upper": estimate.upper,
    }
    shown = {
        key: round(value, max(0, -int(number(places[key]).as_tuple().exponent)))
        for key, value in numbers.items()
        if key in places and value is not None
    }
    return asked(
        inputs["case"],
        {
            **shown,
            "significant": estimate.significant,
            "billable_quantity_ci_lower_floor": floored,
            "billable_quantity": billable_outcomes(estimate, inputs.get("policy", "lower_bound")),
            "fee": round_money(
                price * billable_outcomes(estimate, inputs.get("policy", "lower_bound")), currency
            ),
            "fee_lower_bound": round_money(price * floored, currency),
            "billable_quantity_point": billable_outcomes(estimate, "point"),
            "billable_quantity_significant_then_point": billable_outcomes(estimate, "significant_then_point"),
            "fee_point": round_money(price * applied(estimate, "point"), currency),
            "fee_ci_lower": round_money(price * floored, currency),
            "fee_significant_then_point": round_money(
                price * applied(estimate, "significant_then_point"), currency
            ),
        },
    )


def uplift(inputs: Inputs) -> Estimate:
    written = str(inputs.get("interval", "two-sided 95 %"))
    match = re.match(r"(one|two)-sided (\d+(?:\.\d+)?)\s?%", written)
    if match is None:
        raise Unsupported(f"an interval {written}")
    sides: Literal["one", "two"] = "two" if match[1] == "two" else "one"
    treated, held = inputs["treated"], inputs["holdout"]
    return holdout_uplift(
        treated=treated["n"],
        treated_successes=treated["success"],
        held_out=held["n"],
        held_out_successes=held["success"],
        level=Decimal(match[2]).scaleb(-2),
        sides=sides,
    )


@adapter("outcome.did")
def did(inputs: Inputs) -> Any:
    means = next(each for each in inputs.values() if isinstance(each, Mapping) and "treated" in each)
    change = difference_in_differences(
        treated_before=number(means["treated"]["pre"]),
        treated_after=number(means["treated"]["post"]),
        control_before=number(means["control"]["pre"]),
        control_after=number(means["control"]["post"]),
    )
    volume = number(next((value for key, value in inputs.items() if str(key).endswith("_treated_post")), 1))
    share = sharing(inputs, {"method": "difference_in_differences"})
    answers: dict[str, Any] = {"effect": change, "effect_minutes": change}
    if "hour_value" in inputs:
        terms = HourTerms(baseline_minutes=ZERO, hour_value=inputs["hour_value"])
        saved = hours_saved(terms, [Work(volume, ZERO, -change)])
        answers |= {"hours_saved": saved.hours, "value": saved.value}
    else:
        answers["value"] = -change * volume
    answers["savings"] = answers["value"]
    answers["fee"] = share_fee(share, answers["value"], inputs.get("currency", "USD"))
    return asked(inputs["case"], answers)


@adapter("outcome.hours")
def hours(inputs: Inputs) -> Any:
    work = [work_of(each, inputs) for each in items(inputs)]
    share = sharing({"share": "1", **inputs}, {"method": "fixed", "amount": "0"})
    answers: dict[str, Any] = {}
    for policy in ("net", "floor_each"):
        terms = HourTerms(
            baseline_minutes=inputs.get("baseline_minutes", "0"),
            hour_value=inputs["hour_value"],
            negative=policy,
        )
        saved = hours_saved(terms, work)
        fee = share_fee(share, saved.value, inputs.get("currency", "USD"))
        found = {"hours": saved.hours, "hours_saved": saved.hours, "value": saved.value, "fee": fee}
        shape = inputs["case"].expected.get(policy)
        if isinstance(shape, Mapping):
            answers[policy] = {key: found[key] for key in shape}
        else:
            answers[policy] = fee if "share" in inputs else saved.value
        if policy == inputs.get("negative", "net"):
            answers |= found
    return asked(inputs["case"], answers)


def items(inputs: Inputs) -> list[Mapping[str, Any]]:
    for value in inputs.values():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            return value
    measured = inputs["measured_minutes"]
    if isinstance(measured, list):
        return [{"measured_minutes": each, "documents": inputs.get("documents", 1)} for each in measured]
    return [inputs]


def work_of(each: Mapping[str, Any], inputs: Inputs) -> Work:
    count = next((each[key] for key in ("documents", "items", "tickets", "count", "n") if key in each), 1)
    measured = next(each[key] for key in ("measured_minutes", "minutes", "actual_minutes") if key in each)
    before = each.get("baseline_minutes", inputs.get("baseline_minutes"))
    return Work(number(count), number(measured), number(before))
