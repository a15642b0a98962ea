"""The loop that delivers: woken by the database as soon as a message is committed, and by the time."""

import asyncio
import logging
import random
import threading
from collections import Counter
from collections.abc import Mapping

import psycopg

from valorem.core.errors import OverloadedError
from valorem.engine.delivery import Leased, Outcome, Sender, settle, take
from valorem.engine.engine import Engine
from valorem.engine.workspaces import list_workspaces
from valorem.store.postgres.outbox import listening

log = logging.getLogger(__name__)
_PAUSE_S = 1.0
_LISTEN_S = 0.5


class Deliverer:
    """Delivers in a thread of its own until stopped.

    Args:
        engine: What the verbs work with.
        senders: By kind of endpoint; a kind without one waits.
    """

    def __init__(self, engine: Engine, senders: Mapping[str, Sender]) -> None:
        self._engine = engine
        self._senders = senders
        self._stopping = threading.Event()
        self._busy: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="valorem-deliver", daemon=True)
        self._ear = threading.Thread(target=self._listen, name="valorem-deliver-listen", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        self._ear.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End; what is on its way may be sent again by the next process. False if it went on longer."""
        self._stopping.set()
        self._nudge()
        for thread in (self._thread, self._ear):
            if thread.is_alive():
                thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.run(self._deliver())

    async def _deliver(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                await self._round()
            except (OverloadedError, psycopg.Error) as error:
                log.warning("delivery waits: %s", error)
            except Exception:  # a mistake in one round must not end delivery for ever
                log.exception("a round of delivery failed and will be tried again")
            try:
                await asyncio.wait_for(self._wake.wait(), _PAUSE_S)
            except TimeoutError:
                continue
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _round(self) -> None:
        for workspace in await asyncio.to_thread(list_workspaces, self._engine):
            for leased in await asyncio.to_thread(take, self._engine, workspace.id, dict(self._busy)):
                endpoint = leased.outgoing.endpoint.id
                self._busy[endpoint] += 1
                task = asyncio.create_task(self._send(leased))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _send(self, leased: Leased) -> None:
        endpoint = leased.outgoing.endpoint
        try:
            outcome = await self._outcome(leased)
            await asyncio.to_thread(settle, self._engine, leased, outcome, random.random())  # noqa: S311 - jitter
        except (OverloadedError, psycopg.Error) as error:
            log.warning("the outcome of a delivery was not noted, so it is sent again: %s", error)
        finally:
            self._busy[endpoint.id] -= 1
            if self._wake is not None:
                self._wake.set()

    async def _outcome(self, leased: Leased) -> Outcome:
        if leased.problem is not None:
            return Outcome(None, leased.problem)
        sender = self._senders.get(leased.outgoing.endpoint.kind)
        if sender is None:
            return Outcome(None, f"this server sends no {leased.outgoing.endpoint.kind}: it is not set up")
        try:
            return await sender.send(leased.outgoing, self._engine.real_now())
        except Exception as error:  # one receiver's trouble is its own, and goes into its log
            log.exception("sending to %s failed", leased.outgoing.endpoint.id)
            return Outcome(None, f"{type(error).__name__}: {error}")

    def _listen(self) -> None:
        """Wake the loop when the database says that a message was committed."""
        while not self._stopping.is_set():
            try:
                with listening(self._engine.database.url) as ear:
                    while not self._stopping.is_set():
                        if ear.hears(_LISTEN_S):
                            self._nudge()
            except psycopg.Error as error:
                log.warning("listening for messages failed, so they are looked for every second: %s", error)
                self._stopping.wait(_PAUSE_S)

    def _nudge(self) -> None:
        loop, wake = self._loop, self._wake
        if loop is not None and wake is not None and not loop.is_closed():
            loop.call_soon_threadsafe(wake.set)
