"""What the OpenAPI document says beyond what the routes say by themselves."""

from collections.abc import Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from valorem.api.access import Needs
from valorem.api.events import SCOPE
from valorem.api.problems import MEDIA_TYPE, Problem

_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Your own key for this request; a repeat under it has its effect once.",
}
_EVENT = {
    "specversion": "1.0",
    "id": "call-8f14e45f",
    "source": "/gateway",
    "type": "llm.call",
    "subject": "acme",
    "time": "2026-03-05T14:30:00Z",
    "data": {"model": "gpt-5.4", "tokens": 1200},
}


def complete(document: dict[str, Any], routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """Add keys and scopes, the problems, the Idempotency-Key and the ingest path; take out what is not true."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _add_problem(schemas)
    components["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "An API key: `vl_live_…` or `vl_test_…`."}
    }
    document["paths"].setdefault("/v1/events", {})["post"] = _ingest()
    scopes = _scopes(routes)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _finish(operation, method, path, scopes)
    return document


def _finish(operation: dict[str, Any], method: str, path: str, scopes: dict[tuple[str, str], str]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    responses["4XX"] = _problem("Refused; the problem says why.")
    responses["5XX"] = _problem("Not done; with Retry-After where the same request may come again.")
    scope = operation.pop("x-scope", None) or scopes.get((method, path))
    if scope is not None:
        operation["x-scope"] = scope
        operation["security"] = [{"key": []}]
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
        if method in {"post", "patch"} and path not in {"/v1/events", "/v1/catalog/plan"}:
            operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)


def _scopes(routes: Sequence[BaseRoute]) -> dict[tuple[str, str], str]:
    """The scope each operation needs, read from its dependencies."""
    found: dict[tuple[str, str], str] = {}
    for route in routes:
        if isinstance(route, APIRoute):
            needed = [
                each.call.scope for each in route.dependant.dependencies if isinstance(each.call, Needs)
            ]
            found |= {
                (method.lower(), route.path_format): scope
                for method in route.methods or ()
                for scope in needed
            }
    return found


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _add_problem(schemas: dict[str, Any]) -> None:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(schema.pop("$defs", {}))
    schema["examples"] = [
        {
            "type": "https://valorem.dev/problems/not_found",
            "title": "Not found",
            "status": 404,
            "detail": "there is no customer 'acme'",
            "field": "customer",
            "request_id": "5f2b8c1d9e0a4b6c8d7e6f5a",
        }
    ]
    schemas["Problem"] = schema


def _ingest() -> dict[str, Any]:
    event = {
        "type": "object",
        "description": "A CloudEvents 1.0 event. The same `source` and `id` is the same event, however often it is sent.",
        "required": ["specversion", "id", "source", "type", "subject", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1, "maxLength": 255},
            "source": {"type": "string", "minLength": 1, "maxLength": 255},
            "type": {"type": "string", "minLength": 1, "maxLength": 255},
            "subject": {
                "type": "string",
                "description": "the customer's key or an alias; it need not exist yet",
            },
            "time": {
                "type": "string",
                "format": "date-time",
                "description": "the time of arrival where left out",
            },
            "sequence": {"type": "string", "description": "orders events of one instant"},
            "data": {"type": "object"},
        },
        "examples": [_EVENT],
    }
    item = {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"enum": ["accepted", "duplicate", "conflict", "rejected"]},
            "field": {"type": "string"},
            "reason": {"type": "string"},
            "hint": {"type": "string"},
        },
    }
    counts = {name: {"type": "integer"} for name in ("accepted", "duplicate", "conflict", "rejected")}
    answer = {
        "type": "object",
        "required": [*counts, "items"],
        "properties": {**counts, "items": {"type": "array", "items": item}},
        "examples": [
            {"accepted": 1, "duplicate": 0, "conflict": 0, "rejected": 0, "items": [{"status": "accepted"}]}
        ],
    }
    return {
        "tags": ["events"],
        "summary": "Ingest",
        "operationId": "ingest_events",
        "description": (
            "Record one event, a batch, or lines. When the answer returns, every accepted event is on disk and in every"
            " number. One bad event never spoils a batch: every event has its own item, in order. A single event that"
            " is rejected answers 400, one in conflict 409. Bodies may be gzip. On 429 or 503 nothing was accepted:"
            " send the same again. No Idempotency-Key is needed: the events' ids are their keys."
        ),
        "x-scope": SCOPE,
        "requestBody": {
            "required": True,
            "content": {
                "application/cloudevents+json": {"schema": event},
                "application/cloudevents-batch+json": {"schema": {"type": "array", "items": event}},
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/json": {"schema": {"oneOf": [event, {"type": "array", "items": event}]}},
            },
        },
        "responses": {
            "200": {
                "description": "What became of each event.",
                "content": {"application/json": {"schema": answer}},
            }
        },
    }
