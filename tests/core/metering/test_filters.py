"""The one predicate, against a plain reading of its tree."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.metering.filters import canonical_filter, compile_filter, compile_over, parse_filter

AT = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
DATA: dict[str, Any] = {
    "status": "ok",
    "code": 200,
    "cost": Decimal("1.50"),
    "cached": True,
    "count": "12",
    "tags": ["a", "b", 3],
    "none": None,
    "deep": {"x": 1},
}


def matches(source: dict[str, Any]) -> bool:
    return compile_filter(parse_filter(source))(Event("e1", "/s", "llm.call", "c1", AT, DATA))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"data.status": "ok"}, True),
        ({"data.status": "no"}, False),
        ({"data.status": ["no", "ok"]}, True),
        ({"data.status": "ok", "data.code": 201}, False),
        ({"data.code": 200}, True),
        ({"data.code": "200"}, True),
        ({"data.code": "200.0"}, True),
        ({"data.code": {"ne": 200}}, False),
        ({"data.cost": Decimal("1.5")}, True),
        ({"data.cost": "1.50"}, True),
        ({"data.cached": True}, True),
        ({"data.cached": "true"}, True),
        ({"data.cached": False}, False),
        ({"data.cached": 1}, False),
        ({"data.count": 12}, True),
        ({"data.count": {"gte": 12, "lt": 13}}, True),
        ({"data.count": {"gt": 12}}, False),
        ({"data.status": {"gt": 0}}, False),
        ({"data.none": {"gt": 0}}, False),
        ({"data.cached": {"gte": 0}}, False),
        ({"data.absent": "x"}, False),
        ({"data.absent": {"ne": "x"}}, True),
        ({"data.absent": {"not_in": ["x"]}}, True),
        ({"data.absent": {"exists": False}}, True),
        ({"data.none": {"exists": False}}, True),
        ({"data.none": None}, True),
        ({"data.status": None}, False),
        ({"data.deep.x": {"exists": True}}, True),
        ({"data.deep": "x"}, False),
        ({"data.tags": {"contains": "a"}}, True),
        ({"data.tags": {"contains": "3"}}, True),
        ({"data.tags": {"contains": "c"}}, False),
        ({"data.status": {"contains": "k"}}, True),
        ({"data.code": {"contains": "2"}}, False),
        ({"subject": "c1", "type": {"in": ["llm.call"]}}, True),
        ({"time": {"gte": "2026-03-05T14:30:00Z"}}, True),
        ({"time": {"lt": datetime(2026, 3, 5, 14, 30, tzinfo=UTC)}}, False),
        ({"time": "2026-03-05T15:30:00+01:00"}, True),
        ({"any": [{"data.status": "no"}, {"data.code": 200}]}, True),
        ({"all": [{"data.status": "ok"}, {"not": {"data.code": 200}}]}, False),
        ({"not": {"any": [{"data.status": "no"}, {"data.code": 5}, {"subject": "c2"}]}}, True),
    ],
)
def test_meaning(source, expected):
    assert matches(source) is expected


@pytest.mark.parametrize(
    ("source", "field"),
    [
        ({}, "filter"),
        ([], "filter"),
        ("data.x = 1", "filter"),
        ({"status": "ok"}, "filter.status"),
        ({"data.x": {}}, "filter.data.x"),
        ({"data.x": {"equals": 1}}, "filter.data.x.equals"),
        ({"data.x": {"in": "a"}}, "filter.data.x.in"),
        ({"data.x": []}, "filter.data.x.in"),
        ({"data.x": {"gt": "many"}}, "filter.data.x.gt"),
        ({"data.x": {"gt": True}}, "filter.data.x.gt"),
        ({"data.x": {"eq": {"a": 1}}}, "filter.data.x.eq"),
        ({"data.x": {"exists": "yes"}}, "filter.data.x.exists"),
        ({"data.x": {"contains": 5}}, "filter.data.x.contains"),
        ({"data.x": 0.5}, "filter.data.x.eq"),
        ({"any": {"data.x": 1}}, "filter.any"),
        ({"all": []}, "filter.all"),
        ({"all": [{"data.x": 1}, {"x": 1}]}, "filter.all[1].x"),
        ({"not": []}, "filter.not"),
        ({5: 1}, "filter.5"),
        ({"time": {"gt": date(2026, 3, 5)}}, "filter.time.gt"),
        ({"time": {"gt": "yesterday"}}, "filter.time.gt"),
    ],
)
def test_what_cannot_be_read_is_named(source, field):
    with pytest.raises(InvalidInputError) as refused:
        parse_filter(source)
    assert refused.value.field == field


def test_size_is_bounded():
    nested: dict[str, Any] = {"data.x": 1}
    for _ in range(20):
        nested = {"not": nested}
    with pytest.raises(InvalidInputError, match="nested deeper"):
        parse_filter(nested)
    with pytest.raises(InvalidInputError, match="more than 1000"):
        parse_filter({"any": [{"data.x": n} for n in range(1001)]})


def test_over_anything():
    def reads(path: str) -> Callable[[dict[str, str]], object]:
        return lambda row: row.get(path)

    predicate = compile_over(parse_filter({"data.model": ["a", "b"]}), reads)
    assert predicate({"data.model": "a"})
    assert not predicate({"data.model": "c"})


values = st.sampled_from(["a", "b", "1", "2.0", 1, 2, Decimal("2.5"), True, None])
operands = st.sampled_from(["a", "1", "2.0", 1, 2, Decimal("2.5"), True])
tests = st.one_of(
    st.tuples(st.sampled_from(["eq", "ne"]), operands),
    st.tuples(st.sampled_from(["in", "not_in"]), st.lists(operands, min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["gt", "gte", "lt", "lte"]), st.sampled_from([1, 2, Decimal("2.5")])),
    st.tuples(st.just("exists"), st.booleans()),
)
leaves = st.builds(lambda name, test: {f"data.{name}": {test[0]: test[1]}}, st.sampled_from("xy"), tests)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=4)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=4)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)


def canonical(value: object) -> object:
    """Numbers, decimal text and truth values as one comparable form; written apart from the engine's own."""
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return value


def brute(tree: dict[str, Any], data: dict[str, Any]) -> bool:
    ((name, operand),) = tree.items()
    if name == "all":
        return all(brute(part, data) for part in operand)
    if name == "any":
        return any(brute(part, data) for part in operand)
    if name == "not":
        return not brute(operand, data)
    value = canonical(data.get(name[5:])) if data.get(name[5:]) is not None else None
    ((operator, wanted),) = operand.items()
    if operator == "exists":
        return bool((value is not None) == wanted)
    if operator in ("eq", "ne", "in", "not_in"):
        found = value in [canonical(each) for each in (wanted if isinstance(wanted, list) else [wanted])]
        return bool(found == (operator in ("eq", "in")))
    if not isinstance(value, Decimal):
        return False
    number = Decimal(wanted)
    orders: dict[str, bool] = {
        "gt": value > number,
        "gte": value >= number,
        "lt": value < number,
        "lte": value <= number,
    }
    return orders[operator]


@given(trees, st.dictionaries(st.sampled_from("xy"), values))
def test_against_brute_force(tree, data):
    predicate = parse_filter(tree)
    assert compile_filter(predicate)(Event("e", "s", "t", "c", AT, data)) is brute(tree, data)


@given(
    st.lists(leaves, min_size=2, max_size=5),
    st.randoms(use_true_random=False),
    st.sampled_from(["all", "any"]),
)
def test_the_canonical_form_ignores_order(parts, random, group):
    shuffled = list(parts)
    random.shuffle(shuffled)
    one, other = (canonical_filter(parse_filter({group: each})) for each in (parts, shuffled))
    assert one == other
