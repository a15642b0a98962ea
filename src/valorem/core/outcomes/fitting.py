"""Whether a share of savings says everything its baseline's method needs."""

from valorem.core.outcomes.terms import Baseline, HourTerms, SavingsTerms


def check_known(base: Baseline) -> None:
    """Refuse a baseline that is not fixed when it is signed.

    Raises:
        ValueError: Saying what is missing.
    """
    method = base.method
    if method in ("fixed", "unit_cost") and base.amount is None:
        raise ValueError(f"a baseline by {method} needs baseline.amount")
    if method == "unit_cost" and base.volume is None:
        raise ValueError("a baseline by unit_cost needs baseline.volume")
    if method == "pre_period_mean" and base.amount is None and not base.observed:
        raise ValueError("a mean of earlier periods needs them in baseline.observed")
    if method == "same_period_last_year" and not any(each.period for each in base.observed):
        raise ValueError("last year's periods are needed in baseline.observed, each with its period")
    if method == "regression" and not base.observed:
        raise ValueError("a regression needs earlier periods in baseline.observed")
    if method == "difference_in_differences" and {each.group for each in base.observed} != {
        "treated",
        "control",
    }:
        raise ValueError("a difference in differences needs both groups in baseline.observed")


def check_measured(savings: SavingsTerms, hours: HourTerms | None, *, valued: bool, held_out: bool) -> None:
    """Refuse savings whose evidence cannot say what the method needs to know of a period.

    Args:
        savings: The terms.
        hours: Of the definition.
        valued: Whether the definition says what an outcome is worth.
        held_out: Whether it has a holdout.

    Raises:
        ValueError: Saying what is missing.
    """
    method = savings.baseline.method
    if not valued and method != "holdout":
        raise ValueError("savings needs value, which says what was spent or measured")
    if method == "holdout" and not (held_out and savings.unit_value is not None):
        raise ValueError("a baseline by holdout needs holdout and savings.unit_value")
    if method == "difference_in_differences":
        if savings.baseline.arm is None:
            raise ValueError("a difference in differences needs baseline.arm")
        if (savings.unit_value is None) == (hours is None):
            raise ValueError(
                "a difference in differences needs savings.unit_value, or hours, to be worth something"
            )
    elif hours is not None:
        raise ValueError("hours beside savings goes with a difference in differences of minutes")
    if method == "regression" and not savings.facts:
        raise ValueError("a regression needs savings.facts, which explain the cost")
    if method == "unit_cost" and "volume" not in savings.facts:
        raise ValueError("a baseline by unit_cost needs savings.facts.volume")
