"""JSON read without losing anything: no float, no duplicate member, no NaN, no depth that exhausts the stack."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from valorem.core.errors import InvalidInputError, ValoremError

MAX_DEPTH = 64
_MAX_NUMBER_LETTERS = 400


class RefusedError(HTTPException):
    """Carries one of our errors through the framework's body reading, which lets only its own kind pass."""

    def __init__(self, error: ValoremError) -> None:
        super().__init__(error.status, error.message)
        self.error = error


def read_json(body: bytes) -> Any:
    """Read one JSON value.

    Raises:
        InvalidInputError: For what is no JSON, holds a member twice, a number no decimal can be, or text that
            cannot be stored; naming the member.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        raise InvalidInputError(
            "the body starts with a byte order mark", field="body", hint="send UTF-8 without one"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the body is not UTF-8 (byte {error.start})", field="body") from None
    try:
        value = json.loads(
            text,
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_no_duplicates,
        )
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}", field="body"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    _check(value, ())
    return value


class StrictRequest(Request):
    """A request whose JSON is read by :func:`read_json`."""

    async def json(self) -> Any:
        """The body's value."""
        try:
            return read_json(await self.body())
        except InvalidInputError as error:
            raise RefusedError(error) from None


class StrictRoute(APIRoute):
    """A route that reads its body strictly."""

    def get_route_handler(self) -> Any:
        """Wrap the framework's handler so that it sees a :class:`StrictRequest`."""
        handler = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strictly


def _decimal(text: str) -> Decimal:
    if len(text) > _MAX_NUMBER_LETTERS:
        raise InvalidInputError(f"a number of {len(text)} letters", field="body")
    return Decimal(text)


def _integer(text: str) -> int:
    if len(text) > _MAX_NUMBER_LETTERS:
        raise InvalidInputError(f"an integer of {len(text)} digits", field="body", hint="at most 18 digits")
    return int(text)


def _no_constant(text: str) -> NoReturn:
    raise InvalidInputError(f"{text} is not a number in JSON", field="body", hint="send a finite number")


def _no_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InvalidInputError(f"the member {twice[:60]!r} stands twice in one object", field=twice[:60])
    return members


def _check(value: Any, path: tuple[str | int, ...]) -> None:
    if len(path) > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InvalidInputError(
                "the text holds a NUL or half a surrogate pair",
                field=dotted(path),
                hint="send plain UTF-8 text",
            )
    elif isinstance(value, dict):
        for name, member in value.items():
            _check(name, (*path, "(a member's name)"))
            _check(member, (*path, name))
    elif isinstance(value, list):
        for place, member in enumerate(value):
            _check(member, (*path, place))


def _too_deep() -> InvalidInputError:
    return InvalidInputError(f"nested deeper than {MAX_DEPTH} levels", field="body", hint="flatten it")


def dotted(path: Sequence[str | int]) -> str:
    """A place in a body as people write it: ``seats[0].quantity``; ``body`` for the whole of it."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    return printable[:200] or "body"
