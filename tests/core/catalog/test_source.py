from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.catalog.source import MAX_DEPTH, MAX_FILE_CHARACTERS, UnreadableError, read_source


def value_of(text: str) -> Any:
    source, problems = read_source("f.yaml", text)
    assert not problems
    return source.value


def refusal(text: str) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_source("f.yaml", text)
    return str(caught.value.problem)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0.1", Decimal("0.1")),
        ("-12.50", Decimal("-12.50")),
        (
            "100000000000000000000000000000.000000000001",
            Decimal("100000000000000000000000000000.000000000001"),
        ),
        ("2M", "2M"),
        ("70%", "70%"),
        ("14 days", "14 days"),
        ("1e3", "1e3"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("007", "007"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1:30", "1:30"),
        ("٣", "٣"),
        ("true", True),
        ("false", False),
        ("True", "True"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("null", None),
        ("", None),
        ('"5"', "5"),
        ("'true'", "true"),
        ("2026-03-05", "2026-03-05"),
        ("2026-03-05T00:00:00Z", "2026-03-05T00:00:00Z"),
    ],
)
def test_a_scalar_is_what_was_written(written: str, read: object) -> None:
    found = value_of(f"a: {written}")["a"]
    assert found == read
    assert type(found) is type(read)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**17), max_value=10**17))
def test_decimals_keep_every_digit(number: Decimal) -> None:
    text = format(number, "f")
    assert format(value_of(f"a: {text}")["a"], "f") == text


def test_keys_are_text_as_written() -> None:
    assert value_of("{1: a, true: b, 2026-01-01: c, no: d}") == {
        "1": "a",
        "true": "b",
        "2026-01-01": "c",
        "no": "d",
    }


def test_every_value_knows_its_line_and_column() -> None:
    source, _ = read_source("f.yaml", "a:\n  - {b: 1}\n  - {b: 2,\n     c: x}\n")
    assert source.places["a", 1, "c"] == (4, 9)
    assert source.key_places["a", 1, "c"] == (4, 6)
    assert source.places["a", 0] == (2, 5)


def test_a_duplicate_key_names_both_lines_and_reading_goes_on() -> None:
    source, problems = read_source("f.yaml", "a: 1\nb: 2\na: {b: [3]}\nc: 4\n")
    assert [str(problem) for problem in problems] == [
        "f.yaml:3:1: a: a is written twice, on line 1 and on line 3\n    keep one of them"
    ]
    assert source.value == {"a": 1, "b": 2, "c": 4}


def test_an_anchor_may_be_used_again() -> None:
    assert value_of("a: &t [1, {b: 2}]\nc: *t\n") == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "more than 50,000 values" in refusal("\n".join(lines))


def test_a_recursive_alias_is_refused() -> None:
    assert "no finished anchor &a" in refusal("a: &a [*a]")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded(opening: str) -> None:
    assert f"nested more than {MAX_DEPTH} levels" in refusal(opening * 5_000)


def test_size_is_bounded() -> None:
    assert "at most 262,144 are read" in refusal("#" * (MAX_FILE_CHARACTERS + 1))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab in the indentation\n    indent with spaces"),
        ("a:\n  b: 1\n c: 2\n", "f.yaml:3:2: the indentation does not fit the lines above"),
        ("a: 1\n  b: 2\n", "f.yaml:2:4: a ': ' where no field can start"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2:2: a list that is not closed"),
        ("a: {b: 1\nc: 2", "f.yaml:2:2: braces that are not closed"),
        ("a: 'x\n", "f.yaml:2:1: a quote that is not closed"),
        ("a: @x\n", "f.yaml:1:4: a character that cannot start a value"),
        ("a: - b\n", "f.yaml:1:4: a '- ' where no list item can start"),
        ("a: \x07", "f.yaml:1:4: an invisible character (U+0007)"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document starts here (---)"),
        (
            "a: !!python/object/apply:os.system [x]",
            "f.yaml:1:4: the tag tag:yaml.org,2002:python/object/apply:os.system",
        ),
        ("a: !!int 5", "f.yaml:1:4: the tag tag:yaml.org,2002:int is not read"),
        ("a: {<<: {b: 1}}", "f.yaml:1:5: a: merge keys (<<) are not read"),
        ("? [a]\n: 1\n", "f.yaml:1:3: a list or mapping cannot be a key"),
    ],
)
def test_what_is_not_plain_yaml_is_told_plainly(text: str, told: str) -> None:
    assert refusal(text).startswith(told)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_way_out(text: str) -> None:
    hint = "was read"
    try:
        read_source("f.yaml", text)
    except UnreadableError as error:
        hint = error.problem.hint
    assert hint
