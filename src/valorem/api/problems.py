"""Problems (RFC 9457): every refusal in one shape, naming the field and the way out, and nothing of our insides."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from valorem.api.strict_json import RefusedError, dotted
from valorem.api.wire import Answer
from valorem.core.catalog.problems import CatalogError
from valorem.core.errors import InvalidInputError, OverloadedError, UnauthorizedError, ValoremError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "https://valorem.dev/problems/"
log = logging.getLogger(__name__)


class CatalogProblem(Answer):
    """One thing to put right in a catalog file."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str


class Problem(Answer):
    """Why a request was refused, and what to do.

    Attributes:
        type: Names the kind of problem for programs; stable.
        title: Names it for people.
        status: The HTTP status.
        detail: What was wrong this time.
        field: Dotted path of the offending input, where there is one.
        hint: The way out, where the detail alone does not say.
        request_id: Quote it when asking for help; the server's log has it too.
        problems: For a catalog, everything that is wrong with it.
    """

    type: str
    title: str
    status: int
    detail: str
    field: str | None = None
    hint: str | None = None
    request_id: str
    problems: list[CatalogProblem] | None = None


def problem_response(
    request_id: str,
    *,
    status: int,
    code: str,
    detail: str,
    field: str | None = None,
    hint: str | None = None,
    headers: Mapping[str, str] | None = None,
    problems: list[dict[str, Any]] | None = None,
) -> Response:
    """Write one problem."""
    members: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "field": field,
        "hint": hint,
        "request_id": request_id,
    }
    if problems is not None:
        members["problems"] = problems
    body = msgspec.json.encode(
        {name: _sendable(value) for name, value in members.items() if value is not None}
    )
    return Response(body, status, dict(headers or {}), MEDIA_TYPE)


def error_response(request_id: str, error: ValoremError) -> Response:
    """Write one of our errors."""
    headers: dict[str, str] = {}
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = 'Bearer realm="valorem"'
    if error.status in {408, 413}:
        headers["Connection"] = "close"  # the rest of the body will not be read
    problems = None
    if isinstance(error, CatalogError):
        problems = [
            {name: getattr(found, name) for name in CatalogProblem.model_fields} for found in error.problems
        ]
    return problem_response(
        request_id,
        status=error.status,
        code=error.code,
        detail=error.message,
        field=error.field,
        hint=error.hint,
        headers=headers,
        problems=problems,
    )


def install_handlers(app: FastAPI) -> None:
    """Answer everything that goes wrong as a problem."""
    app.add_exception_handler(ValoremError, _ours)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(psycopg.OperationalError, _database)


def request_id_of(request: Request) -> str:
    """The id that the edge gave this request."""
    return str(request.scope.get("state", {}).get("request_id", ""))


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ValoremError)
    if error.status >= 500:
        log.warning("request %s: %s", request_id_of(request), error, exc_info=error.__cause__)
    return error_response(request_id_of(request), error)


async def _database(request: Request, error: Exception) -> Response:
    # Full disk, a deadlock's loser, a cancelled statement: nothing was committed, so the same request may come again.
    log.error("request %s: the database refused", request_id_of(request), exc_info=error)
    return error_response(request_id_of(request), OverloadedError("the database could not do it just now"))


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = [step for step in first["loc"] if step not in {"body", "query", "path", "header"}]
    context = first.get("ctx") or {}
    message = context["message"] if first["type"] == "invalid_input" else _said(first)
    others = len(error.errors()) - 1
    if others:
        message += f" (and {others} more)"
    return error_response(
        request_id_of(request),
        InvalidInputError(message, field=dotted(place), hint=context.get("hint") or _hint(first)),
    )


def _said(error: Mapping[str, Any]) -> str:
    context, given = error.get("ctx") or {}, error.get("input")
    if error["type"] in ("too_short", "string_too_short") and context.get("min_length") == 1:
        return "may not be empty"
    if error["type"] in ("too_long", "string_too_long") and isinstance(given, str):
        return f"has {len(given):,} characters, {context['max_length']:,} at most are kept"
    return _SHAPES.get(str(error["type"])) or _plainly(str(error["msg"]))


#: What is expected, where something of another kind was sent.
_SHAPES = {
    "model_attributes_type": "expects an object: {…}",
    "model_type": "expects an object: {…}",
    "dict_type": "expects an object: {…}",
    "list_type": "expects a list: […]",
    "tuple_type": "expects a list: […]",
}


def _plainly(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return {
        "Field required": "is missing",
        "Extra inputs are not permitted": "is not known here",
    }.get(message, message[:1].lower() + message[1:])


def _hint(error: Mapping[str, Any]) -> str | None:
    return {
        "missing": "send it",
        "extra_forbidden": "leave it out, or check its spelling in the reference",
        "json_invalid": "send a JSON object",
    }.get(str(error["type"]))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, RefusedError):
        return error_response(request_id_of(request), error.error)
    status = error.status_code
    code = HTTPStatus(status).phrase.lower().replace(" ", "_")
    detail, hint = str(error.detail), None
    if status == HTTPStatus.NOT_FOUND:
        detail, hint = "there is nothing at this address", "the paths are listed at /reference"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "")
        detail, hint = f"{request.method} is not possible here", f"use {allowed}" if allowed else None
    return problem_response(
        request_id_of(request), status=status, code=code, detail=detail, hint=hint, headers=error.headers
    )


def unforeseen_response(request_id: str, error: Exception) -> Response:
    """Answer for what should not have happened: the log gets all of it, the caller only the id to look for."""
    log.error("request %s failed", request_id, exc_info=error)
    return problem_response(
        request_id,
        status=500,
        code="internal_error",
        detail="something went wrong on our side; what was committed before is kept, this request was not",
        hint=f"look for request {request_id} in the server's log",
    )


def _sendable(value: Any) -> Any:
    """Text that may quote what was sent, made fit for UTF-8."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
