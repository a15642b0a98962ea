from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.core.outcomes.estimates import (
    Estimate,
    agrees,
    applied,
    billable_outcomes,
    difference_in_differences,
    read_estimate,
    stored,
)
from valorem.core.outcomes.hours import Work, hours_saved
from valorem.core.outcomes.savings import (
    Facts,
    NonRoutine,
    adjusted_baseline,
    savings_fees,
    share_fee,
    working_days,
)
from valorem.core.outcomes.terms import HourTerms, SavingsTerms


def terms(method: str = "fixed", *, baseline: dict[str, Any] | None = None, **fields: Any) -> SavingsTerms:
    plain = {"baseline": {"method": method, "amount": "1000", **(baseline or {})}, "share": "25%"}
    return SavingsTerms.model_validate({**plain, **fields})


def spent(*amounts: int) -> list[Facts]:
    return [Facts(Decimal(amount)) for amount in amounts]


def fees(chosen: SavingsTerms, *amounts: int) -> list[Decimal]:
    return [each.fee for each in savings_fees(chosen, spent(*amounts), "USD")]


def test_a_loss_is_made_up_for_before_anything_is_shared():
    found = savings_fees(terms(), spent(1300, 900, 600, 600), "USD")
    assert [each.fee for each in found] == [0, 0, 50, 100]
    assert [each.carried for each in found] == [300, 200, 0, 0]
    assert fees(terms(losses="none"), 1300, 900, 600, 600) == [0, 25, 100, 100]


def test_the_gate_is_reached_exactly_and_shares_from_the_first_unit():
    assert fees(terms(minimum_rate="10%", losses="none"), 901, 900) == [0, 25]


def test_the_lower_cap_holds():
    assert fees(terms(cap="60", cap_share="5%"), 0) == [50]
    assert fees(terms(cap="40", cap_share="5%"), 0) == [40]


def test_baselines():
    by_unit = terms("unit_cost", baseline={"volume": "10"})
    assert adjusted_baseline(by_unit, Facts(Decimal(0), volume=Decimal(12))) == 1200
    last_year = terms("same_period_last_year")
    assert adjusted_baseline(last_year, Facts(Decimal(0), days=35, baseline_days=28)) == 1250
    raw = terms("same_period_last_year", baseline={"per": "period"})
    assert adjusted_baseline(raw, Facts(Decimal(0))) == 1000
    assert adjusted_baseline(terms("regression"), Facts(Decimal(0), estimate=Decimal("1.5"))) == Decimal(
        "1.5"
    )
    adjusted = terms(baseline={"routine": {"weather": "(data.degree_days - 100) * 2"}})
    facts = Facts(
        Decimal(0),
        facts={"degree_days": Decimal(90)},
        non_routine=(NonRoutine(Decimal(-30), "a wing was closed", "ab"),),
    )
    assert adjusted_baseline(adjusted, facts) == 950


@pytest.mark.parametrize(
    ("method", "field"),
    [("unit_cost", "baseline.volume"), ("holdout", "estimate"), ("same_period_last_year", "days")],
)
def test_what_a_baseline_needs_is_named(method, field):
    with pytest.raises(InvalidInputError) as refused:
        adjusted_baseline(terms(method), Facts(Decimal(0), volume=Decimal(1)))
    assert refused.value.field == field


@given(st.lists(st.integers(0, 3000), max_size=8))
def test_carried_losses_never_cost_the_customer_more_than_the_whole_saving(amounts):
    found = savings_fees(terms(), spent(*amounts), "USD")
    saved = sum((each.savings for each in found), Decimal(0))
    shared = sum((each.fee for each in found), Decimal(0))
    assert shared >= 0
    assert shared == Decimal("0.25") * (max(Decimal(0), saved + found[-1].carried) if found else 0)


def test_hours_net_or_floored():
    work = [
        Work(Decimal(10), Decimal(3)),
        Work(Decimal(2), Decimal(20)),
        Work(Decimal(1), Decimal(1), Decimal(4)),
    ]
    net = hours_saved(HourTerms(baseline_minutes=Decimal(12), hour_value=Decimal(60)), work)
    assert [net.value, net.hours * 60] == [Decimal(77), Decimal(77)]
    floored = HourTerms(baseline_minutes=Decimal(12), hour_value=Decimal(60), negative="floor_each")
    assert hours_saved(floored, work).value == 93


def test_a_third_of_an_hour_loses_nothing():
    saved = hours_saved(
        HourTerms(baseline_minutes=Decimal(1), hour_value=Decimal(30)), [Work(Decimal(20), Decimal(0))]
    )
    assert saved.value == 10


def test_no_fee_for_harm():
    assert share_fee(terms(), Decimal(-100), "USD") == 0


def test_working_days_leave_out_weekends_and_the_list():
    assert working_days(date(2026, 2, 1), date(2026, 3, 1)) == 20
    assert working_days(date(2026, 2, 1), date(2026, 3, 1), [date(2026, 2, 16), date(2026, 2, 15)]) == 19


def estimate(point: str, lower: str) -> Estimate:
    return Estimate(
        "holdout",
        Decimal(point),
        Decimal(lower),
        None,
        Decimal("0.95"),
        "one",
        {"n": "10"},
        "by hand",
        "none 1",
    )


@pytest.mark.parametrize(
    ("point", "lower", "lower_bound", "significant"),
    [("200.9", "53.9", 53, 200), ("10", "-3", 0, 0), ("-5", "-9", 0, 0)],
)
def test_interval_policies(point, lower, lower_bound, significant):
    found = estimate(point, lower)
    assert billable_outcomes(found, "lower_bound") == lower_bound
    assert billable_outcomes(found, "significant_then_point") == significant
    assert applied(found, "point") == max(Decimal(0), Decimal(point))


def test_an_estimate_is_stored_as_decimals_and_checked():
    found = estimate("200.123456789012", "53")
    assert read_estimate(stored(found)) == found
    assert agrees(found, estimate("200.123456789013", "53"))
    assert not agrees(found, estimate("200.12346", "53"))


def test_means_that_are_agreed_on_need_no_floats():
    numbers = {
        "treated_before": "50.0",
        "treated_after": "42.1",
        "control_before": "48.0",
        "control_after": "47.3",
    }
    assert difference_in_differences(**{name: Decimal(text) for name, text in numbers.items()}) == Decimal(
        "-7.2"
    )
