"""Every case of a supported kind passes."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conformance.runner import Case, equal, load_adapters, read_cases, report, run, run_case

FOLDER = Path(__file__).parents[2] / "../shared/cases"
#: Further parameters of kinds of cases, worked out by hand.
VARIANTS = sorted(Path(__file__).parent.glob("*_variants.json"))


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no ../shared/cases beside this checkout")
def test_no_supported_case_fails():
    load_adapters()
    results = run(read_cases(sorted(FOLDER.glob("*.json"))))
    assert results
    failed = [result for result in results if result.outcome == "failed"]
    assert not failed, "\n".join(report(failed))


@pytest.mark.parametrize("file", VARIANTS, ids=lambda path: path.stem)
def test_no_variant_fails(file):
    load_adapters()
    results = run(read_cases([file]))
    missed = [result for result in results if result.outcome != "passed"]
    assert results
    assert not missed, "\n".join(report(missed))


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("1.50", Decimal("1.5"), True),
        (0, Decimal("0.00"), True),
        (1, True, False),
        (None, 0, False),
        ({"a": [1, "2"]}, {"a": (Decimal(1), 2)}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1], [1, 2], False),
        ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("abc", "abd", False),
    ],
)
def test_answers_are_compared_by_value(expected, got, same):
    assert equal(expected, got) is same


def test_a_kind_without_adapter_is_unsupported_and_counted():
    result = run_case(Case("x-1", "no.such.kind", {}, {}, ""))
    assert list(report([result]))[-2:] == [
        "no.such.kind 0/1 (unsupported 1)",
        "conformance: 0 passed, 0 failed, 1 unsupported",
    ]


def test_fractions_are_read_as_decimals(tmp_path):
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"cases": [{"id": "x", "kind": "k", "inputs": {"q": 0.1}, "expected": 0.1}]}))
    (case,) = read_cases([file])
    assert case.inputs["q"] == Decimal("0.1")
