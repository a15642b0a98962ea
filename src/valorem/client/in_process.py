"""A bridge from the waiting client to an ASGI application in the same process: its loop runs in a thread of its own."""

import contextlib
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal


class InProcessTransport(httpx.BaseTransport):
    """Hands requests to an application whose start-up and shutdown it runs.

    Args:
        app: The ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._asgi = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        self._started()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        request.read()
        return self._started().call(self._handle, request)

    def close(self) -> None:
        """Shut the application down and end its loop."""
        self._portal = None
        self._stack.close()

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        inner = httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
        response = await self._asgi.handle_async_request(inner)
        body = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=body, request=request)

    def _started(self) -> BlockingPortal:
        if self._portal is None:
            portal = self._stack.enter_context(start_blocking_portal("asyncio"))
            self._stack.enter_context(portal.wrap_async_context_manager(lifespan(self._app)))
            self._portal = portal
        return self._portal


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> Any:
    """Run an application's start-up, and its shutdown at the end.

    Raises:
        RuntimeError: If its start-up fails; the message is the application's own.
    """
    asked: list[str] = ["lifespan.startup"]
    shut_down = anyio.Event()
    answered = {"startup": anyio.Event(), "shutdown": anyio.Event()}
    failure: list[str] = []

    async def receive() -> dict[str, str]:
        if asked:
            return {"type": asked.pop()}
        await shut_down.wait()
        return {"type": "lifespan.shutdown"}

    async def send(message: dict[str, Any]) -> None:
        _, stage, outcome = message["type"].split(".")
        if outcome == "failed":
            failure.append(message.get("message", ""))
        answered[stage].set()

    async with anyio.create_task_group() as group:
        group.start_soon(app, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
        await answered["startup"].wait()
        if failure:
            raise RuntimeError(f"the application did not start: {failure[0]}")
        yield
        shut_down.set()
        await answered["shutdown"].wait()
