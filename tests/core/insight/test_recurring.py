"""Recurring revenue and how it moves."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.core.insight.movements import movement
from valorem.core.insight.recurring_revenue import Recurring, committed_arr, mrr, per_account, run_rate_arr
from valorem.core.insight.retention import lifetime_value, retained, subscriber_churn, trial_conversion
from valorem.core.periods import Cadence

D = Decimal
BOOKS = st.dictionaries(st.sampled_from("abcdefgh"), st.decimals(0, 900, places=2), max_size=8)


@pytest.mark.parametrize(
    ("every", "expected"),
    [(Cadence(1, "month"), 100), (Cadence(1, "year"), "8.3333"), (Cadence(1, "week"), "433.3333"),
     (Cadence(2, "quarter"), "16.6667"), (Cadence(1, "day"), "3041.6667")],
)  # fmt: skip
def test_every_interval_is_brought_to_a_month(every, expected):
    assert mrr([Recurring(D(100), every)]).quantize(D("0.0001")) == D(expected)


def test_run_rates_keep_a_lost_customer_until_its_zero_months_fill_the_window():
    assert [run_rate_arr([D(90), *[D(0)] * zeros], 3) for zeros in (0, 1, 3)] == [D(360), D(360), D(0)]
    with pytest.raises(InvalidInputError):
        committed_arr(D(1), 0)
    assert per_account(D(50), 0) == 0


@given(BOOKS, BOOKS)
def test_movements_lead_from_one_moment_to_the_next(before, after):
    moved = movement(before, after)
    assert moved.end == sum(after.values(), D(0))
    grr, nrr = moved.grr(), moved.nrr()
    if grr is None or nrr is None:
        assert moved.start == 0
    else:
        assert 0 <= grr <= 1
        assert grr <= nrr


def test_retention():
    assert subscriber_churn(0, 0, 0) == 0
    assert retained(D("0.5"), 3) == (D("0.5"), D("0.25"), D("0.125"))
    assert trial_conversion(4, 1) == D("0.25")
    assert lifetime_value(D(10), D(0)) is None
    with pytest.raises(InvalidInputError):
        retained(D(2), 1)
