"""The edge: what every request passes before anything reads it: its id, its size, its pace; and the counting."""

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from typing import ClassVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from valorem.api.metrics import Metrics
from valorem.api.problems import error_response, unforeseen_response
from valorem.core.errors import InvalidInputError, TooLargeError, ValoremError
from valorem.core.limits import Limits

#: A body that pauses longer than this, or takes longer than this in all, is given up.
IDLE_S = 10.0
WHOLE_S = 60.0
#: How much of a refused body is read away, so that its sender gets to read the answer.
_DRAIN_BYTES = 4 * 1024 * 1024
_DRAIN_S = 1.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
#: The one path whose body is read as it comes, by its own handler.
STREAMED = "/v1/events"


class RequestTimeoutError(ValoremError):
    """A body that did not arrive in time; nothing of it was taken."""

    code: ClassVar[str] = "request_timeout"
    status: ClassVar[int] = 408


class Edge:
    """ASGI middleware around the whole program.

    Args:
        app: What comes after.
        limits: For the size of bodies.
        metrics: Where requests are counted.
        idle_s: Longest pause between two pieces of a body.
        whole_s: Longest time for a whole body.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limits: Limits,
        metrics: Metrics,
        idle_s: float = IDLE_S,
        whole_s: float = WHOLE_S,
    ) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._idle_s = idle_s
        self._whole_s = whole_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status, begun = 500, False

        async def send_marked(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                    *(header for header in _SECURITY_HEADERS if header[0] not in present),
                ]
            await send(message)

        try:
            await self._pass_on(scope, receive, send_marked, request_id)
        except Exception as error:
            if begun:
                raise  # the answer is on its way already: all that is left is to break it off
            await unforeseen_response(request_id, error)(scope, receive, send_marked)
        finally:
            self._metrics.note_request(scope, status, time.perf_counter() - began)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        try:
            _check_address(scope)
            if scope["path"] == STREAMED and scope["method"] == "POST":
                scope["state"]["body"] = read_body(
                    scope, receive, self._limits.body_bytes, idle_s=self._idle_s, whole_s=self._whole_s
                )
                await self._app(scope, receive, send)
                return
            pieces = [
                piece
                async for piece in read_body(
                    scope, receive, self._limits.body_bytes, idle_s=self._idle_s, whole_s=self._whole_s
                )
            ]
        except ValoremError as error:
            await error_response(request_id, error)(scope, receive, send)
            return
        body = scope["state"]["body"] = b"".join(pieces)
        given = False

        async def receive_gathered() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_gathered, send)


async def read_body(
    scope: Scope, receive: Receive, most_bytes: int, *, idle_s: float = IDLE_S, whole_s: float = WHOLE_S
) -> AsyncIterator[bytes]:
    """A body in pieces, as it comes, within its limits; a sender without a declared length is counted.

    Raises:
        TooLargeError: As soon as it is known to be larger than ``most_bytes``.
        RequestTimeoutError: When it pauses or lasts too long.
        InvalidInputError: When it breaks off.
    """
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if declared.isdigit() and int(declared) > most_bytes:
        await _drain(receive)
        raise _too_large(most_bytes)
    size, deadline = 0, asyncio.get_running_loop().time() + whole_s
    while True:
        patience_s = min(idle_s, deadline - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(max(patience_s, 0.001)):
                message = await receive()
        except TimeoutError:
            raise RequestTimeoutError(
                f"the body did not arrive within {idle_s:.0f} s a piece and {whole_s:.0f} s in all",
                hint="send smaller batches, or compress them",
            ) from None
        if message["type"] == "http.disconnect":
            raise InvalidInputError("the body broke off", field="body")
        piece = message.get("body", b"")
        size += len(piece)
        if size > most_bytes:
            await _drain(receive)
            raise _too_large(most_bytes)
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def _drain(receive: Receive) -> None:
    """Read away a little of what will not be used: a sender that is still writing may never look at the answer."""
    left = _DRAIN_BYTES
    try:
        async with asyncio.timeout(_DRAIN_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return


def _too_large(most_bytes: int) -> TooLargeError:
    return TooLargeError(
        f"the body is larger than {most_bytes} bytes", field="body", hint="split it into several requests"
    )


def _check_address(scope: Scope) -> None:
    address = scope.get("raw_path", b"") + b"?" + scope.get("query_string", b"")
    if b"\0" in address or b"%00" in address:
        raise InvalidInputError("the address holds a NUL", field="path", hint="remove %00")
    if "\ufffd" in scope["path"] or any("\ud800" <= letter <= "\udfff" for letter in scope["path"]):
        raise InvalidInputError("the path is not UTF-8", field="path")


def _request_id(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
