"""Thresholds: which are reached, how far the next one is, and how fast spend can get there."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.alerts.pace import headroom, most_per_unit
from valorem.core.alerts.rules import AlertRule, PlanAlerts
from valorem.core.alerts.thresholds import (
    Level,
    Threshold,
    distance,
    foremost,
    is_reached,
    parse_threshold,
    reached,
)
from valorem.core.errors import InvalidInputError
from valorem.core.metering.meter import Meter
from valorem.core.pricing.price import Price

amounts = st.integers(0, 1000).map(Decimal)
thresholds = st.builds(
    Threshold,
    st.sampled_from(["amount", "share"]),
    st.integers(0, 200).map(lambda n: Decimal(n) / 100),
    st.just("used"),
)


@pytest.mark.parametrize(
    ("text", "form", "value"),
    [
        ("80%", "share", "0.8"),
        ("1M", "amount", "1000000"),
        (500, "amount", "500"),
        ("12.5%", "share", "0.125"),
    ],
)
def test_thresholds_read_and_write(text, form, value):
    read = parse_threshold(text)
    assert (read.form, read.value) == (form, Decimal(value))
    assert parse_threshold(str(read)) == read


def test_less_than_nothing_is_refused():
    with pytest.raises(InvalidInputError):
        parse_threshold("-5%")


@given(st.lists(thresholds, max_size=6), amounts, amounts)
def test_the_next_threshold_is_not_reached_before_its_distance_and_is_at_it(points, used, whole):
    level = Level(used, whole)
    gap = distance(points, level)
    before = set(reached(points, level))
    if gap is None:
        assert before == set(reached(points, Level(used + 10**9, whole)))
        return
    assert gap > 0
    assert set(reached(points, Level(used + gap, whole))) > before
    just_before = Level(used + gap - Decimal("0.000001"), whole)
    assert set(reached(points, just_before)) == before


@given(st.lists(thresholds, min_size=1, max_size=6), amounts, amounts)
def test_use_only_ever_reaches_more(points, used, more):
    whole = Decimal(100)
    assert set(reached(points, Level(used, whole))) <= set(reached(points, Level(used + more, whole)))


def test_a_share_of_nothing_is_never_reached_and_a_share_says_more_than_the_same_amount():
    half, fifty = Threshold("share", Decimal("0.5")), Threshold("amount", Decimal(50))
    assert not is_reached(half, Level(Decimal(10), Decimal(0)))
    assert not is_reached(half, Level(Decimal(10)))
    assert foremost([fifty, half], Level(Decimal(60), Decimal(100))) == half
    assert foremost([half, fifty], Level(Decimal(60), Decimal(100))) == half


@pytest.mark.parametrize(("left", "low"), [(11, False), (10, False), (9, True), (0, True)])
def test_a_balance_is_low_below_its_threshold(left, low):
    threshold = Threshold("amount", Decimal(10), "left")
    assert is_reached(threshold, Level(Decimal(0), Decimal(100), Decimal(left))) is low


def test_an_empty_balance_reaches_nothing_left():
    nothing = Threshold("amount", Decimal(0), "left")
    assert is_reached(nothing, Level(Decimal(5), Decimal(5), Decimal(0)))
    assert not is_reached(nothing, Level(Decimal(4), Decimal(5), Decimal(1)))
    assert not is_reached(nothing, Level(Decimal(0), None, Decimal(0)))


METER = Meter(meter="m", event="e", aggregate="sum", value="data.n", dimensions={"model": "data.model"})


@pytest.mark.parametrize(
    ("price", "most"),
    [
        ({"model": "per_unit", "amount": 12, "per": "1M"}, "0.000012"),
        ({"model": "per_unit", "amount": 2, "multipliers": {"model": {"a": "0.5", "b": 3}}}, "6"),
        ({"model": "per_unit", "amount": 2, "scale": "0.5", "included": 10}, "1"),
        ({"model": "graduated", "tiers": [{"up_to": 10, "unit": 3}, {"unit": 1}]}, "3"),
        ({"model": "matrix", "rates": [{"amount": 5}, {"amount": 7, "from": "2026-05-01"}]}, "7"),
        ({"model": "graduated", "tiers": [{"up_to": 10, "unit": 3, "flat": 5}, {"unit": 1}]}, None),
        ({"model": "volume", "tiers": [{"up_to": 10, "unit": 3}, {"unit": 1}]}, None),
        ({"model": "package", "amount": 5, "size": 100}, None),
        ({"model": "per_unit", "amount": 2, "minimum": 10}, None),
    ],
)
def test_how_fast_spend_can_rise(price, most):
    found = most_per_unit(Price.model_validate(price), METER)
    assert found == (None if most is None else Decimal(most))


@given(st.integers(1, 10**6), st.integers(1, 1000), st.integers(1, 5), st.integers(0, 500))
def test_headroom_of_every_source_together_stays_below_the_distance(far, most, sources, cents):
    slack = Decimal(cents).scaleb(-2)
    room = headroom(Decimal(far), Decimal(most), sources, slack)
    assert room >= 0
    assert not room or (room * most + slack) * sources < far


@given(st.lists(amounts, min_size=1, max_size=5), amounts, st.integers(0, 10**6))
def test_what_is_left_reaches_nothing_before_its_distance(points, left, less):
    """Less than the distance may be used without a look; a balance reaches a threshold below it, or at nothing."""
    thresholds = [Threshold("amount", each, "left") for each in points]
    level = Level(Decimal(0), Decimal(10) ** 9, left)
    gap = distance(thresholds, level)
    before = set(reached(thresholds, level))
    if gap is None:
        assert len(before) == len(set(thresholds))
        return
    used = gap * less / (10**6 + 1)
    assert set(reached(thresholds, Level(Decimal(0), Decimal(10) ** 9, left - used))) == before


def test_a_plan_s_alerts_are_rules():
    plan = PlanAlerts.model_validate(
        {
            "included": ["70%"],
            "limits": {"jobs": ["80%"]},
            "spend": ["80%", 500],
            "expiry": ["7 days"],
            "balance": {"ai": ["20%", 0]},
            "depletion": ["3 days"],
            "credit_expiry": ["14 days"],
        }
    )
    found = [(rule.kind, rule.on, [str(one) for one in rule.at]) for rule in plan.rules()]
    assert found == [
        ("included", None, ["70%"]),
        ("limit", "jobs", ["80%"]),
        ("balance", "ai", ["20%", "0"]),
        ("spend", None, ["80%", "500"]),
        ("expiry", None, []),
        ("depletion", None, []),
        ("credit_expiry", None, []),
    ]


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "expiry", "at": ["80%"]},
        {"kind": "spend"},
        {"kind": "spend", "before": ["7 days"]},
        {"kind": "depletion", "at": [5]},
    ],
)
def test_a_rule_says_when(rule):
    with pytest.raises(ValueError, match="say how long before"):
        AlertRule.model_validate(rule)
