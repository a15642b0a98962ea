"""Every model against a count by hand, unit by unit, around its edges."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.pricing.builders import rated, used, version
from valorem.core.pricing.parts import Usage, total
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies

TIERS: list[dict[str, Any]] = [
    {"up_to": 5, "unit": "7", "flat": "10"},
    {"up_to": 10, "unit": "6.5"},
    {"unit": "6", "flat": "1.25"},
]
EDGES = [0, 1, 4, 5, 6, 9, 10, 11, 25]


def amount_of(fields: dict[str, Any], quantity: Any, policies: PricePolicies = DEFAULT_POLICIES) -> Decimal:
    return total(version(**fields).parts(Usage(Decimal(quantity)), policies))


def tier_by_hand(tiers: list[dict[str, Any]], unit: int, *, exclusive: bool = False) -> dict[str, Any]:
    """The tier of the n-th unit."""
    for tier in tiers:
        if "up_to" not in tier or unit < tier["up_to"] + (not exclusive):
            return tier
    raise AssertionError


def graduated_by_hand(tiers: list[dict[str, Any]], quantity: int) -> Decimal:
    entered = [tiers[0]]
    amount = Decimal(tiers[0].get("flat", 0))
    for unit in range(1, quantity + 1):
        tier = tier_by_hand(tiers, unit)
        amount += Decimal(tier["unit"])
        if tier not in entered:
            entered.append(tier)
            amount += Decimal(tier.get("flat", 0))
    return amount


def volume_by_hand(tiers: list[dict[str, Any]], quantity: int) -> Decimal:
    tier = tier_by_hand(tiers, quantity)
    return Decimal(tier["unit"]) * quantity + Decimal(tier.get("flat", 0))


@st.composite
def tier_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    bounds = sorted(draw(st.sets(st.integers(1, 40), max_size=4)))
    amounts = st.integers(0, 2000).map(lambda cents: str(Decimal(cents) / 100))
    tiers = [{"unit": draw(amounts), "flat": draw(amounts)} for _ in range(len(bounds) + 1)]
    return [{**tier, "up_to": bound} for tier, bound in zip(tiers, bounds, strict=False)] + tiers[
        len(bounds) :
    ]


@pytest.mark.parametrize("quantity", EDGES)
def test_graduated_edges(quantity):
    assert amount_of({"model": "graduated", "tiers": TIERS}, quantity) == graduated_by_hand(TIERS, quantity)


@pytest.mark.parametrize("quantity", EDGES)
def test_volume_edges(quantity):
    assert amount_of({"model": "volume", "tiers": TIERS}, quantity) == volume_by_hand(TIERS, quantity)


@settings(max_examples=50, deadline=None)
@given(tier_lists(), st.integers(0, 60))
def test_tiered_models_equal_the_count_by_hand(tiers, quantity):
    assert amount_of({"model": "graduated", "tiers": tiers}, quantity) == graduated_by_hand(tiers, quantity)
    assert amount_of({"model": "volume", "tiers": tiers}, quantity) == volume_by_hand(tiers, quantity)


@settings(max_examples=50, deadline=None)
@given(tier_lists(), st.lists(st.decimals(0, 100, places=3), min_size=2, max_size=8))
def test_graduated_never_falls(tiers, quantities):
    amounts = [amount_of({"model": "graduated", "tiers": tiers}, each) for each in sorted(quantities)]
    assert all(one <= other for one, other in pairwise(amounts))


def test_a_fraction_past_a_bound_is_in_the_next_tier():
    assert amount_of({"model": "graduated", "tiers": TIERS}, "5.001") == Decimal("45.0065")
    assert amount_of({"model": "volume", "tiers": TIERS}, "5.001") == Decimal("5.001") * Decimal("6.5")


def test_an_exclusive_bound_belongs_to_the_next_tier():
    exclusive = PricePolicies(tier_bound="exclusive_upper")
    assert amount_of({"model": "volume", "tiers": TIERS}, 5, exclusive) == Decimal("32.5")
    assert amount_of({"model": "volume", "tiers": TIERS}, "4.999", exclusive) == Decimal("44.993")
    assert amount_of({"model": "graduated", "tiers": TIERS}, 10, exclusive) == Decimal("78.75")


@pytest.mark.parametrize("model", ["graduated", "volume"])
def test_the_flat_fee_at_nought_is_a_policy(model):
    assert amount_of({"model": model, "tiers": TIERS}, 0) == 10
    assert amount_of({"model": model, "tiers": TIERS}, 0, PricePolicies(flat_at_zero="not")) == 0


@pytest.mark.parametrize(
    ("quantity", "amount"), [(0, 0), (1, 0), (2, 0), (3, 15), (11, 15), (12, 15), (13, 30), ("12.5", 30)]
)
def test_package_edges(quantity, amount):
    fields = {"model": "package", "amount": 15, "size": 10, "free": 2}
    assert amount_of(fields, quantity) == amount


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 300), st.integers(1, 20), st.integers(0, 30))
def test_packages_equal_opening_them_one_by_one(quantity, size, free):
    opened = room = 0
    for _ in range(max(0, quantity - free)):
        if not room:
            opened, room = opened + 1, size
        room -= 1
    assert amount_of({"model": "package", "amount": 3, "size": size, "free": free}, quantity) == 3 * opened


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [(0, 50), (1, 50), (1000, 50), (1001, 200), (5000, 200), (5001, 350), (99999, 350)],
)
def test_flat_by_band_edges(quantity, amount):
    bands = [{"up_to": 1000, "amount": 50}, {"up_to": 5000, "amount": 200}, {"up_to": 10000, "amount": 350}]
    assert amount_of({"model": "flat_by_band", "bands": bands}, quantity) == amount


def test_per_unit_keeps_twelve_decimals():
    assert amount_of({"model": "per_unit", "amount": "0.000000000001"}, 1) == Decimal("0.000000000001")
    assert amount_of({"model": "per_unit", "amount": "2.50", "per": "1M"}, 3) == Decimal("0.0000075")


def test_graduated_percentage():
    tiers = [{"up_to": 10, "rate": "1%", "flat": 200}, {"rate": "2%", "flat": 300}]
    fields = {"model": "graduated_percentage", "tiers": tiers}
    assert [amount_of(fields, value) for value in (0, 1, 10, 11)] == [
        200,
        Decimal("200.01"),
        Decimal("200.1"),
        Decimal("500.12"),
    ]


values = st.lists(st.integers(0, 400), max_size=8)


@settings(max_examples=50, deadline=None)
@given(values, st.integers(0, 4), st.integers(0, 500), st.integers(0, 300))
def test_percentage_equals_walking_the_events(amounts, free_events, free_amount, fixed):
    fields = {
        "model": "percentage",
        "rate": "2.5%",
        "fixed": fixed,
        "free_events": free_events,
        "free_amount": free_amount,
    }
    expected, left = Decimal(0), Decimal(free_amount)
    for index, value in enumerate(amounts):
        counted_off = bool(free_events) and index >= free_events
        if (not free_events and not free_amount) or counted_off or (free_amount and not left):
            covered = Decimal(0)
        else:
            covered = min(left, value) if free_amount else Decimal(value)
        wholly = covered == value and not counted_off and (left > value if free_amount else bool(free_events))
        left -= covered
        expected += (value - covered) * Decimal("0.025") + (0 if wholly else fixed)
    usage = Usage(Decimal(sum(amounts)), len(amounts), tuple(map(Decimal, amounts)))
    got = total(version(**fields).parts(usage, DEFAULT_POLICIES))
    assert got == (expected if sum(amounts) else 0)


def test_event_amounts_are_multiplied():
    assert amount_of({"model": "event_amount", "multiplier": "1.2"}, "40.2") == Decimal("48.24")
    assert amount_of({"model": "event_amount"}, 0) == 0


def test_a_tier_has_its_own_minimum_and_maximum():
    tiers = [{"up_to": 10, "unit": 1, "minimum": 5}, {"unit": 2, "maximum": 30}]
    fields = {"model": "graduated", "tiers": tiers}
    assert [amount_of(fields, quantity) for quantity in (3, 7, 12, 100)] == [5, 7, 14, 40]


MATRIX = {
    "model": "matrix",
    "rates": [
        {"model": "large", "kind": "input", "amount": 2, "per": 1000},
        {"model": "large", "kind": "output", "amount": 8, "per": 1000},
        {"model": ["small", "tiny"], "amount": 1, "per": 1000},
        {"kind": "output", "amount": 4, "per": 1000},
        {"model": "large", "kind": "input", "amount": 3, "per": 1000, "from": "2026-03-31"},
    ],
}


@pytest.mark.parametrize(
    ("model", "kind", "amount"),
    [
        ("large", "input", 2),
        ("large", "output", 8),
        ("small", "input", 1),
        ("tiny", "input", 1),
        ("other", "output", 4),
    ],
)
def test_the_row_that_names_most_dimensions_wins(model, kind, amount):
    assert rated(MATRIX, used(1000, model=model, kind=kind)).total == amount


def test_usage_without_a_row_is_reported_not_forgotten():
    result = rated(MATRIX, used(1000, model="other", kind="input"), used(1000, model="large", kind="input"))
    assert [measured.dimensions for measured in result.unpriced] == [{"model": "other", "kind": "input"}]
    assert result.total == 2
    with_default = {**MATRIX, "default": {"amount": 5, "per": 1000}}
    assert rated(with_default, used(1000, model="other", kind="input")).total == 5
