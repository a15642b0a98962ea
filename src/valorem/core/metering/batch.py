"""Cuts a request body into its events, so that one bad event never spoils the others."""

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from valorem.core.errors import InvalidInputError, TooLargeError
from valorem.core.limits import LIMITS, Limits
from valorem.core.metering import suspect

Form = Literal["single", "array", "lines"]
_FORMS: dict[str, Form | None] = {
    "application/json": None,
    "application/cloudevents+json": "single",
    "application/cloudevents-batch+json": "array",
    "application/x-ndjson": "lines",
    "application/ndjson": "lines",
    "application/jsonl": "lines",
    "application/x-jsonlines": "lines",
}
_WHITE_SPACE = b" \t\r\n"
_split_array: Callable[[bytes], list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw]).decode
#: What decides about nesting outside of text: a whole string, a bracket or a comma; a lone quote opens text that never ends.
_MARK = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},"]', re.DOTALL)


def split_batch(
    body: bytes, content_type: str | None = None, limits: Limits = LIMITS
) -> list[bytes | InvalidInputError]:
    """Cut a body into the bytes of its events, in order; each is decoded on its own later.

    A single event, a JSON array (``application/cloudevents-batch+json``) and lines (``application/x-ndjson``) are told
    apart by the content type; ``application/json`` or none may be a single event or an array. Blank lines are skipped.

    Returns:
        The bytes of each event, or the error of a place in the batch that holds none.

    Raises:
        InvalidInputError: When the body as a whole cannot be cut: another content type, not an array, cut off.
        TooLargeError: When it holds more events than declared.
    """
    form = _form(content_type)
    if form is None:
        form = "array" if body.lstrip(_WHITE_SPACE)[:1] == b"[" else "single"
    items: list[bytes | InvalidInputError]
    if form == "single":
        if not body.strip(_WHITE_SPACE):
            raise InvalidInputError("the body is empty", hint="send one event, or a list of them")
        items = [body]
    elif form == "lines":
        items = [line for line in body.split(b"\n") if line.strip(_WHITE_SPACE)]
    else:
        items = _elements(body)
    if len(items) > limits.batch_events:
        raise TooLargeError(
            f"{len(items)} events in one request, at most {limits.batch_events} are accepted",
            hint="send them in several requests",
        )
    return items


def _form(content_type: str | None) -> Form | None:
    media_type = (content_type or "application/json").split(";")[0].strip().lower()
    if media_type not in _FORMS:
        raise InvalidInputError(
            f"content type {media_type!r} is not accepted"[:200],
            field="content-type",
            hint=f"use one of {', '.join(_FORMS)}",
        )
    return _FORMS[media_type]


def _elements(body: bytes) -> list[bytes | InvalidInputError]:
    try:
        return [bytes(raw) for raw in _split_array(body)]
    except (ValueError, RecursionError) as error:
        elements = _scan(body)
        if elements is None:
            raise suspect.explain(body, error) from None
        return elements


def _scan(body: bytes) -> list[bytes | InvalidInputError] | None:
    """Cut an array that is not valid JSON as a whole by its brackets; ``None`` where they do not match up."""
    text = body.strip(_WHITE_SPACE)
    if text[:1] != b"[":
        return None
    elements: list[bytes | InvalidInputError] = []
    depth, start = 0, 1
    for mark in _MARK.finditer(text):
        sign = mark[0]
        if sign == b'"':
            return None
        if sign in (b"[", b"{"):
            depth += 1
        elif sign in (b"]", b"}"):
            depth -= 1
        if depth == 0 or (depth == 1 and sign == b","):
            elements.append(_element(text[start : mark.start()]))
            start = mark.end()
        if depth == 0:
            return elements if start == len(text) else None
    return None


def _element(raw: bytes) -> bytes | InvalidInputError:
    element = raw.strip(_WHITE_SPACE)
    return element or InvalidInputError("an event is missing between two commas")
