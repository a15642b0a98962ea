from datetime import timedelta
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.outcomes.make import FAR, definition, event, instant, only
from valorem.core.errors import InvalidInputError
from valorem.core.outcomes.attribution import split, touch_shares, weights
from valorem.core.outcomes.keys import held_out

DAY = timedelta(days=1)
SUCCESS = instant("03-20T00:00")
CENT = Decimal("0.01")


@pytest.mark.parametrize(
    ("model", "amounts"),
    [
        ("first", ["100", "0", "0", "0"]),
        ("last", ["0", "0", "0", "100"]),
        ("linear", ["25", "25", "25", "25"]),
        ("position", ["40", "10", "10", "40"]),
        ("time_decay", ["6.67", "13.33", "26.67", "53.33"]),
    ],
)
def test_models(model, amounts):
    touches = [SUCCESS - DAY * days for days in (4, 3, 2, 1)]
    weighed = weights(touches, SUCCESS, model, DAY)
    assert split(Decimal(100), weighed, CENT) == [Decimal(each) for each in amounts]


def test_the_remainder_goes_to_the_largest_and_then_the_earlier():
    assert split(Decimal(100), [Decimal(1)] * 3, CENT) == [
        Decimal("33.34"),
        Decimal("33.33"),
        Decimal("33.33"),
    ]
    assert split(Decimal("0.01"), [Decimal(1), Decimal(2)], CENT) == [Decimal(0), CENT]


def test_two_touches_share_evenly_by_position():
    assert touch_shares([SUCCESS - DAY, SUCCESS], SUCCESS, "position") == [Decimal("0.5")] * 2


@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=12),
    st.sampled_from(["first", "last", "linear", "position", "time_decay"]),
)
def test_shares_add_up_to_one(ages, model):
    touches = sorted(SUCCESS - timedelta(seconds=age) for age in ages)
    shares = touch_shares(touches, SUCCESS, model, DAY)
    assert sum(shares) == 1
    assert min(shares) >= 0


def test_time_decay_needs_a_half_life():
    with pytest.raises(InvalidInputError, match="half-life"):
        weights([SUCCESS], SUCCESS, "time_decay")


OURS = {"within": "30 days", "model": "linear", "vendor_actors": ["bot"]}


def test_our_share_is_that_of_our_touches():
    chosen = definition(
        attribution=OURS,
        value={"amount": "data.value"},
        bills="value",
        price={"model": "percentage", "rate": "10%"},
    )
    touches = [
        event("touch", f"03-0{day}T00:00", actor=actor) for day, actor in ((1, "bot"), (2, "ann"), (3, "bot"))
    ]
    (result,) = only(chosen, *touches, event("success", "03-04T00:00", value=300)).results
    assert result.value == Decimal("200.0000000001")  # twelve places of 1/3 + 1/3, the remainder to the first
    assert [touch.ours for touch in result.touches] == [True, False, True]


def test_without_a_touch_of_ours_in_its_window_a_success_is_unattributed():
    chosen = definition(attribution=OURS)
    success = event("success", "03-31T00:00")
    for touch, state in (
        (event("touch", "03-01T00:00:01", actor="bot"), "confirmed"),
        (event("touch", "03-01T00:00", actor="bot"), "rejected"),  # exactly thirty days is outside
        (event("touch", "03-31T00:00:01", actor="bot"), "rejected"),
        (event("touch", "03-30T00:00", actor="ann"), "rejected"),
    ):
        outcome = only(chosen, touch, success)
        assert outcome.state(FAR) == state
        assert outcome.rejected_by(FAR) == (None if state == "confirmed" else "unattributed")


@pytest.mark.parametrize(
    ("between", "resolver", "state"),
    [
        (None, None, "confirmed"),
        ("ann", None, "rejected"),
        ("ann", "bot", "confirmed"),
        ("bot", None, "confirmed"),
    ],
)
def test_an_exclusive_result_is_ours_alone(between, resolver, state):
    chosen = definition(attribution={**OURS, "model": "any", "exclusive": True})
    events = [event("touch", "03-01T00:00", actor="bot"), event("success", "03-03T00:00", actor=resolver)]
    if between:
        events.append(event("touch", "03-02T00:00", actor=between))
    assert only(chosen, *events).state(FAR) == state


def test_both_sides_can_recompute_the_holdout():
    units = [f"customer-{number}" for number in range(2000)]
    held = {unit for unit in units if held_out("2026", unit, 200_000)}
    assert 0.17 < len(held) / len(units) < 0.23
    by_hand = {
        unit
        for unit in units
        if int(sha256(f"2026:{unit}".encode()).hexdigest()[:16], 16) % 1_000_000 < 200_000
    }
    assert held == by_hand
    chosen = definition(holdout={"unit": "data.customer", "salt": "2026", "share": "20%"})
    for unit in ("customer-1", *sorted(held)[:1]):
        outcome = only(chosen, event("success", "03-02T00:00", customer=unit))
        assert outcome.rejected_by(FAR) == ("holdout" if unit in held else None)
