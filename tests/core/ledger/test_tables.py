# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Burn tables: quarter hours in order of time cost what the whole period costs."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.ledger.build import START, UNTIMED, at
from valorem.core.ledger.burns import by_workload, total
from valorem.core.ledger.tables import Bucket, BurnTable, burns_of
from valorem.core.metering.measured import Measured
from valorem.core.pricing.price import Price

WEIGHTS = {
    "model": "matrix",
    "rates": [
        {"action": "chat", "amount": 1},
        {"action": "image", "amount": 5},
        {"action": "image", "amount": 4, "from": "2026-01-02"},
        {"action": "failed", "amount": 0},
        {"action": "flow", "amount": 13, "per": 100},
    ],
    "multipliers": {"licensed": {"yes": 0}},
}


def table(price: dict[str, Any] = WEIGHTS, **more: Any) -> BurnTable:
    return BurnTable("actions", Price.model_validate(price), **{"precision": 2, **more})


def bucket(hours: float, quantity: int | str, **dimensions: str | None) -> Bucket:
    return Bucket(at(hours), (Measured(dimensions, Decimal(quantity), 1),))


def amounts(price: BurnTable, *buckets: Bucket) -> list[Decimal]:
    return [each.amount for each in burns_of(price, buckets)]


def test_weights_are_looked_up_by_dimension_and_date() -> None:
    found = amounts(
        table(), bucket(1, 3, action="chat"), bucket(1.25, 2, action="image"), bucket(25, 2, action="image")
    )
    assert found == [3, 10, 8]


def test_zero_rated_rows_and_users_and_what_has_no_row_burn_nothing() -> None:
    none = [
        bucket(1, 3, action="failed"), bucket(1, 9, action="image", licensed="yes"), bucket(1, 9, action="other")
    ]  # fmt: skip
    assert amounts(table(), *none) == []


def test_the_running_total_is_rounded_so_small_weights_are_not_lost() -> None:
    price = table({"model": "per_unit", "amount": "0.004"})
    found = amounts(price, *(bucket(hours, 1) for hours in range(100)))
    assert sum(found) == Decimal("0.40")
    assert set(found) == {Decimal("0.01")}


def test_a_burn_knows_its_work() -> None:
    price = table(member="user", product="assistant")
    (one,) = burns_of(price, [bucket(1, 3, action="chat", user="ann")])
    assert (one.work.meter, one.work.product, one.work.member) == ("actions", "assistant", "ann")
    assert one.key == "actions action=chat user=ann"
    assert by_workload([(one.work, one.amount)], "action") == {"chat": 3}


TIERS = {
    "model": "graduated",
    "tiers": [{"up_to": 10, "unit": 2}, {"up_to": 100, "unit": 1}, {"unit": "0.5"}],
}


@UNTIMED
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 60)), max_size=20))
def test_tiers_fill_in_order_of_time_whatever_the_slices(uses: list[tuple[int, int]]) -> None:
    buckets = [
        Bucket(START + timedelta(minutes=15) * place, (Measured({}, Decimal(quantity), 1),))
        for place, quantity in uses
    ]
    whole = sum(quantity for _, quantity in uses)
    expected = Decimal(min(whole, 10) * 2 + max(min(whole, 100) - 10, 0)) + Decimal(max(whole - 100, 0)) / 2
    assert total(burns_of(table(TIERS), buckets)) == expected
    assert burns_of(table(TIERS), buckets[::-1]) == burns_of(table(TIERS), buckets)


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        ({"model": "per_unit", "amount": 2, "included": 5}, [0, 6, 8]),
        ({"model": "package", "amount": 10, "size": 6}, [10, 10, 0]),
        ({"model": "per_unit", "amount": 2, "convert": {"divide": 4, "rounding": "up"}}, [2, 2, 2]),
    ],
)
def test_included_quantities_packages_and_conversions_run_through_the_period(
    price: dict[str, Any], expected: list[int]
) -> None:
    buckets = [bucket(1, 4), bucket(2, 4), bucket(3, 4)]
    found = {each.at: each.amount for each in burns_of(table(price), buckets)}
    assert [found.get(each.at, 0) for each in buckets] == expected
