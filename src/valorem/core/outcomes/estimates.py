"""Estimates: computed elsewhere in floating point, stored once as decimals with inputs and method, and only applied here."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Literal

from valorem.core.numbers import ZERO, exact, parse_decimal, plain

Interval = Literal["lower_bound", "point", "significant_then_point"]
Method = Literal["holdout", "difference_in_differences", "regression"]


@dataclass(frozen=True)
class Estimate:
    """A number that statistics gave, frozen: finalised amounts read this and are never computed again from floats.

    Attributes:
        method: How it was found.
        point: The estimate.
        lower: The lower bound of its interval.
        upper: The upper bound; ``None`` for a one-sided interval.
        level: The confidence level.
        sides: Of the interval.
        inputs: What it was computed from, as text; a recompute check starts from these.
        formula: In words, enough to redo it.
        library: Name and version of what computed it.
    """

    method: Method
    point: Decimal
    lower: Decimal
    upper: Decimal | None
    level: Decimal
    sides: Literal["one", "two"]
    inputs: Mapping[str, str]
    formula: str
    library: str

    @property
    def significant(self) -> bool:
        """Whether the interval lies above zero."""
        return self.lower > 0


def stored(estimate: Estimate) -> dict[str, object]:
    """The estimate as JSON values, as it is kept."""
    return {
        "method": estimate.method,
        "point": plain(estimate.point),
        "lower": plain(estimate.lower),
        "upper": None if estimate.upper is None else plain(estimate.upper),
        "level": plain(estimate.level),
        "sides": estimate.sides,
        "inputs": dict(estimate.inputs),
        "formula": estimate.formula,
        "library": estimate.library,
    }


def read_estimate(kept: Mapping[str, object]) -> Estimate:
    """The estimate that :func:`stored` wrote."""
    inputs = kept["inputs"]
    assert isinstance(inputs, Mapping)  # written by stored()
    upper = kept["upper"]
    method: Method = kept["method"]  # type: ignore[assignment]
    return Estimate(
        method=method,
        point=parse_decimal(kept["point"], "point"),
        lower=parse_decimal(kept["lower"], "lower"),
        upper=None if upper is None else parse_decimal(upper, "upper"),
        level=parse_decimal(kept["level"], "level"),
        sides="two" if kept["sides"] == "two" else "one",
        inputs=dict(inputs),
        formula=str(kept["formula"]),
        library=str(kept["library"]),
    )


@exact
def applied(estimate: Estimate, policy: Interval) -> Decimal:
    """What of an estimate is billed: its lower bound, its point, or its point where the interval lies above zero.

    Never below zero: an estimate that we did harm is no reason to pay us, nor a debt.
    """
    match policy:
        case "point":
            chosen = estimate.point
        case "lower_bound":
            chosen = estimate.lower
        case "significant_then_point":
            chosen = estimate.point if estimate.significant else ZERO
    return max(ZERO, chosen)


@exact
def billable_outcomes(estimate: Estimate, policy: Interval) -> Decimal:
    """The whole number of outcomes an estimate is billed for: rounded down."""
    return applied(estimate, policy).quantize(Decimal(1), rounding=ROUND_FLOOR)


@exact
def difference_in_differences(
    *, treated_before: Decimal, treated_after: Decimal, control_before: Decimal, control_after: Decimal
) -> Decimal:
    """(treated after − before) − (control after − before): exact, where only the means are agreed on."""
    return (treated_after - treated_before) - (control_after - control_before)


def agrees(kept: Estimate, recomputed: Estimate, tolerance: Decimal = Decimal("1e-9")) -> bool:
    """Whether a recomputation gives the stored numbers, relative to their size, so that tampering shows."""

    def near(a: Decimal | None, b: Decimal | None) -> bool:
        if a is None or b is None:
            return a is b
        return abs(a - b) <= tolerance * max(Decimal(1), abs(a))

    pairs = ((kept.point, recomputed.point), (kept.lower, recomputed.lower), (kept.upper, recomputed.upper))
    return kept.inputs == recomputed.inputs and all(near(a, b) for a, b in pairs)
