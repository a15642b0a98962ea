"""The one predicate tree and its one evaluator.

A filter never fails on an event: what is missing or of another type does not match (so ``ne`` and ``not_in`` hold for
it). Equality is by value: ``200``, ``200.0`` and ``"200"`` are the same, ``true`` and ``"true"`` too.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from valorem.core.errors import InvalidInputError
from valorem.core.metering.evaluate import same
from valorem.core.metering.event import Event
from valorem.core.metering.paths import compile_path, parse_path
from valorem.core.metering.values import text_of
from valorem.core.numbers import parse_decimal, plain
from valorem.core.time import parse_instant

T = TypeVar("T")
Scalar = str | Decimal | bool | datetime

_SINGLE = ("eq", "ne", "contains")
_ORDERED = ("gt", "gte", "lt", "lte")
_SEVERAL = ("in", "not_in")
OPERATORS = (*_SINGLE, *_SEVERAL, *_ORDERED, "exists")
_GROUPS = ("all", "any", "not")
_MAX_TESTS = 1000
_MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of the value at ``path``: ``operand`` is a scalar, for ``in`` and ``not_in`` a tuple."""

    __test__ = False  # no test case, whatever pytest takes the name for

    path: str
    operator: str
    operand: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Holds when every part holds; with no parts always."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds when at least one part holds; with no parts never."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """Holds when its part does not."""

    part: "Filter"


Filter = Test | AllOf | AnyOf | Not


def parse_filter(source: object, *, field: str = "filter") -> Filter:
    """Read a filter as the catalog writes it.

    ``{data.status: ok}``, ``{data.x: [a, b]}``, ``{data.x: {gt: 5, lte: 9}}``, ``{data.x: {exists: true}}``,
    ``{all: […]}``, ``{any: […]}``, ``{not: …}``; several members of one mapping must all hold.

    Raises:
        InvalidInputError: Naming the member that cannot be read and what would be right.
    """
    if isinstance(source, Test | AllOf | AnyOf | Not):
        return source
    tests = [0]
    return _parse(source, field, 1, tests)


def _parse(source: object, field: str, depth: int, tests: list[int]) -> Filter:
    if depth > _MAX_DEPTH:
        raise InvalidInputError(f"nested deeper than {_MAX_DEPTH} levels", field=field)
    if not isinstance(source, Mapping) or not source:
        raise InvalidInputError(
            f"a filter is a mapping, found {source!r}"[:200],
            field=field,
            hint="write {data.status: ok} or {any: [{…}, {…}]}",
        )
    parts: list[Filter] = []
    for name, operand in source.items():
        here = f"{field}.{name}"
        if name in ("all", "any"):
            if not isinstance(operand, list | tuple) or not operand:
                raise InvalidInputError(
                    "expected a list of filters", field=here, hint=f"{name}: [{{…}}, {{…}}]"
                )
            members = tuple(_parse(part, f"{here}[{i}]", depth + 1, tests) for i, part in enumerate(operand))
            parts.append(AllOf(members) if name == "all" else AnyOf(members))
        elif name == "not":
            parts.append(Not(_parse(operand, here, depth + 1, tests)))
        else:
            parts.extend(_tests(name, operand, here, tests))
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _tests(name: object, operand: object, field: str, tests: list[int]) -> list[Filter]:
    try:
        path = str(parse_path(name if isinstance(name, str) else repr(name)))
    except InvalidInputError as error:
        raise InvalidInputError(
            error.message, field=field, hint=f"{error.hint}; or one of {', '.join(_GROUPS)}"
        ) from None
    if operand is None:
        operand = {"exists": False}
    elif isinstance(operand, list | tuple):
        operand = {"in": operand}
    elif not isinstance(operand, Mapping):
        operand = {"eq": operand}
    if not operand:
        raise InvalidInputError("no comparison given", field=field, hint=f"one of {', '.join(OPERATORS)}")
    tests[0] += len(operand)
    if tests[0] > _MAX_TESTS:
        raise InvalidInputError(f"more than {_MAX_TESTS} comparisons", field=field)
    return [_test(path, str(operator), value, f"{field}.{operator}") for operator, value in operand.items()]


def _test(path: str, operator: str, operand: object, field: str) -> Filter:
    if operator not in OPERATORS:
        raise InvalidInputError(
            f"unknown comparison {operator!r}", field=field, hint=f"use one of {', '.join(OPERATORS)}"
        )
    if operator == "exists":
        if not isinstance(operand, bool):
            raise InvalidInputError("expected true or false", field=field)
        return Test(path, operator, operand)
    if operator in _SEVERAL:
        if not isinstance(operand, list | tuple | set | frozenset) or not operand:
            raise InvalidInputError("expected a list of values", field=field, hint=f"{operator}: [a, b]")
        members = {
            _canonical_scalar(value): value for value in (_scalar(each, path, field) for each in operand)
        }
        return Test(path, operator, tuple(members[key] for key in sorted(members)))
    value = _scalar(operand, path, field)
    if operator in _ORDERED:
        if path != "time" and not isinstance(value, Decimal):
            value = parse_decimal(value, field)
    elif operator == "contains" and not isinstance(value, str):
        raise InvalidInputError("expected text", field=field)
    return Test(path, operator, value)


def _scalar(value: object, path: str, field: str) -> Scalar:
    if path == "time":
        if isinstance(value, date) and not isinstance(value, datetime):
            raise InvalidInputError(
                f"{value} is a day, not an instant", field=field, hint=f"write {value}T00:00:00Z"
            )
        return parse_instant(value, field)
    if isinstance(value, str | bool):
        return value
    if isinstance(value, date):  # YAML reads an unquoted day as a date
        return text_of(value) or value.isoformat()
    return parse_decimal(value, field)


def _canonical_scalar(value: Scalar) -> str:
    """Two scalars that :func:`same` calls equal give one text."""
    if isinstance(value, str):
        try:
            return plain(parse_decimal(value))
        except InvalidInputError:
            return value
    return text_of(value) or ""


def canonical_filter(predicate: Filter) -> list[Any]:
    """Write a filter as JSON lists that are equal for filters that differ only in the order of their parts."""
    if isinstance(predicate, Test):
        operand = predicate.operand
        if isinstance(operand, tuple):
            return [predicate.operator, predicate.path, [_canonical_scalar(value) for value in operand]]
        return [predicate.operator, predicate.path, _canonical_scalar(operand)]
    if isinstance(predicate, Not):
        return ["not", canonical_filter(predicate.part)]
    parts = sorted((canonical_filter(part) for part in predicate.parts), key=repr)
    return ["all" if isinstance(predicate, AllOf) else "any", *parts]


def _read_event(path: str) -> Callable[[Event], Any]:
    return compile_path(parse_path(path))


def compile_filter(predicate: Filter) -> Callable[[Event], bool]:
    """Turn a filter into a function over events."""
    return compile_over(predicate, _read_event)


def compile_over(predicate: Filter, reads: Callable[[str], Callable[[T], Any]]) -> Callable[[T], bool]:
    """Turn a filter into a function over anything, given how a path is read from it."""
    if isinstance(predicate, Test):
        return _compile_test(predicate, reads(predicate.path))
    if isinstance(predicate, Not):
        inner = compile_over(predicate.part, reads)
        return lambda subject: not inner(subject)
    parts = tuple(compile_over(part, reads) for part in predicate.parts)
    if len(parts) == 2:
        first, second = parts
        if isinstance(predicate, AllOf):
            return lambda subject: first(subject) and second(subject)
        return lambda subject: first(subject) or second(subject)
    if isinstance(predicate, AllOf):
        return lambda subject: all(part(subject) for part in parts)
    return lambda subject: any(part(subject) for part in parts)


def _compile_test(test: Test, read: Callable[[T], Any]) -> Callable[[T], bool]:
    operator, operand = test.operator, test.operand
    if operator == "exists":
        return lambda subject: (read(subject) is not None) is operand
    if isinstance(operand, tuple):
        return _compile_membership(operand, read, wanted=operator == "in")
    if operator in ("eq", "ne"):
        return _compile_membership((operand,), read, wanted=operator == "eq")
    if operator == "contains":
        return _compile_contains(operand, read)
    return _compile_order(operator, operand, read)


def _compile_membership(
    operands: tuple[Scalar, ...], read: Callable[[T], Any], *, wanted: bool
) -> Callable[[T], bool]:
    # Text that is spelled as an operand is decided by one look-up; numbers and other spellings by value.
    texts = frozenset(operand for operand in operands if isinstance(operand, str))
    only_words = len(texts) == len(operands) and not any(_is_number(text) for text in texts)

    def test(subject: T) -> bool:
        value = read(subject)
        if type(value) is str and (only_words or value in texts):
            return (value in texts) is wanted
        return any(same(value, operand) for operand in operands) is wanted

    return test


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:1] == "-"


def _compile_contains(operand: Scalar, read: Callable[[T], Any]) -> Callable[[T], bool]:
    def test(subject: T) -> bool:
        value = read(subject)
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, list) and any(same(member, operand) for member in value)

    return test


def _compile_order(operator: str, operand: Scalar, read: Callable[[T], Any]) -> Callable[[T], bool]:
    below, equal = operator in ("lt", "lte"), operator in ("gte", "lte")

    def test(subject: T) -> bool:
        value = read(subject)
        if type(value) is str:
            try:
                value = parse_decimal(value)
            except InvalidInputError:
                return False
        if type(value) not in (int, Decimal, datetime) or isinstance(value, datetime) != isinstance(
            operand, datetime
        ):
            return False
        return bool((equal and value == operand) or (value < operand if below else value > operand))

    return test
