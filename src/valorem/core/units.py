"""Checked units as people write them in the catalog: ``2M``, ``70%``, ``14 days``.

These are the field types of every catalog model, so each reads one way everywhere and appears in the JSON Schema.
"""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal, plain

_MULTIPLES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)\s?([kKMGBT]?)", re.ASCII)
_PERCENT = re.compile(r"(-?\d+(?:\.\d+)?)\s?%", re.ASCII)
_SPAN = re.compile(r"(\d{1,5})\s?(minute|hour|day|week|month|quarter|year)s?", re.ASCII)


def parse_quantity(value: object, field: str | None = None) -> Decimal:
    """Read ``2M``, ``1.5k``, ``1000`` or a plain number as an exact quantity (k, M, B or G, T are powers of 1000)."""
    if isinstance(value, str) and (match := _QUANTITY.fullmatch(value)):
        return parse_decimal(plain(parse_decimal(match[1], field) * _MULTIPLES[match[2]]), field)
    try:
        return parse_decimal(value, field)
    except InvalidInputError as error:
        raise InvalidInputError(
            error.message, field=field, hint="write a number, or one like 2M, 1.5k"
        ) from None


def parse_share(value: object, field: str | None = None) -> Decimal:
    """Read ``70%`` or ``0.7`` as the exact share 0.7."""
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        return parse_decimal(match[1], field).scaleb(-2)
    try:
        return parse_decimal(value, field)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, field=field, hint="write it as 70% or 0.7") from None


def parse_span(value: object, field: str | None = None) -> tuple[int, str]:
    """Read ``14 days``, ``1 month``, ``month`` as (count, unit)."""
    if isinstance(value, tuple) and len(value) == 2:
        return int(value[0]), str(value[1])
    text = value if isinstance(value, str) else ""
    if match := _SPAN.fullmatch(text if text[:1].isdigit() else f"1 {text}"):
        return int(match[1]), match[2]
    raise InvalidInputError(
        f"expected a length of time, found {value!r}",
        field=field,
        hint="write a count and a unit: 14 days, 1 month, 2 weeks, quarter, year",
    )


def _reads(parse: Any) -> BeforeValidator:
    def before(value: object) -> object:
        try:
            return parse(value)
        except InvalidInputError as error:
            raise ValueError(f"{error.message} ({error.hint})" if error.hint else error.message) from None

    return BeforeValidator(before)


def write_span(span: tuple[int, str]) -> str:
    """Write a span as people do: ``1 month``, ``14 days``."""
    count, unit = span
    return f"{count} {unit}{'s' if count != 1 else ''}"


_AS_TEXT = PlainSerializer(plain, return_type=str)

#: An amount of money or a rate per unit: exact, of either sign unless a model says otherwise.
Amount = Annotated[
    Decimal,
    _reads(parse_decimal),
    _AS_TEXT,
    WithJsonSchema(
        {"type": ["number", "string"], "description": "an exact decimal", "examples": [2.5, "0.0006"]}
    ),
]
#: A quantity of a meter's unit, of zero or more; ``2M`` and ``1.5k`` are welcome.
Quantity = Annotated[
    Decimal,
    _reads(parse_quantity),
    Field(ge=0),
    _AS_TEXT,
    WithJsonSchema(
        {
            "type": ["number", "string"],
            "description": "an exact quantity; k, M, B and T are powers of 1000",
            "examples": [100, "2M"],
        }
    ),
]
#: A share: ``70%`` or ``0.7``.
Share = Annotated[
    Decimal,
    _reads(parse_share),
    _AS_TEXT,
    WithJsonSchema(
        {"type": ["number", "string"], "description": "a share, as 70% or 0.7", "examples": ["70%", 0.7]}
    ),
]
#: A length of calendar time: ``14 days``, ``1 month``.
Span = Annotated[
    tuple[int, str],
    _reads(parse_span),
    PlainSerializer(write_span, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(\d{1,5} ?)?(minute|hour|day|week|month|quarter|year)s?$",
            "examples": ["14 days", "month", "2 weeks"],
        }
    ),
]
