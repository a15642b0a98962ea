"""Units convert exactly and round the declared way."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.metering.conversion import Conversion, round_quantity


@pytest.mark.parametrize(
    ("conversion", "quantity", "converted", "invoiced"),
    [
        ({"divide": 1000, "rounding": "up"}, 1001, "1.001", 2),
        ({"divide": 1000, "rounding": "ceiling"}, 0, 0, 0),
        ({"divide": 1000, "rounding": "up"}, -1500, "-1.5", -1),
        ({"divide": 1000, "rounding": "floor"}, 1999, "1.999", 1),
        ({"divide": 1000, "rounding": "half_up"}, 2500, "2.5", 3),
        ({"divide": 1000, "rounding": "half_up"}, -2500, "-2.5", -3),
        ({"divide": 1000, "rounding": "half_even"}, 2500, "2.5", 2),
        ({"divide": 1000, "rounding": "half_even"}, 3500, "3.5", 4),
        ({"divide": 1000, "rounding": "half_even"}, -2500, "-2.5", -2),
        ({"multiply": "1.5"}, "4.2", "6.3", "6.3"),
        ({"rounding": "up", "precision": -2}, "123.456", "123.456", 200),
        ({"rounding": "down", "precision": 2}, "123.456", "123.456", "123.45"),
        ({"rounding": None}, "123.456", "123.456", "123.456"),
    ],
)
def test_cases(conversion, quantity, converted, invoiced):
    result = Conversion.model_validate(conversion).apply(Decimal(quantity))
    assert (result.converted, result.invoiced) == (Decimal(converted), Decimal(invoiced))


@given(
    st.decimals(-(10**9), 10**9, places=6, allow_nan=False),
    st.sampled_from(["up", "down", "half_up", "half_even"]),
    st.integers(-3, 6),
)
def test_rounding_stays_within_one_step_on_the_declared_side(quantity, rounding, precision):
    rounded, step = Fraction(round_quantity(quantity, rounding, precision)), Fraction(10) ** -precision
    exact = Fraction(quantity)
    assert (rounded / step).denominator == 1
    if rounding == "up":
        assert 0 <= rounded - exact < step
    elif rounding == "down":
        assert 0 <= exact - rounded < step
    else:
        assert abs(rounded - exact) <= step / 2
