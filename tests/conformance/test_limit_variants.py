"""Cases of limits and thresholds that the peers' files do not hold, through the same adapters."""

from typing import Any

import pytest

from tests.conformance.runner import Case, load_adapters, run_case


def outcome(kind: str, inputs: dict[str, Any], expected: Any) -> str:
    load_adapters()
    result = run_case(Case("variant", kind, inputs, expected, ""))
    return result.outcome + result.detail


@pytest.mark.parametrize(
    ("kind", "inputs", "expected"),
    [
        ("limit.hard", {"limit": 500}, {"blocked_at": 500}),
        ("limit.hard", {"max": "500", "used": 500}, {"blocked_at": 500, "allowed": False}),
        ("limit.hard", {"max": 500, "used": 499, "request": 2}, {"allowed": False, "remaining": 1}),
        ("limit.soft_pct", {"pack": 25000, "enforce_at_pct": "110"}, {"blocked_at": 27500}),
        ("limit.soft_pct", {"pack": 25000, "packs": 3, "enforce_at_pct": 125}, {"blocked_at": 93750}),
        (
            "limit.soft_pct",
            {"pack": 100, "enforce_at_pct": "125", "used": 124},
            {"allowed": True, "overage": 24},
        ),
        ("limit.soft_pct", {"pack": 100, "enforce_at_pct": "125", "used": 125}, {"blocked": True}),
        ("limit.soft", {"max": 100, "used": 10**9}, {"blocked_at": None, "allowed": True}),
        ("limit.soft_pct", {"pack": 25000, "enforce_at_pct": 100}, {"blocked_at": 25000}),
        ("limit.soft_pct", {"pack": 3, "enforce_at_pct": "112.5"}, {"blocked_at": "3.375"}),
        ("limit.soft_pct", {"pack": 25000, "enforce_at_pct": "125", "used": 31250}, {"blocked": True}),
        ("limit.soft_pct", {"pack": 25000, "enforce_at_pct": "125", "used": 31249}, {"allowed": True}),
    ],
)
def test_limits_with_other_parameters(kind, inputs, expected):
    assert outcome(kind, inputs, expected) == "passed"


def threshold(form: str, value: object) -> dict[str, object]:
    return {"type": form, "value": value}


@pytest.mark.parametrize(
    ("thresholds", "balance", "usage", "total", "used", "left"),
    [
        ([("PERCENT", 50), ("PERCENT", 100), ("PERCENT", 110)], 0, 110, 100, ("PERCENT", 110), None),
        (
            [("usage_percentage", 100), ("usage_percentage", 150)],
            0,
            100,
            100,
            ("usage_percentage", 100),
            None,
        ),
        ([("usage_value", 15), ("usage_percentage", 50)], 15, 15, 30, ("usage_percentage", 50), None),
        ([("NUMBER", 15), ("usage_value", 15)], 14, 16, 30, ("usage_value", 15), None),
        ([("usage_value", "0.5"), ("usage_value", "0.25")], 1, "0.3", 2, ("usage_value", "0.25"), None),
        ([("balance_value", 0)], 0, 30, 30, None, ("balance_value", 0)),
        ([("balance_value", 0), ("balance_value", 10)], 3, 27, 30, None, ("balance_value", 10)),
        (
            [("balance_value", 20), ("usage_value", 10)],
            15,
            15,
            30,
            ("usage_value", 10),
            ("balance_value", 20),
        ),
        ([("balance_value", 10)], 25, 5, 30, None, None),
        ([], 0, 35, 35, None, None),
        ([("PERCENT", 100), ("usage_percentage", 100)], 0, 35, 35, ("usage_percentage", 100), None),
        ([("usage_percentage", 50)], 0, 10, 0, None, None),  # a share of nothing
        ([("PERCENT", "33.4"), ("PERCENT", "33.3")], 20, 10, 30, ("PERCENT", "33.3"), None),
        ([("usage_value", 10), ("usage_value", 10)], 20, 10, 30, ("usage_value", 10), None),
        ([("balance_value", 5), ("balance_value", 5)], 5, 25, 30, None, None),
        ([("usage_value", 0)], 30, 0, 30, ("usage_value", 0), None),
        (
            [("usage_percentage", 100), ("usage_percentage", 120)],
            0,
            None,
            100,
            ("usage_percentage", 100),
            None,
        ),
    ],
)
def test_thresholds_with_other_parameters(thresholds, balance, usage, total, used, left):
    inputs = {
        "thresholds": [threshold(*each) for each in thresholds],
        "balance": balance,
        "usage": usage,
        "total_available_grant_amount": total,
        "overage": None,
    }
    expected = {
        "active_usage_threshold": None if used is None else threshold(*used),
        "active_balance_threshold": None if left is None else threshold(*left),
    }
    assert outcome("notification_threshold", inputs, expected) == "passed"
