"""The API reference, read from the OpenAPI document."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "post", "patch", "put", "delete")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, or a member of a body: how it is called, what it may hold, what it means."""

    name: str
    place: str
    kind: str
    required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent or answered: its media types, members and an example."""

    media_types: tuple[str, ...]
    meaning: str
    fields: tuple[Field, ...]
    example: str | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    anchor: str
    method: str
    path: str
    summary: str
    paragraphs: tuple[str, ...]
    scope: str | None
    parameters: tuple[Field, ...]
    request: Body | None
    answers: tuple[tuple[str, str, Body | None], ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """The whole API, by tag."""

    title: str
    version: str
    paragraphs: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Operation, ...]], ...]


def reference_of(document: Mapping[str, Any]) -> Reference:
    """Read an OpenAPI document."""
    groups: dict[str, list[Operation]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                found = _operation(document, method, path, operations[method])
                groups.setdefault((operations[method].get("tags") or ["other"])[0], []).append(found)
    return Reference(
        title=document["info"]["title"],
        version=document["info"]["version"],
        paragraphs=_paragraphs(document["info"].get("description", "")),
        groups=tuple((tag, tuple(found)) for tag, found in groups.items()),
    )


def _operation(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> Operation:
    answers = []
    for status, answer in operation.get("responses", {}).items():
        body = _body(document, answer.get("content", {})) if status.startswith("2") else None
        answers.append((status, answer.get("description", ""), body))
    return Operation(
        anchor=f"{method}{path}".replace("/", "-").replace("{", "").replace("}", "").replace(":", "-"),
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        paragraphs=_paragraphs(operation.get("description", "")),
        scope=operation.get("x-scope"),
        parameters=tuple(
            Field(
                each["name"],
                each["in"],
                _kind(document, each.get("schema", {})),
                bool(each.get("required")),
                each.get("description", ""),
            )
            for each in operation.get("parameters", ())
        ),
        request=_body(document, operation.get("requestBody", {}).get("content", {})),
        answers=tuple(answers),
    )


def _body(document: Mapping[str, Any], content: Mapping[str, Any]) -> Body | None:
    if not content:
        return None
    schema = _resolved(document, next(iter(content.values())).get("schema", {}))
    examples = schema.get("examples") or []
    example = json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else None
    return Body(tuple(content), schema.get("description", ""), tuple(_members(document, schema)), example)


def _members(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Field]:
    required = schema.get("required", ())
    return [
        Field(
            name,
            "body",
            _kind(document, member),
            name in required,
            member.get("description", "") or _resolved(document, member).get("description", ""),
        )
        for name, member in schema.get("properties", {}).items()
    ]


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name: str = schema["$ref"].rpartition("/")[2]
        return name
    if "anyOf" in schema or "oneOf" in schema:
        choices = schema.get("anyOf") or schema.get("oneOf") or ()
        return " or ".join(_kind(document, choice) for choice in choices)
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(document, schema.get('items', {}))}"
    if kind == "string" and schema.get("format") == "date-time":
        return "instant"
    if (
        kind == "string"
        and "pattern" in schema
        and r"\d" in schema["pattern"]
        and "[A-Z]" not in schema["pattern"]
    ):
        return "decimal as text"
    names = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return names.get(str(kind), str(kind))


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _paragraphs(text: str) -> tuple[str, ...]:
    return tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())
