"""The arithmetic language, against Python's own decimals."""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.core.metering.evaluate import compile_expression
from valorem.core.metering.event import Event
from valorem.core.metering.expression import Expression, parse_expression, write_expression

AT = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
DATA: dict[str, Any] = {
    "i": 1200,
    "o": Decimal("3.5"),
    "text": "7.25",
    "name": "gpt",
    "yes": True,
    "nothing": None,
    "deep": {"a b": [{"n": 4}]},
    "gen_ai.usage": {"tokens": 9},
    "list": [1],
}


def evaluate(text: str) -> Any:
    event = Event("e1", "/s", "llm.call", "c1", AT, DATA)
    return compile_expression(parse_expression(text))(event)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("8 / 4 / 2", 1),
        ("-2 * -3", 6),
        ("2 - -3", 5),
        ("+4", 4),
        ("-(1 + 2)", -3),
        ("0.1 + 0.2", Decimal("0.3")),
        ("data.i + 2 * data.o", 1207),
        ("data.text * 2", Decimal("14.5")),
        ('data.deep["a b"][0].n', 4),
        ('data["gen_ai.usage"].tokens+1', 10),
        ("round(12.5)", 13),
        ("round(-12.5)", -13),
        ("round(2.345, 2)", Decimal("2.35")),
        ("round(155, -1)", 160),
        ("ceil(12.351, 1)", Decimal("12.4")),
        ("ceil(-12.9)", -12),
        ("floor(12.351, 1)", Decimal("12.3")),
        ("floor(-12.1)", -13),
        ("min(3, data.o, 9)", 3),
        ("max(3, data.o)", Decimal("3.5")),
        ("abs(-data.i)", 1200),
        ("concat(data.name, '-', data.i, '-', data.o, '-', data.yes)", "gpt-1200-3.5-true"),
        ("if(data.i > 272000, 'long', 'short')", "short"),
        ("if(data.i >= 1200 and data.name = 'gpt', 1, 2)", 1),
        ("if(not data.yes or data.name != 'gpt', 1, 2)", 2),
        ("if(data.yes, 1, 1 / 0)", 1),
        ("coalesce(data.absent, data.nothing, data.i)", 1200),
        ("coalesce(data.absent, null)", None),
        ("data.absent = null", True),
        ("data.i == '1200'", True),
        ("data.text = 7.25", True),
        ("data.name = 7", False),
        ("data.yes = true", True),
        ("data.yes = 'true'", True),
        ("1 < 2 and not 2 < 1", True),
        ("true or 1 / 0 > 1", True),
        ("'it\\'s \\\\'", "it's \\"),
        ("subject", "c1"),
        ("concat(time)", "2026-03-05T14:30:00Z"),
    ],
)
def test_values(text, value):
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("data.absent + 1", "data.absent"),
        ("data.nothing * 2", "data.nothing"),
        ("data.name + 1", "data.name"),
        ("data.yes + 1", "data.yes"),
        ("data.list + 1", "data.list"),
        ("data.i / (data.o - 3.5)", "(data.i / (data.o - 3.5))"),
        ("if(data.absent > 5, 1, 2)", "data.absent"),
        ("if(data.name, 1, 2)", "data.name"),
        ("concat(data.list)", "data.list"),
        ("round(1, data.o)", "round(1, data.o)"),
        ("round(1, 13)", "round(1, 13)"),
    ],
)
def test_the_event_is_refused_with_the_field(text, field):
    with pytest.raises(InvalidInputError) as refused:
        evaluate(text)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1),
        ("1 +", 4),
        ("1 2", 3),
        ("(1 + 2", 7),
        ("1 + foo", 5),
        ("tokens", 1),
        ("data", 1),
        ("data.", 1),
        ("data.a.5", 7),
        ("data.a-b", 8),
        ("1 & 2", 3),
        ("'open", 1),
        ("round()", 7),
        ("round(1, 2, 3)", 1),
        ("if(1 > 2, 3)", 1),
        ("round 5", 7),
        ("1 < 2 < 3", 7),
        ("1234567890123456789", 1),
        ("1e5", 2),
        ("__import__('os')", 1),
        ("(" * 30 + "1" + ")" * 30, 25),
        ("-" * 30 + "1", 25),
        ("1" + " + 1" * 101, 403),
        ("type.name", 1),
        ("\u0661 + 1", 1),
    ],
)
def test_a_parse_error_names_the_column(text, column):
    with pytest.raises(InvalidInputError, match=rf"^column {column}: expected"):
        parse_expression(text)


def test_length_is_bounded():
    with pytest.raises(InvalidInputError, match="at most 1000"):
        parse_expression("1" + " " * 1000)


def test_the_largest_expression_still_evaluates():
    assert evaluate("1" + "+1" * 100) == 101


numbers = st.decimals(-1000, 1000, places=3, allow_nan=False)


@st.composite
def arithmetic(draw: st.DrawFn, depth: int = 3) -> tuple[str, Fraction | None]:
    """A random expression with its value by fractions; ``None`` where it divides by zero."""
    if depth == 0 or draw(st.booleans()):
        number = abs(draw(numbers))
        return format(number, "f"), Fraction(number)
    (a, x), (b, y) = draw(arithmetic(depth - 1)), draw(arithmetic(depth - 1))
    operator = draw(st.sampled_from("+-*/"))
    if x is None or y is None or (operator == "/" and y == 0):
        return f"({a}) {operator} ({b})", None
    value = {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y, "/": lambda: x / y}[operator]()
    return f"({a}) {operator} ({b})", value


@given(arithmetic())
def test_arithmetic_is_exact(case):
    text, value = case
    if value is None:
        with pytest.raises(InvalidInputError, match="division by zero"):
            evaluate(text)
        return
    got = evaluate(text)
    if "/" in text:
        assert abs(Fraction(got) - value) <= abs(value) * Fraction(1, 10**60) + Fraction(1, 10**60)
    else:
        assert Fraction(got) == value


@given(arithmetic(), st.integers(-3, 6), st.sampled_from(["round", "ceil", "floor"]))
def test_rounding_agrees_with_decimals(case, places, name):
    text, value = case
    if value is None or "/" in text:
        return
    rounding = {"round": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}[name]
    exact = evaluate(text)
    step = Decimal(1).scaleb(-places)
    assert evaluate(f"{name}({text}, {places})") == (exact / step).to_integral_value(rounding) * step


@given(arithmetic())
def test_the_canonical_form_means_the_same(case):
    parsed: Expression = parse_expression(case[0])
    assert parse_expression(write_expression(parsed)) == parsed
    assert write_expression(parse_expression(f"  {case[0]}  ")) == write_expression(parsed)
