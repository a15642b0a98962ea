"""Adjustments of an invoice keep their order and never lose a cent."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.pricing.builders import rows
from valorem.core.errors import InvalidInputError
from valorem.core.pricing.adjustments import Adjustment, adjust, split_discount

D = Decimal


def test_the_order_is_fixed_whatever_the_order_written():
    changes = [Adjustment("maximum", D(60)), Adjustment("percent", D("0.5")), Adjustment("amount", D(10))]
    changes.append(Adjustment("minimum", D(50)))
    for order in (changes, changes[::-1]):
        adjusted = adjust({"a": D(30), "b": D(20)}, order, currency="USD")
        assert [adjusted.after_discounts, adjusted.topup, adjusted.cut, adjusted.total] == rows(20, 30, 0, 50)
    assert adjust({"a": D(1000)}, changes, currency="USD").cut == 435


def test_adjustments_of_lines_come_first():
    changes = [Adjustment("amount", D(10)), Adjustment("percent", D("0.25"), ("api",))]
    adjusted = adjust({"api": D(80), "fee": D(20)}, changes, currency="USD")
    assert adjusted.lines == {"api": D("52.50"), "fee": D("17.50")}


def test_a_minimum_stands_even_without_lines():
    assert adjust({}, [Adjustment("minimum", D(5))], currency="USD").lines == {"minimum": 5}


@pytest.mark.parametrize(
    "wrong",
    [
        Adjustment("percent", D(2)),
        Adjustment("amount", D(-1)),
        Adjustment("amount", D(1), ("nothing",)),
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(InvalidInputError):
        adjust({"a": D(1)}, [wrong], currency="USD")


amounts = st.integers(0, 10**6).map(lambda minor: D(minor) / 100)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), amounts, min_size=1), amounts, st.integers(0, 100), amounts)
def test_lines_always_sum_to_the_total(lines, off, percent, least):
    changes = [
        Adjustment("amount", off),
        Adjustment("percent", D(percent) / 100),
        Adjustment("minimum", least),
    ]
    adjusted = adjust(lines, changes, currency="USD")
    assert sum(adjusted.lines.values()) == adjusted.total >= least
    assert adjusted.total == adjusted.subtotal + sum(change for _, change in adjusted.steps)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), amounts, min_size=1), amounts)
def test_a_split_discount_never_exceeds_the_lines(lines, off):
    assert sum(split_discount(lines, off, "USD").values()) == min(off, sum(lines.values()))
