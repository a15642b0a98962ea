"""How values are written in JSON: decimals as text, instants in UTC with ``Z``, text that can be stored."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal, plain
from valorem.core.time import parse_instant, write_instant

V = TypeVar("V")


class Body(BaseModel):
    """What a request carries; a member it does not know is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What an answer carries, read from the engine's values by attribute."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Page(Answer, Generic[V]):
    """One page of a list.

    Attributes:
        items: In the list's order.
        next: Pass it as ``after`` for the page that follows; null on the last one.
    """

    items: list[V]
    next: str | None = None


def _reads(parse: Callable[[object], Any]) -> BeforeValidator:
    """Run one of the core's parsers, and let its message and hint reach the problem that is answered."""

    def validate(value: object) -> Any:
        try:
            return parse(value)
        except InvalidInputError as error:
            raise PydanticCustomError(
                "invalid_input", "{message}", {"message": error.message, "hint": error.hint}
            ) from None

    return BeforeValidator(validate)


def _stored_text(value: object) -> object:
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise InvalidInputError("the text holds a NUL or half a surrogate pair", hint="send plain UTF-8 text")
    return value


#: An exact number, written as text; a JSON number is read exactly too.
Exact = Annotated[
    Decimal,
    _reads(parse_decimal),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d{1,18}(\.\d{1,12})?$", "examples": ["12.50"]}),
]

#: A computed exact number: as many digits as it has.
ExactOut = Annotated[
    Decimal,
    PlainSerializer(plain, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["12.50"]}),
]

#: An instant with its zone, RFC 3339; answered in UTC.
Instant = Annotated[
    datetime,
    _reads(parse_instant),
    PlainSerializer(write_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-05T14:30:00Z"]}),
]

#: Text that can be stored: no NUL, no half of a surrogate pair.
Text = Annotated[str, _reads(_stored_text), Field(max_length=2000)]

#: A name or key.
Name = Annotated[str, _reads(_stored_text), Field(min_length=1, max_length=255)]


def written(value: Any) -> Any:
    """Recorded data as JSON values; numbers that are not whole are written as text, so that no reader loses digits."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return {name: written(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [written(member) for member in value]
    return value
