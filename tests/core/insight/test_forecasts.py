"""How far forecasts were off, and what a unit leaves."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valorem.core.insight.forecasts import Forecast, Parts, accuracy_of, error_share
from valorem.core.insight.unit_margins import UnitMargin
from valorem.core.periods import Interval

APRIL = Interval(datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC))


def forecast(elapsed: str, projected: tuple[int, int], actual: tuple[int, int] | None) -> Forecast:
    came = None if actual is None else Parts(Decimal(actual[0]), Decimal(actual[1]))
    return Forecast(
        APRIL, APRIL.start, Decimal(elapsed), Parts(Decimal(projected[0]), Decimal(projected[1])), came
    )


def test_the_fixed_and_the_variable_part_are_judged_apart():
    found = accuracy_of(
        [
            forecast("0.5", (100, 40), (100, 50)),
            forecast("0.5", (100, 75), (100, 50)),
            forecast("0.25", (100, 10), (100, 50)),
            forecast("0.1", (100, 10), None),
        ]
    )
    assert [(each.elapsed, each.periods) for each in found] == [(Decimal("0.25"), 1), (Decimal("0.5"), 2)]
    quarter, half = found
    assert (quarter.fixed, quarter.variable) == (0, Decimal("0.8"))
    assert (half.fixed, half.variable, half.total) == (
        0,
        Decimal("0.35"),
        Decimal("0.116667"),
    )  # 35 of 100, 35 of 300


@pytest.mark.parametrize(
    ("pairs", "share"),
    [
        ([], 0),
        ([(Decimal(0), Decimal(0))], 0),
        ([(Decimal(5), Decimal(0))], None),
        ([(Decimal(-5), Decimal(-10))], Decimal("0.5")),
    ],
)
def test_a_share_of_nothing_is_no_number(pairs, share):
    assert error_share(pairs) == share


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9)), max_size=6))
def test_it_is_zero_only_where_everything_came_as_foretold(pairs):
    share = error_share([(Decimal(one), Decimal(other)) for one, other in pairs])
    assert (share == 0) == all(one == other for one, other in pairs) or (
        share is not None and share < Decimal("0.000001")
    )


def test_a_margin_by_the_unit():
    told = UnitMargin("tokens", "Tokens", "token", Decimal(300), Decimal(20), Decimal("0.9"))
    assert told.margin == Decimal("19.1")
    assert told.margin_per_unit == Decimal("0.063666666667")
    assert (told.revenue_per_unit, told.cost_per_unit) == (Decimal("0.066666666667"), Decimal("0.003"))


def test_no_use_and_no_cost_give_no_number_by_the_unit():
    assert UnitMargin("t", "T", None, Decimal(0), Decimal(0), Decimal(0)).margin_per_unit is None
    unknown = UnitMargin("t", "T", None, Decimal(1), Decimal(2), None)
    assert (unknown.margin, unknown.cost_per_unit, unknown.revenue_per_unit) == (None, None, Decimal(2))
