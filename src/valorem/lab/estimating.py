"""Estimates of what would have happened without us, by scipy and statsmodels.

Every function takes exact numbers and returns an :class:`~valorem.core.outcomes.estimates.Estimate` whose decimals are
rounded to twelve places. Money is worked out from the stored estimate alone, so an invoice has the same bytes for ever,
whatever a later version of a library computes.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite, sqrt
from typing import Any, Literal

import numpy as np
import scipy
import statsmodels
import statsmodels.api as sm
from scipy.stats import norm

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import plain
from valorem.core.outcomes.estimates import Estimate

Sides = Literal["one", "two"]
_PLACES = 12


def holdout_uplift(
    *,
    treated: int,
    treated_successes: int,
    held_out: int,
    held_out_successes: int,
    level: Decimal = Decimal("0.95"),
    sides: Sides = "one",
) -> Estimate:
    """Outcomes among the treated that would not have come without us: n × (p treated − p held out).

    The interval is normal with unpooled variances (Wald): p(1 − p)/n of each group.

    Raises:
        InvalidInputError: For a group without units, or with more successes than units.
    """
    for name, units, successes in (
        ("treated", treated, treated_successes),
        ("held_out", held_out, held_out_successes),
    ):
        if units <= 0 or not 0 <= successes <= units:
            raise InvalidInputError(f"{successes} successes of {units} units", field=name)
    p, q = treated_successes / treated, held_out_successes / held_out
    error = sqrt(p * (1 - p) / treated + q * (1 - q) / held_out)
    reach = _quantile(level, sides) * error
    difference = p - q
    return Estimate(
        method="holdout",
        point=_decimal(treated * difference),
        lower=_decimal(treated * (difference - reach)),
        upper=_decimal(treated * (difference + reach)) if sides == "two" else None,
        level=level,
        sides=sides,
        inputs={
            "treated": str(treated),
            "treated_successes": str(treated_successes),
            "held_out": str(held_out),
            "held_out_successes": str(held_out_successes),
        },
        formula="n × (p treated − p held out), unpooled normal interval",
        library=f"scipy {scipy.__version__}",
    )


def regression_baseline(
    actual: Sequence[Decimal],
    features: Mapping[str, Sequence[Decimal]],
    reporting: Sequence[Mapping[str, Decimal]],
    *,
    level: Decimal = Decimal("0.95"),
    sides: Sides = "one",
) -> Estimate:
    """What the reporting periods would have cost, by least squares over the baseline periods.

    ``lower`` is the bound of the sum's prediction interval, with the fit's own uncertainty and that of each period, so that
    a saving against it is one that the noise does not explain.

    Args:
        actual: Cost of each baseline period.
        features: By name, one number for each baseline period (volume, degree days).
        reporting: The features of each period to be estimated.
        level: Confidence level.
        sides: Of the interval.

    Raises:
        InvalidInputError: With too few periods, features of another length, or features that depend on each other.
    """
    names = sorted(features)
    if any(len(features[name]) != len(actual) for name in names):
        raise InvalidInputError("every feature needs one number for each baseline period", field="features")
    if len(actual) < len(names) + 3:
        raise InvalidInputError(
            f"{len(actual)} baseline periods are too few for {len(names)} features", field="actual"
        )
    design = sm.add_constant(
        np.array([[float(features[name][row]) for name in names] for row in range(len(actual))]),
        has_constant="add",
    )
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise InvalidInputError("the features depend on each other", field="features")
    fitted: Any = sm.OLS(np.array([float(each) for each in actual]), design).fit()
    rows = np.array([[1.0, *(float(period[name]) for name in names)] for period in reporting])
    whole = rows.sum(axis=0)
    point = float(whole @ fitted.params)
    variance = float(whole @ fitted.cov_params() @ whole) + len(rows) * float(fitted.mse_resid)
    reach = _student(level, sides, float(fitted.df_resid)) * sqrt(variance)
    return Estimate(
        method="regression",
        point=_decimal(point),
        lower=_decimal(point - reach),
        upper=_decimal(point + reach) if sides == "two" else None,
        level=level,
        sides=sides,
        inputs={
            "actual": _joined(actual),
            **{f"baseline.{name}": _joined(features[name]) for name in names},
            **{f"reporting.{name}": _joined([period[name] for period in reporting]) for name in names},
        },
        formula=f"ordinary least squares on {', '.join(names) or 'a constant'}; prediction interval of the sum",
        library=f"statsmodels {statsmodels.__version__}",
    )


def difference_in_differences(
    *,
    treated_before: Sequence[Decimal],
    treated_after: Sequence[Decimal],
    control_before: Sequence[Decimal],
    control_after: Sequence[Decimal],
    level: Decimal = Decimal("0.95"),
    sides: Sides = "one",
) -> Estimate:
    """By how much the treated fell beyond the control: a positive point is an improvement of what should get smaller.

    Least squares on treated, after and treated × after, with variances that may differ (HC1).

    Raises:
        InvalidInputError: With fewer than two observations in a group.
    """
    groups = {
        "treated_before": (treated_before, 1.0, 0.0),
        "treated_after": (treated_after, 1.0, 1.0),
        "control_before": (control_before, 0.0, 0.0),
        "control_after": (control_after, 0.0, 1.0),
    }
    for name, (values, _, _) in groups.items():
        if len(values) < 2:
            raise InvalidInputError("a group needs at least two observations", field=name)
    observed = [
        (float(value), treated, after) for values, treated, after in groups.values() for value in values
    ]
    design = np.array([[1.0, treated, after, treated * after] for _, treated, after in observed])
    fitted: Any = sm.OLS(np.array([value for value, _, _ in observed]), design).fit(cov_type="HC1")
    fall, error = -float(fitted.params[3]), float(fitted.bse[3])
    reach = _quantile(level, sides) * error
    return Estimate(
        method="difference_in_differences",
        point=_decimal(fall),
        lower=_decimal(fall - reach),
        upper=_decimal(fall + reach) if sides == "two" else None,
        level=level,
        sides=sides,
        inputs={name: _joined(values) for name, (values, _, _) in groups.items()},
        formula="(treated before − after) − (control before − after), HC1 normal interval",
        library=f"statsmodels {statsmodels.__version__}",
    )


def _tail(level: Decimal, sides: Sides) -> float:
    return float(1 - (1 - level) / 2) if sides == "two" else float(level)


def _quantile(level: Decimal, sides: Sides) -> float:
    return float(norm.ppf(_tail(level, sides)))


def _student(level: Decimal, sides: Sides, freedom: float) -> float:
    return float(scipy.stats.t.ppf(_tail(level, sides), freedom))


def _decimal(number: float) -> Decimal:
    """A float as the decimal that is stored: twelve places, and never again a float."""
    if not isfinite(number):
        raise InvalidInputError("the estimate is no finite number", hint="look at the inputs")
    return round(Decimal(repr(number)), _PLACES)


def _joined(values: Sequence[Decimal]) -> str:
    return ", ".join(plain(value) for value in values)
