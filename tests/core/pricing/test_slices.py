"""Slices of a period always add up to the whole."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.pricing.builders import rows, version
from valorem.core.errors import InvalidInputError
from valorem.core.pricing.slices import (
    Booked,
    Position,
    rate_delta,
    rate_in_advance,
    rate_slice,
    spread_credits,
    usage_discount,
)

MODELS: list[dict[str, Any]] = [
    {"model": "per_unit", "amount": 3},
    {
        "model": "graduated",
        "tiers": [{"up_to": 5, "unit": 7, "flat": 10}, {"up_to": 12, "flat": 4}, {"unit": 6}],
    },
    {"model": "graduated", "tiers": [{"up_to": 5, "unit": 7, "maximum": 20}, {"unit": 6, "minimum": 9}]},
    {"model": "volume", "tiers": [{"up_to": 5, "unit": 7, "flat": 10}, {"unit": 6}]},
    {"model": "package", "amount": 15, "size": 4, "free": 2},
    {"model": "flat", "amount": 9},
    {"model": "flat", "amount": 9, "billed": "in advance"},
    {"model": "flat_by_band", "bands": [{"up_to": 5, "amount": 3}, {"amount": 8}]},
    {"model": "event_amount", "multiplier": 2},
    {"model": "percentage", "rate": "50%", "free_amount": 6},
    {
        "model": "graduated_percentage",
        "tiers": [{"up_to": 9, "rate": "100%", "flat": 1}, {"rate": "50%", "flat": 2}],
    },
]
COMMON = [
    {},
    {"included": 3},
    {"minimum": 60},
    {"maximum": 40},
    {"convert": {"divide": 3, "rounding": "up"}},
    {"included": 2, "convert": {"multiply": 2}, "minimum": 20, "maximum": 70},
]


@pytest.mark.parametrize("common", COMMON, ids=str)
@pytest.mark.parametrize("fields", MODELS, ids=lambda fields: fields["model"])
@settings(max_examples=15, deadline=None)
@given(quantities=st.lists(st.integers(0, 9), min_size=2, max_size=5))
def test_slices_add_up_to_the_whole(fields, common, quantities):
    price = version(**{**fields, **common})
    whole = sum(
        (line.total for line in rate_slice(price, quantity=Decimal(sum(quantities)), currency="USD")),
        Decimal(0),
    )
    before = billed = Decimal(0)
    for index, quantity in enumerate(quantities):
        position: Position = "first" if index == 0 else "last" if index + 1 == len(quantities) else "mid"
        lines = rate_slice(
            price,
            quantity=Decimal(quantity),
            before=before,
            position=position,
            already_billed=billed,
            currency="USD",
        )
        before += quantity
        billed += sum((line.total for line in lines), Decimal(0))
    assert billed == whole


@pytest.mark.parametrize("fields", MODELS, ids=lambda fields: fields["model"])
@settings(max_examples=25, deadline=None)
@given(levels=st.lists(st.integers(0, 20), min_size=1, max_size=6))
def test_deltas_lead_to_the_rating_of_the_whole(fields, levels):
    price = version(**{**fields, "maximum": 55})
    booked: list[Booked] = []
    for index, level in enumerate(levels):
        lines = rate_slice(price, quantity=Decimal(level), currency="USD")
        booked.extend(rate_delta(lines, booked, f"phase-{index}"))
        wanted = sum((line.total for line in lines), Decimal(0))
        assert sum((each.line.total for each in booked), Decimal(0)) == wanted


def test_a_rate_that_no_longer_stands_is_taken_back_by_name():
    price = version(model="volume", tiers=[{"up_to": 15, "unit": 10}, {"unit": 5}])
    first = rate_delta(rate_slice(price, quantity=Decimal(15), currency="USD"), [], "phase-1")
    second = rate_delta(rate_slice(price, quantity=Decimal(16), currency="USD"), first, "phase-2")
    assert [(each.id, each.corrects, each.line.total) for each in second] == rows(
        ("phase-2-line-1", None, 80),
        ("phase-2-line-2", "phase-1-line-1", -150),
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_billing_in_advance_comes_to_the_price_of_the_period(values):
    for fields in MODELS:
        price = version(**fields)
        if price.bills_on != "every" or fields["model"] == "flat":
            continue
        fees = rate_in_advance(price, map(Decimal, values), currency="USD")
        whole = rate_slice(price, quantity=Decimal(sum(values)), currency="USD")
        assert sum((fee.exact for fee in fees), Decimal(0)) == sum((line.exact for line in whole), Decimal(0))


def test_in_advance_only_a_new_height_is_billed():
    fees = rate_in_advance(version(model="per_unit", amount=1), map(Decimal, (10, -4, 8)), currency="USD")
    assert [(fee.quantity, fee.amount) for fee in fees] == rows((10, 10), (0, 0), (4, 4))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_a_free_quantity_is_used_once(before, quantity, included):
    discount = usage_discount(Decimal(quantity), Decimal(included), Decimal(before))
    assert discount.used + discount.used_before == min(included, before + quantity)
    assert discount.quantity + discount.before + discount.used + discount.used_before == before + quantity


def test_credits_go_to_lines_in_order_and_never_vanish():
    price = version(
        model="graduated", tiers=[{"up_to": 5, "flat": 100}, {"flat": 50, "unit": 0}], minimum=200
    )
    lines = rate_slice(price, quantity=Decimal(10), currency="USD")
    credited = spread_credits(lines, [Decimal(120), Decimal(40)])
    assert [each.credits for each in credited] == rows((100,), (), (20, 30), (10,))
    assert sum(each.due for each in credited) == 40
    with pytest.raises(InvalidInputError, match="more than the lines"):
        spread_credits(lines, [Decimal(201)])
