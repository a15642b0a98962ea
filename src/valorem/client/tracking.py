"""``track()``: events are taken at once and sent in batches behind the caller's back, until the server has them.

:class:`Outbox` decides everything and does no waiting; :class:`ThreadTracker` and :class:`TaskTracker` wait and send.
"""

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import time as clock
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec

from valorem.client.call import written_instant
from valorem.client.errors import ApiError
from valorem.client.retry import Backoff
from valorem.client.spool import Memory, Spool, Waiting
from valorem.client.values import EventResult, EventResults

log = logging.getLogger("valorem.client")
RejectedHandler = Callable[[dict[str, Any], EventResult], None]
_encode = msgspec.json.Encoder().encode
_read_results = msgspec.json.Decoder(EventResults).decode


@dataclass(frozen=True, slots=True)
class TrackingPolicy:
    """How tracked events are buffered and sent.

    Attributes:
        batch_events: Most events in one request.
        flush_interval_s: Longest time an event waits for others; also how often the spool is forced to disk, so a power
            cut loses at most the events of this interval.
        buffer_events: Most events in memory, where there is no spool; a killed process loses at most these.
        spool_bytes: Most bytes in the spool.
        segment_bytes: Size of one file of the spool.
        close_timeout_s: How long ``close`` goes on sending.
    """

    batch_events: int = 500
    flush_interval_s: float = 0.2
    buffer_events: int = 100_000
    spool_bytes: int = 1024**3
    segment_bytes: int = 4 * 1024**2
    close_timeout_s: float = 5.0


def log_rejected(event: dict[str, Any], result: EventResult) -> None:
    """Log an event that the server refused for good."""
    log.warning(
        "event %s was %s: %s %s", event.get("id"), result.status, result.field or "", result.reason or ""
    )


class Outbox:
    """What waits, what goes next, and what an answer means. Thread-safe; never waits.

    Args:
        spool: Folder of the spool; in memory where None.
        source: Of events that name none.
        policy: Sizes and times.
        on_rejected: Told of events that were refused for good.
    """

    def __init__(
        self,
        spool: str | os.PathLike[str] | None,
        source: str | None,
        policy: TrackingPolicy,
        on_rejected: RejectedHandler,
    ) -> None:
        self._waiting: Waiting = (
            Memory(policy.buffer_events)
            if spool is None
            else Spool(Path(spool), most_bytes=policy.spool_bytes, segment_bytes=policy.segment_bytes)
        )
        self._source = source or f"/valorem-client/{os.uname().nodename if hasattr(os, 'uname') else 'host'}"
        self._policy = policy
        self._on_rejected = on_rejected
        self._backoff = Backoff(first_s=policy.flush_interval_s, most_s=15.0)
        self._lock = threading.Lock()
        self._taken = self._waiting.count()  # since the beginning, what the spool already held included
        self._settled = 0
        self._failures = 0
        self._batch_events = policy.batch_events

    @property
    def taken(self) -> int:
        """How many events were ever taken."""
        return self._taken

    @property
    def settled(self) -> int:
        """For how many of them the server has answered."""
        return self._settled

    def is_full_batch(self) -> bool:
        """Whether a batch need not wait for more events."""
        return self._waiting.count() >= self._policy.batch_events

    def take(
        self,
        type: str,  # noqa: A002 - CloudEvents calls it so
        subject: str,
        data: Mapping[str, Any],
        *,
        id: str | None,  # noqa: A002 - CloudEvents calls it so
        time: datetime | None,
        source: str | None,
    ) -> str:
        """Take one event."""
        event = {
            "specversion": "1.0",
            "id": id or uuid.uuid4().hex,
            "source": source or self._source,
            "type": type,
            "subject": subject,
            "time": written_instant(time or datetime.now(UTC)),
            "data": data,
        }
        line = _encode(event)
        with self._lock:
            self._waiting.append(line)
            self._taken += 1
        return str(event["id"])

    def next_batch(self) -> list[bytes]:
        """The events to send next; empty where none wait. They wait until :meth:`settle` says otherwise."""
        with self._lock:
            return self._waiting.peek(self._batch_events)

    def sync(self) -> None:
        """Force the spool to disk."""
        with self._lock:
            self._waiting.sync()

    def settle(self, batch: list[bytes], outcome: httpx.Response | Exception) -> float:
        """Note what came of a batch.

        Returns:
            How long to wait before the next: 0 after an answer, a growing pause after a failure.
        """
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            self._done(batch, _read_results(outcome.content).items)
            self._failures = 0
            self._batch_events = min(self._batch_events * 2, self._policy.batch_events)
            return 0.0
        if (
            isinstance(outcome, httpx.Response)
            and outcome.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        ):
            if len(batch) == 1:
                self._done(batch, [EventResult("rejected", reason="larger than the server accepts")])
            self._batch_events = max(1, len(batch) // 2)
            return 0.0
        headers = outcome.headers if isinstance(outcome, httpx.Response) else None
        pause_s = self._backoff.spread_s(self._failures, headers)
        if self._failures == 0:
            why = outcome
            if isinstance(outcome, httpx.Response):
                why = ApiError(outcome.status_code, outcome.content, outcome.headers.get("x-request-id"))
            log.warning("tracked events wait, the server did not take them: %s", why)
        self._failures += 1
        return pause_s

    def close(self) -> None:
        """Let go of the spool's files."""
        with self._lock:
            if left := self._waiting.count():
                log.warning("%d tracked events are not with the server yet", left)
            self._waiting.close()

    def _done(self, batch: list[bytes], results: list[EventResult]) -> None:
        with self._lock:
            self._waiting.drop(len(batch))
            self._settled += len(batch)
        for line, result in zip(batch, results, strict=True):
            if result.status in {"rejected", "conflict"}:
                try:
                    self._on_rejected(_readable(line), result)
                except Exception:  # the caller's own code must not end the sending
                    log.exception("on_rejected failed")


def _readable(line: bytes) -> dict[str, Any]:
    try:
        event: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"damaged": line.decode(errors="replace")}
    return event


class ThreadTracker:
    """Sends from a thread, which starts with the first event, or at once where the spool holds some."""

    def __init__(
        self,
        post: Callable[[bytes], httpx.Response],
        spool: str | os.PathLike[str] | None,
        source: str | None,
        policy: TrackingPolicy,
        on_rejected: RejectedHandler,
    ) -> None:
        self._post = post
        self._policy = policy
        self._make: Callable[[], Outbox] = lambda: Outbox(spool, source, policy, on_rejected)
        self._outbox: Outbox | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._answered = threading.Condition()
        self._start_lock = threading.Lock()
        if spool is not None and any(Path(spool).glob("*.ndjson")):
            self._started()

    def track(self, type: str, subject: str, data: Mapping[str, Any], **rest: Any) -> str:  # noqa: A002
        """Take an event."""
        outbox = self._outbox or self._started()
        taken = outbox.take(type, subject, data, **rest)
        if outbox.is_full_batch():
            self._wake.set()
        return taken

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until everything taken so far is settled."""
        outbox = self._outbox
        if outbox is None:
            return True
        target = outbox.taken
        self._wake.set()
        with self._answered:
            return self._answered.wait_for(lambda: outbox.settled >= target, timeout_s)

    def close(self) -> None:
        """Send what is left for a moment, then end the thread."""
        atexit.unregister(self.close)
        if self._outbox is None or self._closing.is_set():
            return
        self.flush(self._policy.close_timeout_s)
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(self._policy.close_timeout_s)
        self._outbox.close()

    def _started(self) -> Outbox:
        with self._start_lock:
            if self._closing.is_set():
                raise RuntimeError("this client is closed")
            if self._outbox is None:
                outbox = self._make()
                self._thread = threading.Thread(
                    target=self._run, args=(outbox,), name="valorem-track", daemon=True
                )
                self._thread.start()
                atexit.register(self.close)
                self._outbox = outbox
            return self._outbox

    def _run(self, outbox: Outbox) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._policy.flush_interval_s)
            self._wake.clear()
            outbox.sync()
            while (batch := outbox.next_batch()) and not self._closing.is_set():
                outcome: httpx.Response | Exception
                try:
                    outcome = self._post(b"\n".join(batch))
                except (
                    httpx.HTTPError,
                    RuntimeError,
                ) as error:  # RuntimeError: the client was closed meanwhile
                    outcome = error
                pause_s = outbox.settle(batch, outcome)
                with self._answered:
                    self._answered.notify_all()
                self._pause(outbox, pause_s)

    def _pause(self, outbox: Outbox, pause_s: float) -> None:
        """Wait after a failure, but go on forcing the spool to disk."""
        until = clock.monotonic() + pause_s
        while (left_s := until - clock.monotonic()) > 0:
            if self._closing.wait(min(left_s, self._policy.flush_interval_s)):
                return
            outbox.sync()


class TaskTracker:
    """Sends from a task of the running loop, which starts with the first event."""

    def __init__(
        self,
        post: Callable[[bytes], Awaitable[httpx.Response]],
        spool: str | os.PathLike[str] | None,
        source: str | None,
        policy: TrackingPolicy,
        on_rejected: RejectedHandler,
    ) -> None:
        self._post = post
        self._policy = policy
        self._make: Callable[[], Outbox] = lambda: Outbox(spool, source, policy, on_rejected)
        self._outbox: Outbox | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._answered = asyncio.Condition()
        self._closed = False

    def track(self, type: str, subject: str, data: Mapping[str, Any], **rest: Any) -> str:  # noqa: A002
        """Take an event."""
        outbox = self._outbox or self._started()
        taken = outbox.take(type, subject, data, **rest)
        if outbox.is_full_batch():
            self._wake.set()
        return taken

    async def flush(self, timeout_s: float | None) -> bool:
        """Wait until everything taken so far is settled."""
        outbox = self._outbox
        if outbox is None:
            return True
        target = outbox.taken
        self._wake.set()
        try:
            async with asyncio.timeout(timeout_s), self._answered:
                await self._answered.wait_for(lambda: outbox.settled >= target)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Send what is left for a moment, then end the task."""
        if self._outbox is None or self._closed:
            return
        await self.flush(self._policy.close_timeout_s)
        self._closed = True
        self._wake.set()
        if self._task is not None:
            _, unfinished = await asyncio.wait({self._task}, timeout=self._policy.close_timeout_s)
            for task in unfinished:  # in the middle of a request that takes too long
                task.cancel()
            await asyncio.wait({self._task})
        self._outbox.close()

    def _started(self) -> Outbox:
        if self._closed:
            raise RuntimeError("this client is closed")
        if self._outbox is None:
            self._outbox = self._make()
            self._task = asyncio.get_running_loop().create_task(self._run(self._outbox), name="valorem-track")
        return self._outbox

    async def _run(self, outbox: Outbox) -> None:
        while not self._closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._policy.flush_interval_s):
                    await self._wake.wait()
            self._wake.clear()
            await asyncio.to_thread(outbox.sync)
            while (batch := outbox.next_batch()) and not self._closed:
                outcome: httpx.Response | Exception
                try:
                    outcome = await self._post(b"\n".join(batch))
                except httpx.HTTPError as error:
                    outcome = error
                pause_s = outbox.settle(batch, outcome)
                async with self._answered:
                    self._answered.notify_all()
                until = clock.monotonic() + pause_s
                while (left_s := until - clock.monotonic()) > 0 and not self._closed:
                    await asyncio.sleep(min(left_s, self._policy.flush_interval_s))
                    await asyncio.to_thread(outbox.sync)
