"""From a file's values to a checked entry, with pydantic's errors told in the catalog's own words."""

import re
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from valorem.core.catalog.descriptions import described_fields
from valorem.core.catalog.hints import Schema, as_written, fields_at, wanted
from valorem.core.catalog.problems import Problem, suggestion
from valorem.core.catalog.source import Path, Source
from valorem.core.entry import KEY_PATTERN
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import plain

E = TypeVar("E", bound=BaseModel)

_QUOTED = re.compile(r"'([^']*)'")


def read_entry(source: Source, model: type[E]) -> tuple[E | None, tuple[Problem, ...]]:
    """Validate a file's value.

    Returns:
        The entry, or None with everything that is wrong with it.
    """
    if not isinstance(source.value, dict):
        found = "nothing" if source.value is None else described(source.value)
        return None, (
            source.problem((), f"found {found} where fields belong", "start with `key: value` lines"),
        )
    coming: Mapping[str, str] = getattr(model, "coming", {})
    early = [
        source.problem(
            (name,),
            f"{name}: {what} are not supported by this version yet",
            "remove it; it is refused because ignoring it would bill something else than what is written",
            at_key=True,
        )
        for name, what in coming.items()
        if name in source.value
    ]
    value = {name: part for name, part in source.value.items() if name not in coming}
    try:
        entry = model.model_validate(value)
    except ValidationError as error:
        told = [
            _problem(source, detail, _schema_of(model))
            for detail in error.errors(include_url=False)
            if not _follows(detail)
        ]
        # Where a value may be one of several things, each of them complains; the first complaint says enough.
        first = {problem.path: problem for problem in reversed(told)}
        # A misspelt field is told once, by the name that was written, not also as missing.
        misspelt = {_sibling(problem) for problem in told if problem.hint.startswith("did you mean ")}
        return None, (*early, *(each for path, each in first.items() if path not in misspelt))
    except InvalidInputError as error:
        path = _dotted(value, error.field)
        return None, (*early, source.problem(path, error.message, error.hint or "write what is expected"))
    return (None, tuple(early)) if early else (entry, ())


def _follows(detail: ErrorDetails) -> bool:
    """Whether a list is called too short only because what stands in it is wrong, which is told by itself."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


@cache
def _schema_of(model: type[BaseModel]) -> Schema:
    schema: Schema = described_fields(model.model_json_schema(by_alias=True))
    return schema


def _dotted(value: Any, field: str | None) -> Path:
    """The path of a field written with dots, where keys may hold dots of their own (``filter.data.status``)."""
    path: Path = ()
    rest = re.sub(r"\[(\d+)\]", r".\1", field or "")
    while rest:
        parts = rest.split(".")
        heads = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
        head = next((head for head in heads if _holds(value, _index(head))), None)
        if head is None:
            break
        path, value = (*path, _index(head)), value[_index(head)]
        rest = rest[len(head) + 1 :]
    return path


def _index(part: str) -> str | int:
    return int(part) if part.isdigit() else part


def _problem(source: Source, detail: ErrorDetails, schema: Schema) -> Problem:
    path, name = _located(source.value, detail)
    kind, found, limits = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return source.problem(
            (*path, name), f"{name} is missing", wanted(schema, source.value, (*path, name))
        )
    if kind == "extra_forbidden":
        hint = suggestion(name, fields_at(schema, source.value, path), "fields")
        return source.problem((*path, name), f"unknown field {name}", hint, at_key=True)
    if name == "[key]":
        return source.problem(
            path, f"{found!r} cannot be a key", _as_key(str(found), KEY_PATTERN), at_key=True
        )
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _untagged(source, path, detail, schema)
    message, hint = _told(kind, found, limits, detail["msg"])
    if named := re.match(r"([\w.\[\]-]+): ", message):
        deeper = _dotted(source.value, named[1])
        if len(deeper) > len(path) and deeper[: len(path)] == path:
            path, message = deeper, message[named.end() :]
    return source.problem(path, message, hint or wanted(schema, source.value, path))


def _sibling(problem: Problem) -> str:
    """The path of the field that a misspelt one was taken for."""
    parent, dot, _ = problem.path.rpartition(".")
    return parent + dot + problem.hint.removeprefix("did you mean ").removesuffix("?")


def _untagged(source: Source, path: Path, detail: ErrorDetails, schema: Schema) -> Problem:
    limits = detail.get("ctx", {})
    tag = str(limits.get("discriminator", "")).strip("'")
    known = _QUOTED.findall(str(limits.get("expected_tags", "")))
    if detail["type"] == "union_tag_invalid":
        found = str(limits.get("tag"))
        return source.problem((*path, tag), f"unknown {tag} {found}", suggestion(found, known, f"{tag}s"))
    written = detail["input"] if isinstance(detail["input"], dict) else {}
    close = get_close_matches(tag, written, n=1, cutoff=0.6)
    hint = f"did you write {close[0]} for {tag}?" if close else wanted(schema, source.value, (*path, tag))
    return source.problem((*path, tag), f"{tag} is missing", hint)


_FIELDS = (" where fields belong", "write it as fields: {{name: value}}")
_LIST = (" where a list belongs", "write it as a list: [a, b]")
_YES_NO = ("", "write true or false")
_WHOLE_NUMBER = ("", "write a whole number")
#: Pydantic's kind of error to what follows "found …", and the way out.
_TOLD = {
    "dict_type": _FIELDS,
    "model_type": _FIELDS,
    "mapping_type": _FIELDS,
    "model_attributes_type": _FIELDS,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "string_type": (" where a text belongs", ""),
    "bool_type": _YES_NO,
    "bool_parsing": _YES_NO,
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "greater_than_equal": ("", "{ge} is the least allowed"),
    "greater_than": ("", "write a number greater than {gt}"),
    "less_than_equal": ("", "{le} is the most allowed"),
    "less_than": ("", "write a number less than {lt}"),
    "too_short": ("", "write at least {min_length}"),
    "string_too_short": ("", "write at least {min_length} characters"),
    "too_long": ("", "write at most {max_length}"),
    "string_too_long": ("", "write at most {max_length} characters"),
}


def _told(kind: str, found: Any, limits: Mapping[str, Any], message: str) -> tuple[str, str]:
    """What was found and, where the error itself knows, what would be right."""
    what = f"found {described(found)}"
    if kind == "literal_error":
        known = _QUOTED.findall(str(limits.get("expected", "")))
        return what, suggestion(as_written(found), known, "possible values")
    if kind == "string_pattern_mismatch":
        return what, _as_key(as_written(found), str(limits.get("pattern")))
    if kind == "string_type" and isinstance(found, Decimal | bool):
        return f"{what} where a text belongs", f'put it in quotes: "{as_written(found)}"'
    if kind in ("value_error", "assertion_error"):
        return _split_hint(message.removeprefix("Value error, ").removeprefix("Assertion failed, "))
    if kind in _TOLD:
        misfit, hint = _TOLD[kind]
        return what + misfit, hint.format(**limits)
    return f"{what}: {message[:1].lower()}{message[1:]}", ""


def _split_hint(message: str) -> tuple[str, str]:
    """A validator's ``what (way out)`` or ``what; way out``."""
    if message.endswith(")") and " (" in message:
        what, _, hint = message[:-1].rpartition(" (")
        return what, hint
    what, separator, hint = message.rpartition("; ")
    return (what, hint) if separator else (message, "")


def described(value: Any) -> str:
    """A value as an error names it."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"the number {plain(value)[:60]}"
        case str():
            return f"the text {value[:60]!r}"
        case dict():
            return "fields"
        case list() | tuple():
            return "a list"
    return str(value)[:60]


def _as_key(found: str, pattern: str) -> str:
    """What a name that does not fit a pattern could be instead."""
    if pattern != KEY_PATTERN:
        return f"write it to match {pattern}"
    folded = re.sub(r"[^a-z0-9]+", "_", found.casefold()).strip("_")
    rule = "a key is lower-case letters, digits and _, starting with a letter"
    return f"{rule}: {folded}" if re.match(r"[a-z]", folded) else rule


def _located(value: Any, detail: ErrorDetails) -> tuple[Path, str]:
    """Where in the file an error is, and the last name of its location.

    Pydantic's locations also hold names of union members and validators; whatever does not exist in the file at that
    point is one of those and is skipped, except the name of a field that is missing.
    """
    location = detail["loc"]
    last = str(location[-1]) if location else ""
    named = detail["type"] in ("missing", "extra_forbidden")
    path: Path = ()
    for part in location[:-1] if named else location:
        if _holds(value, part):
            value = value[part]
            path = (*path, part)
    return path, last


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)
