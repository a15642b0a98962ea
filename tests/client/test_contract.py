"""The client and the API say the same: every path has a method, every answer's members a place to be read into."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast, get_args, get_origin

import msgspec

from valorem import client as client_package
from valorem.api.application import create_app
from valorem.api.events import Submits
from valorem.client import AsyncClient, Client
from valorem.client.call import Call, Method
from valorem.engine.engine import Engine
from valorem.store.postgres.database import Database

ARGUMENTS: dict[str, Any] = {
    "events": [],
    "lines": b"",
    "scopes": ["read"],
    "files": {},
    "version": 1,
    "before": 1,
    "after": 1,
    "line": 1,
    "changes": [],
}


def functions() -> Iterator[tuple[str, Any]]:
    """Every function that describes a call, of every module of them."""
    for found in pkgutil.iter_modules(client_package.__path__):
        if found.name == "methods" or found.name.endswith("_methods"):
            module = importlib.import_module(f"valorem.client.{found.name}")
            for name, function in vars(module).items():
                if inspect.isfunction(function) and function.__module__ == module.__name__:
                    yield name, function


def described() -> list[Call[Any]]:
    calls = []
    for name, function in functions():
        if not name.startswith("_"):
            needed = [
                each
                for each in inspect.signature(function).parameters.values()
                if each.default is inspect.Parameter.empty or each.name in {"message", "author"}
            ]
            positional = [
                ARGUMENTS.get(each.name, "x") for each in needed if each.kind is not each.KEYWORD_ONLY
            ]
            named = {each.name: "x" for each in needed if each.kind is each.KEYWORD_ONLY}
            calls.append(function(*positional, **named))
    return calls


def document() -> dict[str, Any]:
    engine = Engine(cast("Database", None), lambda: datetime.now(UTC))
    return create_app(engine, cast("Submits", None)).openapi()


def test_every_described_call_is_a_method_of_both_clients() -> None:
    names = {name for name, _ in functions() if not name.startswith("_")}
    for client in (Client, AsyncClient):
        assert {name for name in names if isinstance(inspect.getattr_static(client, name), Method)} == names


def test_every_path_has_a_call_and_every_call_a_path() -> None:
    paths = document()["paths"]
    offered = {
        (method.upper(), path)
        for path, operations in paths.items()
        for method in operations
        if path != "/metrics"
    }
    called = set()
    for call in described():
        pattern = next(
            (path for method, path in offered if method == call.method and _fits(call.path, path)), call.path
        )
        called.add((call.method, pattern))
    assert called == offered


def _fits(address: str, pattern: str) -> bool:
    parts, expected = address.split("/"), pattern.split("/")
    return len(parts) == len(expected) and all(
        want == part or (want.startswith("{") and part in {"x", "1"})
        for part, want in zip(parts, expected, strict=True)
    )


def test_every_member_that_is_answered_is_read() -> None:
    found = document()
    for call in described():
        pattern = next(
            path
            for path in found["paths"]
            if _fits(call.path, path) and call.method.lower() in found["paths"][path]
        )
        responses = found["paths"][pattern][call.method.lower()]["responses"]
        success = next(answer for status, answer in responses.items() if status.startswith("2"))
        schema = success.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            assert call.returns in (type(None), bytes)
        elif call.path != "/v1/catalog/schema":
            _same_members(found, schema, call.returns, f"{call.method} {pattern}")


def _same_members(found: dict[str, Any], schema: dict[str, Any], read_as: Any, where: str) -> None:
    schema = _resolved(found, schema)
    origin = get_origin(read_as)
    if origin is list:
        _same_members(found, schema["items"], get_args(read_as)[0], where)
        return
    if not (inspect.isclass(origin or read_as) and issubclass(origin or read_as, msgspec.Struct)):
        return
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(read_as)}
    if "properties" not in schema:  # one of several answers: the client reads the members of all of them
        members: dict[str, Any] = {}
        for choice in schema.get("anyOf", schema.get("oneOf", ())):
            members |= _resolved(found, choice)["properties"]
        assert set(fields) == set(members), where
        return
    assert set(fields) == set(schema["properties"]), where
    for name, kind in fields.items():
        member = schema["properties"][name]
        choices = [choice for choice in member.get("anyOf", [member]) if choice.get("type") != "null"]
        kinds = [one for one in get_args(kind) if one is not type(None)] if _is_optional(kind) else [kind]
        nullable = any(choice.get("type") == "null" for choice in member.get("anyOf", ()))
        assert nullable <= (_is_optional(kind) or kind is Any), f"{where}: {name} may be null"
        if len(choices) == 1 and len(kinds) == 1:
            _same_members(found, choices[0], kinds[0], f"{where}: {name}")


def _is_optional(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _resolved(found: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = found["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema
