"""Compiles a parsed expression to a closure over an event.

Arithmetic is exact under :data:`~valorem.core.numbers.EXACT`; a division keeps 100 digits. A number that is missing, or
text that is none, is the event's fault and named as such; ``coalesce(data.x, 0)`` declares a default.
"""

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.metering.expression import Constant, Expression, Operation, write_expression
from valorem.core.metering.paths import Getter, Path, compile_path
from valorem.core.metering.values import MOST, number_of, text_of
from valorem.core.numbers import EXACT, ONE, parse_decimal

Number = Callable[[Event], Decimal]

_ROUNDINGS = {"round": ROUND_HALF_UP, "ceil": ROUND_CEILING, "floor": ROUND_FLOOR}
_MAX_PLACES = 12


def compile_expression(expression: Expression) -> Getter:
    """Turn an expression into a function that evaluates it: to a Decimal, text, true or false, or ``None``.

    Raises (the returned function):
        InvalidInputError: When the event lacks a number that arithmetic needs, or divides by zero; ``field`` is the path.
    """
    if isinstance(expression, Constant):
        value = expression.value
        return lambda _: value
    if isinstance(expression, Path):
        return compile_path(expression)
    name, operands = expression.name, expression.operands
    if name in _NUMERIC:
        return _compile_number(expression)
    if name in _ORDER or name in ("=", "!="):
        return _compile_comparison(name, *operands)
    if name in ("and", "or", "not"):
        return _compile_logic(name, tuple(compile_condition(operand) for operand in operands))
    parts = tuple(compile_expression(operand) for operand in operands)
    if name == "if":
        condition, (_, yes, no) = compile_condition(operands[0]), parts
        return lambda event: yes(event) if condition(event) else no(event)
    if name == "coalesce":
        return lambda event: next((value for part in parts if (value := part(event)) is not None), None)
    return _compile_concat(operands, parts)


def compile_number(expression: Expression) -> Number:
    """Compile an expression whose value must be a number; fails on the event where it is not."""
    if isinstance(expression, Operation) and expression.name in _NUMERIC:
        return _compile_number(expression)
    if isinstance(expression, Constant) and isinstance(expression.value, Decimal):
        number = expression.value
        return lambda _: number
    field = write_expression(expression)
    if isinstance(expression, Path) and (member := expression.member) is not None:

        def read_member(event: Event) -> Decimal:
            value = event.data.get(member)
            if type(value) is int and -MOST < value < MOST:
                return Decimal(value)
            return number_of(value, field)

        return read_member
    get = compile_expression(expression)

    def read(event: Event) -> Decimal:
        value = get(event)
        if type(value) is int and -MOST < value < MOST:
            return Decimal(value)
        return number_of(value, field)

    return read


def compile_condition(expression: Expression) -> Callable[[Event], bool]:
    """Compile an expression whose value must be true or false; fails on the event where it is not."""
    value, field = compile_expression(expression), write_expression(expression)
    if isinstance(expression, Operation) and expression.name in _TRUTHS:
        return value

    def holds(event: Event) -> bool:
        truth = value(event)
        if truth is True or truth is False:
            return truth
        raise InvalidInputError("expected true or false", field=field, hint="compare it with something")

    return holds


def _divide(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise InvalidInputError("division by zero", hint="guard it: if(b = 0, 0, a / b)")
    return EXACT.divide(a, b)


_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": EXACT.add,
    "-": EXACT.subtract,
    "*": EXACT.multiply,
    "/": _divide,
}

_NUMERIC = frozenset({*_ARITHMETIC, *_ROUNDINGS, "neg", "abs", "min", "max"})
_TRUTHS = frozenset({"<", "<=", ">", ">=", "=", "!=", "and", "or", "not"})


def _compile_number(expression: Operation) -> Number:
    name = expression.name
    parts = tuple(compile_number(operand) for operand in expression.operands)
    if name in _ARITHMETIC:
        apply, (left, right) = _ARITHMETIC[name], parts
        if name != "/":
            return lambda event: apply(left(event), right(event))
        return _located(lambda event: apply(left(event), right(event)), write_expression(expression))
    if name in _ROUNDINGS:
        return _compile_rounding(name, parts, write_expression(expression))
    if name == "neg":
        return lambda event: EXACT.minus(parts[0](event))
    if name == "abs":
        return lambda event: EXACT.abs(parts[0](event))
    choose: Any = min if name == "min" else max
    return lambda event: choose(part(event) for part in parts)


def _located(compute: Number, field: str) -> Number:
    def read(event: Event) -> Decimal:
        try:
            return compute(event)
        except InvalidInputError as error:
            error.field = error.field or field
            raise

    return read


def _compile_rounding(name: str, parts: tuple[Number, ...], field: str) -> Number:
    rounding = _ROUNDINGS[name]
    places = parts[1] if len(parts) > 1 else None

    def read(event: Event) -> Decimal:
        digits = places(event) if places else Decimal(0)
        if digits != digits.to_integral_value() or abs(digits) > _MAX_PLACES:
            raise InvalidInputError(
                f"{name} takes a whole number of places from -{_MAX_PLACES} to {_MAX_PLACES}", field=field
            )
        try:
            return parts[0](event).quantize(ONE.scaleb(-int(digits)), rounding=rounding, context=EXACT)
        except InvalidOperation:
            raise InvalidInputError("the number has too many digits", field=field) from None

    return read


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _compile_comparison(name: str, left: Expression, right: Expression) -> Callable[[Event], bool]:
    if name in _ORDER:
        apply, a, b = _ORDER[name], compile_number(left), compile_number(right)
        return lambda event: apply(a(event), b(event))
    first, second, negated = compile_expression(left), compile_expression(right), name == "!="
    return lambda event: same(first(event), second(event)) is not negated


def same(a: object, b: object) -> bool:
    """Whether two scalars are one value: numbers by value, also against decimal text; everything else as text."""
    if a is None or b is None:
        return a is b
    if type(a) is str and type(b) is str:
        return a == b
    numbers = (int, Decimal)
    if type(a) in numbers and type(b) in numbers:
        return bool(a == b)
    if (type(a) in numbers and type(b) is str) or (type(b) in numbers and type(a) is str):
        number, text = (b, a) if type(a) is str else (a, b)
        try:
            return bool(parse_decimal(text) == number)
        except InvalidInputError:
            return False
    one = text_of(a)
    return one is not None and one == text_of(b)


def _compile_logic(name: str, parts: tuple[Callable[[Event], bool], ...]) -> Callable[[Event], bool]:
    if name == "not":
        return lambda event: not parts[0](event)
    left, right = parts
    if name == "and":
        return lambda event: left(event) and right(event)
    return lambda event: left(event) or right(event)


def _compile_concat(operands: tuple[Expression, ...], parts: tuple[Getter, ...]) -> Callable[[Event], str]:
    fields = [write_expression(operand) for operand in operands]

    def read(event: Event) -> str:
        texts = []
        for part, field in zip(parts, fields, strict=True):
            text = text_of(part(event))
            if text is None:
                raise InvalidInputError(
                    "is missing or no text", field=field, hint="default it: coalesce(…, '')"
                )
            texts.append(text)
        return "".join(texts)

    return read
