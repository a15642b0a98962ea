from decimal import Decimal
from math import sqrt

import pytest

pytest.importorskip("statsmodels", reason="the lab extra is not installed")

from valorem.core.errors import InvalidInputError
from valorem.core.outcomes.estimates import Estimate, agrees, read_estimate, stored
from valorem.lab.estimating import difference_in_differences, holdout_uplift, regression_baseline


def numbers(*values: int) -> list[Decimal]:
    return [Decimal(str(value)) for value in values]


def near(a: Decimal, b: float) -> bool:
    return abs(float(a) - b) < 1e-9 * max(1.0, abs(b))


def test_uplift_by_hand():
    found = holdout_uplift(
        treated=10_000, treated_successes=1200, held_out=2000, held_out_successes=200, sides="two"
    )
    error = sqrt(0.12 * 0.88 / 10_000 + 0.1 * 0.9 / 2000)
    assert found.point == 200
    assert near(found.lower, 10_000 * (0.02 - 1.959963984540054 * error))
    one_sided = holdout_uplift(treated=10_000, treated_successes=1200, held_out=2000, held_out_successes=200)
    assert found.lower < one_sided.lower < one_sided.point
    assert one_sided.upper is None


@pytest.mark.parametrize("wrong", [{"held_out": 0}, {"held_out_successes": 2001}, {"treated_successes": -1}])
def test_groups_that_cannot_be_are_refused(wrong):
    fine = {"treated": 10, "treated_successes": 1, "held_out": 2000, "held_out_successes": 1}
    with pytest.raises(InvalidInputError, match="successes of"):
        holdout_uplift(**{**fine, **wrong})


def test_a_line_without_noise_is_found_and_has_no_width():
    found = regression_baseline(
        numbers(12, 14, 16, 18, 20),
        {"volume": numbers(1, 2, 3, 4, 5)},
        [{"volume": Decimal(6)}, {"volume": Decimal(10)}],
    )
    assert near(found.point, 22 + 30)
    assert abs(found.point - found.lower) < Decimal("1e-6")


def test_noise_makes_a_regression_wider_and_more_so_two_sided():
    found: list[Estimate] = [
        regression_baseline(
            numbers(12, 15, 15, 19, 20),
            {"volume": numbers(1, 2, 3, 4, 5)},
            [{"volume": Decimal(6)}],
            sides=sides,
        )
        for sides in ("one", "two")
    ]
    assert found[1].lower < found[0].lower < found[0].point
    assert found[0].point == found[1].point


@pytest.mark.parametrize(
    ("actual", "features", "told"),
    [
        ((1, 2, 3), {"v": (1, 2, 3)}, "too few"),
        ((1, 2, 3, 4, 5), {"v": (1, 2, 3)}, "one number for each"),
        ((1, 2, 3, 4, 6, 7), {"v": (1, 2, 3, 4, 5, 6), "w": (2, 4, 6, 8, 10, 12)}, "depend on each other"),
    ],
)
def test_regressions_that_say_nothing_are_refused(actual, features, told):
    with pytest.raises(InvalidInputError, match=told):
        regression_baseline(
            numbers(*actual), {name: numbers(*values) for name, values in features.items()}, []
        )


def test_difference_in_differences_is_that_of_the_means():
    found = difference_in_differences(
        treated_before=numbers(51, 49),
        treated_after=numbers(42, 42),
        control_before=numbers(48, 48),
        control_after=numbers(46, 48),
    )
    assert near(found.point, 7)
    assert found.significant


def test_the_same_inputs_give_what_was_stored():
    def once() -> Estimate:
        return holdout_uplift(treated=333, treated_successes=77, held_out=111, held_out_successes=12)

    kept = read_estimate(stored(once()))
    assert kept == once()
    assert agrees(kept, once())
    assert all(isinstance(each, Decimal) for each in (kept.point, kept.lower))
