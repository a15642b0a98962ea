"""The slow, exact look at an event that a fast scan could not clear, and the words for what is wrong with it."""

import json
import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import msgspec

from valorem.core.errors import InvalidInputError
from valorem.core.limits import Limits

#: Numbers of this magnitude or more are refused anywhere in an event: no reader downstream holds them.
MAX_EXPONENT = 308
HUGE = 10**MAX_EXPONENT
_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json(?:\s*;.*)?", re.ASCII | re.IGNORECASE)


def dotted(path: Sequence[str | int]) -> str:
    """Write a place in an event as people do: ``data.usage[3].tokens``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text if len(text) <= 200 else text[:200] + "…"


def count_keys(value: object, path: tuple[str | int, ...], limits: Limits) -> int:
    """Count the member names in a value, checking its numbers, names and depth on the way.

    Raises:
        InvalidInputError: For a number no reader can hold, or nesting past the declared depth.
    """
    if type(value) is dict:
        _check_depth(path, limits)
        keys = len(value)
        for key, member in value.items():
            check_key(key, path, limits)
            keys += count_keys(member, (*path, key), limits)
        return keys
    if type(value) is list:
        _check_depth(path, limits)
        return sum(count_keys(member, (*path, i), limits) for i, member in enumerate(value))
    if type(value) is Decimal:
        if not value.is_finite() or (value and abs(value.adjusted()) >= MAX_EXPONENT):
            _refuse_number(path)
    elif type(value) is int and not -HUGE < value < HUGE:
        _refuse_number(path)
    return 0


def _check_depth(path: tuple[str | int, ...], limits: Limits) -> None:
    if len(path) >= limits.depth:
        raise InvalidInputError(
            f"nested deeper than {limits.depth} levels",
            field=dotted(path),
            hint="flatten the data; a meter needs only the members it reads",
        )


def _refuse_number(path: tuple[str | int, ...]) -> NoReturn:
    raise InvalidInputError(
        "a number is too large or too small to be read everywhere",
        field=dotted(path),
        hint=f"write a finite number of a magnitude below 1e{MAX_EXPONENT}, or text",
    )


def check_key(key: str, path: tuple[str | int, ...], limits: Limits) -> None:
    """Refuse a member name longer than declared."""
    if len(key.encode()) > limits.key_bytes:
        raise InvalidInputError(
            f"a member name is longer than {limits.key_bytes} bytes", field=dotted((*path, key[:40] + "…"))
        )


def check_content_type(content_type: object) -> None:
    """Refuse data that is declared to be something other than JSON."""
    if not isinstance(content_type, str) or _JSON_TYPE.fullmatch(content_type) is None:
        raise InvalidInputError(
            f"datacontenttype {content_type!r} cannot be metered"[:200],
            field="datacontenttype",
            hint="send JSON data, with datacontenttype application/json or without one",
        )


def check_document(raw: bytes, envelope: dict[str, Any], limits: Limits) -> None:
    """Check every member of an event: size, depth, numbers, NUL, and that no name is written twice.

    Raises:
        InvalidInputError: Naming the member that is wrong.
    """
    if len(raw) > limits.event_bytes:
        raise InvalidInputError(f"an event is at most {limits.event_bytes} bytes, this one has {len(raw)}")
    if len(raw) > limits.data_bytes:
        size = len(bytes(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).get("data", b"")))
        if size > limits.data_bytes:
            raise InvalidInputError(
                f"data is {size} bytes, at most {limits.data_bytes} are kept", field="data"
            )
    keys = len(envelope)
    for key, value in envelope.items():
        keys += count_keys(value, (key,), limits)
        _check_text(key, ())
        _check_text(value, (key,))
    # Every member name ends in a quote and a colon, so more of them than members means a name that is written twice.
    if raw.translate(None, b" \t\r\n").count(b'":') != keys:
        _check_duplicates(raw)


def _check_text(value: object, path: tuple[str | int, ...]) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidInputError(
                "text must not contain NUL", field=dotted(path) or None, hint="remove the \\u0000"
            )
    elif isinstance(value, dict):
        for key, member in value.items():
            _check_text(key, path)
            _check_text(member, (*path, key))
    elif isinstance(value, list):
        for i, member in enumerate(value):
            _check_text(member, (*path, i))


def _check_duplicates(raw: bytes) -> None:
    """Refuse a repeated member name: readers differ on which of the two counts."""
    path = _find(json.loads(raw, object_pairs_hook=_unique_object, parse_int=str, parse_float=str), ())
    if path is not None:
        raise InvalidInputError(
            "the member is written twice", field=dotted(path), hint="send each member once"
        )


def _unique_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        members[key] = _Wrong() if key in members else value
    return members


def explain(raw: bytes, error: Exception) -> InvalidInputError:
    """Put into words why bytes are no JSON event."""
    if raw.startswith(_BOM):
        return InvalidInputError("the text starts with a byte order mark", hint="send UTF-8 without one")
    if isinstance(error, RecursionError):
        return InvalidInputError("nested too deeply", hint="flatten the data")
    try:
        text = raw.decode()
    except UnicodeDecodeError as not_text:
        return InvalidInputError(f"not UTF-8: {not_text.reason} at byte {not_text.start}")
    if _SURROGATE.search(raw):
        return InvalidInputError(
            "an escape names half of a surrogate pair", hint="write both halves, or the character itself"
        )
    number = _unreadable_number(text)
    if number is not None:
        return number
    return InvalidInputError(f"not valid JSON: {error}", hint="send one JSON object for each event")


def _unreadable_number(text: str) -> InvalidInputError | None:
    """Find the NaN, Infinity or thousand-digit integer that strict JSON refuses, with its place."""
    refused = InvalidInputError(
        "not a number JSON knows", hint="send a finite number, or leave the member out"
    )

    def unreadable(_: str) -> "_Wrong":
        return _Wrong()

    def integer(digits: str) -> object:
        return _Wrong() if len(digits) > MAX_EXPONENT else 0

    def real(digits: str) -> object:
        try:
            return Decimal(digits) and 0
        except InvalidOperation:
            return _Wrong()

    try:
        document = json.loads(text, parse_constant=unreadable, parse_int=integer, parse_float=real)
    except (ValueError, RecursionError):
        return None
    path = _find(document, ())
    if path is None:
        return None
    refused.field = dotted(path)
    return refused


class _Wrong:
    """Marks the place of a member that cannot be accepted."""


def _find(value: object, path: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
    members: Any = ()
    if isinstance(value, _Wrong):
        return path
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for step, member in members:
        found = _find(member, (*path, step))
        if found is not None:
            return found
    return None
