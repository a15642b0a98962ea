"""The HTTP page, from the OpenAPI description the server itself publishes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from docs.generating.markdown import markdown, page, table
from valorem.api.application import create_app
from valorem.api.events import Submits
from valorem.engine.engine import Engine
from valorem.store.postgres.database import Database

METHODS = ("get", "post", "put", "patch", "delete")


def http() -> str:
    """What a server would publish; describing itself needs neither a database nor somebody to take events."""
    engine = Engine(cast("Database", None), lambda: datetime.now(UTC))
    return http_page(create_app(engine, cast("Submits", None)).openapi())


def http_page(description: Mapping[str, Any]) -> str:
    """Every operation, in the order and under the tags of the description."""
    groups: dict[str, list[str]] = {}
    for path, operations in description["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                tag = next(iter(operation.get("tags", ())), "other")
                groups.setdefault(tag, []).append(_operation(method, path, operation))
    return page(
        "HTTP",
        "JSON, decimals as text, instants as RFC 3339 in UTC. Send `Authorization: Bearer vl_…`; every POST takes an "
        "`Idempotency-Key`, and a repeat with the same key and body gets the first answer. A refusal is a "
        "[problem](errors.md). The server publishes this as OpenAPI 3.1 at `/openapi.json`.",
        *(f"## {tag.capitalize()}\n\n" + "\n\n".join(told) for tag, told in groups.items()),
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    told = [
        f"### {method.upper()} {path}",
        markdown(operation.get("description") or operation.get("summary", "")),
    ]
    parameters = [
        (f"`{each['name']}`", each["in"], "yes" if each.get("required") else "", markdown(_meaning(each)))
        for each in operation.get("parameters", ())
    ]
    if parameters:
        told.append(table(("Parameter", "In", "Required", "Meaning"), parameters))
    bodies = operation.get("requestBody", {}).get("content", {})
    if bodies:
        told.append("Body: " + ", ".join(f"`{kind}`{_named(body)}" for kind, body in bodies.items()))
    answers = [
        f"{status}{_named(next(iter(answer.get('content', {}).values()), {}))}"
        for status, answer in operation.get("responses", {}).items()
    ]
    told.append("Answers: " + ", ".join(answers))
    return "\n\n".join(told)


def _meaning(parameter: Mapping[str, Any]) -> str:
    return str(parameter.get("description") or parameter.get("schema", {}).get("description") or "")


def _named(content: Mapping[str, Any]) -> str:
    """The name of a body's schema, where it has one."""
    reference = content.get("schema", {}).get("$ref", "")
    return f" {reference.rpartition('/')[2]}" if reference else ""
