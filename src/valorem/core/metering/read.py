"""Compiles a meter to the one function that reads events with it."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from valorem.core.errors import InvalidInputError
from valorem.core.limits import LIMITS, Limits
from valorem.core.metering.evaluate import compile_expression, compile_number
from valorem.core.metering.event import Event
from valorem.core.metering.expression import parse_expression
from valorem.core.metering.filters import compile_filter
from valorem.core.metering.meter import CompiledMeter, Meter, Reading
from valorem.core.metering.paths import Getter, Path
from valorem.core.metering.values import MOST, number_of, text_of
from valorem.core.numbers import EXACT, MAX_FRACTION_DIGITS, ONE

_QUANTUM = ONE.scaleb(-MAX_FRACTION_DIGITS)

Dimensions = Callable[[Event], tuple[str | None, ...]]


def compile_meter(meter: Meter, limits: Limits = LIMITS) -> CompiledMeter:
    """Turn a meter into the function that reads events with it.

    An expression's value is rounded to 12 decimals, half away from zero, at the event: every later sum is exact, so live
    counters and recounts agree to the last digit.
    """
    read = _compile_each(meter, limits) if meter.each else _compile_single(meter, limits)
    return CompiledMeter(meter, _named(meter, read))


def _named(
    meter: Meter, read: Callable[[Event], tuple[Reading, ...]]
) -> Callable[[Event], tuple[Reading, ...]]:
    """Filter first; name the meter in what the reader raises."""
    passes = None if meter.predicate is None else compile_filter(meter.predicate)

    def read_matching(event: Event) -> tuple[Reading, ...]:
        if passes is not None and not passes(event):
            return ()
        try:
            return read(event)
        except InvalidInputError as error:
            raise InvalidInputError(
                f"{error.message} (needed by the meter {meter.key})", field=error.field, hint=error.hint
            ) from None

    return read_matching


def _compile_single(meter: Meter, limits: Limits) -> Callable[[Event], tuple[Reading, ...]]:
    dimensions = _compile_dimensions(meter, limits)
    if meter.value is None:
        return lambda event: (Reading(dimensions(event), ONE),)
    if meter.aggregation.text:
        text = _compile_text(meter.value, limits)
        return lambda event: (Reading(dimensions(event), text(event)),)
    number = _compile_value(meter.value)
    return lambda event: (Reading(dimensions(event), number(event)),)


def _compile_each(meter: Meter, limits: Limits) -> Callable[[Event], tuple[Reading, ...]]:
    ((name, members),) = (meter.each or {}).items()
    place = meter.dimension_names.index(name)
    dimensions = _compile_dimensions(meter, limits)
    convert: Callable[[Any], Decimal | str]
    read_members = []
    for member, source in members.items():
        expression = parse_expression(source)
        if meter.aggregation.text:
            convert = _text_taker(source, limits)
        elif isinstance(expression, Path):
            convert = _number_taker(source)
        else:
            convert = _settled(source)
        read_members.append((member, compile_expression(expression), convert))
    fixed = tuple(read_members)

    def read(event: Event) -> tuple[Reading, ...]:
        shared = dimensions(event)
        before, after = shared[:place], shared[place + 1 :]
        return tuple(
            [
                Reading((*before, member, *after), convert(value))
                for member, get, convert in fixed
                if (value := get(event)) is not None
            ]
        )

    return read


def _compile_value(source: str) -> Callable[[Event], Decimal]:
    expression = parse_expression(source)
    if isinstance(expression, Path):
        return compile_number(expression)
    compute, settle = compile_number(expression), _settled(source)
    return lambda event: settle(compute(event))


def _number_taker(field: str) -> Callable[[Any], Decimal]:
    def take(value: Any) -> Decimal:
        if type(value) is int and -MOST < value < MOST:
            return Decimal(value)
        return number_of(value, field)

    return take


def _settled(field: str) -> Callable[[Any], Decimal]:
    """Take a computed number: rounded to 12 decimals, and refused past 18 digits before the point."""

    def take(value: Any) -> Decimal:
        if type(value) is not Decimal:
            value = number_of(value, field)
        elif value.same_quantum(ONE) and -MOST < value < MOST:
            return value  # a whole number, as most are
        if not -MOST < value < MOST:
            raise InvalidInputError("the value has more than 18 digits before the point", field=field)
        rounded: Decimal = value.quantize(_QUANTUM, ROUND_HALF_UP, EXACT)
        return value if rounded == value else rounded

    return take


def _compile_text(source: str, limits: Limits) -> Callable[[Event], str]:
    get, take = compile_expression(parse_expression(source)), _text_taker(source, limits)
    return lambda event: take(get(event))


def _text_taker(field: str, limits: Limits) -> Callable[[Any], str]:
    def take(value: Any) -> str:
        text = text_of(value)
        if text is None:
            problem = "is missing or null" if value is None else "is no text, number or truth value"
            raise InvalidInputError(problem, field=field, hint="send the value to tell apart")
        _check_length(text, field, limits)
        return text

    return take


def _check_length(text: str, field: str, limits: Limits) -> None:
    if len(text) > limits.dimension_bytes or not text.isascii():
        size = len(text.encode())
        if size > limits.dimension_bytes:
            raise InvalidInputError(
                f"is {size} bytes long, at most {limits.dimension_bytes} are counted by",
                field=field,
                hint="send a shorter value, or a hash of it",
            )


def _compile_dimensions(meter: Meter, limits: Limits) -> Dimensions:
    """One text for each dimension name; the place of ``each`` is left ``None``."""
    readers = tuple(
        _compile_dimension(meter.dimensions[name], limits) if name in meter.dimensions else _none
        for name in meter.dimension_names
    )
    if not readers:
        return lambda _: ()
    if len(readers) == 1:
        only = readers[0]
        return lambda event: (only(event),)
    if len(readers) == 2:
        first, second = readers
        return lambda event: (first(event), second(event))
    return lambda event: tuple([read(event) for read in readers])


def _none(_: Event) -> None:
    return None


def _compile_dimension(source: str, limits: Limits) -> Callable[[Event], str | None]:
    expression = parse_expression(source)
    most = limits.dimension_bytes

    def take(value: Any) -> str | None:
        if value is None:
            return None
        text = text_of(value)
        if text is None:
            raise InvalidInputError("a list or an object cannot be a dimension", field=source)
        _check_length(text, source, limits)
        return text

    if isinstance(expression, Path) and (member := expression.member) is not None:

        def read_member(event: Event) -> str | None:
            value = event.data.get(member)
            if type(value) is str and len(value) <= most and value.isascii():
                return value
            return take(value)

        return read_member
    get: Getter = compile_expression(expression)
    return lambda event: take(get(event))
