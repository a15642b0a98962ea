"""The client whose answers are awaited."""

import asyncio
import os
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from valorem.client.call import Call
from valorem.client.connection import RETRIED_ERRORS, Connection, read, should_repeat
from valorem.client.credit_methods import Amount
from valorem.client.errors import ConnectionFailedError
from valorem.client.methods import Methods
from valorem.client.retry import Backoff
from valorem.client.spending import AsyncHeldCredits
from valorem.client.tracking import RejectedHandler, TaskTracker, TrackingPolicy, log_rejected

T = TypeVar("T")


class AsyncClient(Methods):
    """The same as :class:`valorem.Client`, awaited.

    Args:
        url: Of the server; ``VALOREM_URL`` or the local default where left out.
        key: The API key; ``VALOREM_API_KEY`` where left out.
        app: An ASGI application to talk to without a network; start its lifespan yourself.
        timeout_s: For one try.
        retries: How often a request is tried again.
        spool: Folder in which :meth:`track` keeps what the server does not have yet; in memory alone where left out.
        source: The ``source`` of tracked events.
        tracking: How :meth:`track` buffers.
        on_rejected: Told of tracked events that the server refused for good; logs a warning where left out.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        app: Any = None,
        timeout_s: float = 30.0,
        retries: int = 4,
        spool: str | os.PathLike[str] | None = None,
        source: str | None = None,
        tracking: TrackingPolicy | None = None,
        on_rejected: RejectedHandler = log_rejected,
    ) -> None:
        self._connection = Connection(url, key, in_process=app is not None)
        self._backoff = Backoff(retries)
        self._http = httpx.AsyncClient(
            base_url=self._connection.url,
            headers=self._connection.headers(),
            timeout=timeout_s,
            transport=None if app is None else httpx.ASGITransport(app, raise_app_exceptions=False),
        )
        self._tracker = TaskTracker(
            self._post_lines, spool, source, tracking or TrackingPolicy(), on_rejected
        )

    async def acall(self, call: Call[T]) -> T:
        """Do a described call.

        Raises:
            ApiError: If the server refused.
            ConnectionFailedError: If it could not be reached, after every retry.
        """
        arguments, attempt = self._connection.arguments(call), 0
        while True:
            try:
                response = await self._http.request(**arguments)
            except RETRIED_ERRORS as error:
                pause_s = self._backoff.pause_s(attempt)
                if pause_s is None:
                    raise ConnectionFailedError(
                        f"{self._connection.url} cannot be reached: {error}"
                    ) from error
            else:
                pause_s = (
                    self._backoff.pause_s(attempt, response.headers) if should_repeat(response) else None
                )
                if pause_s is None:
                    return read(call, response)
            await asyncio.sleep(pause_s)
            attempt += 1

    def hold(
        self,
        customer: str,
        credit: str,
        amount: Amount,
        *,
        lasts_s: int = 600,
        id: str | None = None,  # noqa: A002 - the word users know
        work: Mapping[str, Any] | None = None,
    ) -> AsyncHeldCredits:
        """Hold credits for a piece of work: ``async with client.hold("acme", "ai", 100) as hold: hold.use(42)``.

        What is used is spent here, without asking the server, never more than is held and never after its time; on leaving
        it is settled, or released where nothing was used.

        Args:
            customer: Whose credits.
            credit: Of which type.
            amount: The most the work can cost.
            lasts_s: For how long.
            id: The hold's own id; made where left out.
            work: What it is for: ``meter``, ``product``, ``dimensions``, ``member``.

        Raises:
            NotEnoughCreditsError: On entering, if there are not enough.
        """
        return AsyncHeldCredits(self, customer, credit, amount, lasts_s=lasts_s, id=id, work=work)

    def track(
        self,
        type: str,  # noqa: A002 - CloudEvents calls it so
        subject: str,
        data: Mapping[str, Any],
        *,
        id: str | None = None,  # noqa: A002 - CloudEvents calls it so
        time: datetime | None = None,
        source: str | None = None,
    ) -> str:
        """Take an event and return at once; a task sends it. See :meth:`valorem.Client.track`."""
        return self._tracker.track(type, subject, data, id=id, time=time, source=source)

    async def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until the server has answered for everything tracked before; False if it had not in time."""
        return await self._tracker.flush(timeout_s)

    async def close(self) -> None:
        """Send what is left, for a few seconds at most, and let go; what the server does not have stays in the spool."""
        await self._tracker.close()
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _post_lines(self, lines: bytes) -> httpx.Response:
        return await self._http.post(
            "/v1/events", content=lines, headers={"Content-Type": "application/x-ndjson"}
        )
