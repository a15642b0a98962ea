"""Ingest with group commit: requests that come in while a transaction runs share the next one.

There is no artificial wait: the running commit is the window in which the next batch gathers.
"""

import asyncio
import logging
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import datetime
from itertools import count
from time import monotonic
from typing import Any, TypeAlias

import psycopg
from psycopg.errors import (
    DeadlockDetected,
    DiskFull,
    ReadOnlySqlTransaction,
    SerializationFailure,
    UniqueViolation,
)

from valorem.core.errors import InvalidInputError, OverloadedError
from valorem.engine import recording
from valorem.engine.admission import Admission
from valorem.engine.audit import Deed, record
from valorem.engine.engine import Engine
from valorem.engine.meters import Meters, load_meters
from valorem.engine.recording import Candidate, RecordedBeforeError
from valorem.engine.results import CONFLICT, ItemResult, RefusedError
from valorem.store.postgres import ingest as store
from valorem.store.postgres import meters as meter_store
from valorem.store.postgres import workspaces
from valorem.store.postgres.database import Connection
from valorem.store.postgres.ingest import MetersChangedError

_log = logging.getLogger(__name__)

Raws: TypeAlias = Sequence[bytes | InvalidInputError]
#: Writes what must be committed together with events, once it is known what became of each.
Beside: TypeAlias = Callable[[Connection, Sequence[ItemResult]], None]
#: How long a writer tries to reach a database that went away before it gives its requests back.
_PATIENCE_S = 10.0
_PAUSE_S = 0.05
#: A second transaction beside one that commits is worth its cost for this many events, or after this long.
_WORTH_EVENTS = 250
_TOGETHER_S = 0.02
#: Of events that an entry of the audit log is about.
_MOST_NAMED = 20
_AWAY = "the database is not available; send the same events again, none will count twice"


class _Request:
    """Events that wait for one answer."""

    __slots__ = ("future", "loop", "raws", "workspace")

    def __init__(self, workspace: int, raws: Raws) -> None:
        self.workspace = workspace
        self.raws = raws
        self.loop: asyncio.AbstractEventLoop | None = None
        self.future: asyncio.Future[list[ItemResult]] | Future[list[ItemResult]]


_Answer: TypeAlias = "tuple[_Request, list[ItemResult] | BaseException]"


class Ingestor:
    """Takes events from any number of requests and commits them together, a workspace at a time.

    Args:
        engine: The database, clock and limits.
        writers: Threads, each with a connection of its own.
        queue_events: Most events that may wait; more are refused before they are looked at.
        commit_events: Events after which a transaction is closed to further requests.
    """

    def __init__(
        self, engine: Engine, *, writers: int = 2, queue_events: int = 50_000, commit_events: int = 2_000
    ) -> None:
        self._engine = engine
        self._queue_events = queue_events
        self._commit_events = commit_events
        self._waiting: OrderedDict[int, deque[_Request]] = OrderedDict()
        self._events = 0
        self._writing = 0
        self._closing = False
        self._changed = threading.Condition()
        self._writers = [
            threading.Thread(target=self._run, name=f"ingest-{number}", daemon=True)
            for number in range(writers)
        ]
        for writer in self._writers:
            writer.start()

    @property
    def busy(self) -> bool:
        """Whether events are being written, or wait for it."""
        return self._writing > 0 or self._events > 0

    async def submit(self, workspace: int, raws: Raws) -> list[ItemResult]:
        """Count events exactly once; returns when they are committed and visible everywhere.

        Args:
            workspace: The workspace's id.
            raws: Each event as received, or the error of a place in the batch that holds none.

        Returns:
            A result for each event, in order. One bad event never spoils the others.

        Raises:
            OverloadedError: When too much waits already, the engine is shutting down or the database is away. Sending the
                same events again is always safe.
            NotFoundError: If there is no such workspace.
        """
        request = _Request(workspace, raws)
        request.loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ItemResult]] = request.loop.create_future()
        request.future = answer
        self._enqueue(request)
        return await answer

    def ingest(self, workspace: int, raws: Raws) -> list[ItemResult]:
        """The same as :meth:`submit` for a thread that may block."""
        request = _Request(workspace, raws)
        answer: Future[list[ItemResult]] = Future()
        request.future = answer
        self._enqueue(request)
        return answer.result()

    def drain(self, timeout_s: float = 10.0) -> None:
        """Refuse what comes from now on, commit what waits, and stop; what is left after the timeout is refused."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        deadline = monotonic() + timeout_s
        for writer in self._writers:
            writer.join(max(0.0, deadline - monotonic()))
        with self._changed:
            left = [request for requests in self._waiting.values() for request in requests]
            self._waiting.clear()
            self._events = 0
        _answer([(request, OverloadedError("the engine is shutting down")) for request in left])

    def _enqueue(self, request: _Request) -> None:
        with self._changed:
            if self._closing:
                raise OverloadedError("the engine is shutting down")
            if self._events and self._events + len(request.raws) > self._queue_events:
                raise OverloadedError(f"{self._events} events are waiting to be written")
            self._events += len(request.raws)
            self._waiting.setdefault(request.workspace, deque()).append(request)
            self._changed.notify()

    def _take(self) -> list[_Request]:
        """The next requests to share a transaction, all of one workspace; none when it is time to stop."""
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return []
                self._changed.wait()
            if self._writing and self._events < _WORTH_EVENTS and not self._closing:
                # Few events share the next transaction with those that come while another commits.
                self._changed.wait_for(
                    lambda: not self._writing or self._events >= _WORTH_EVENTS, _TOGETHER_S
                )
                if not self._waiting:
                    return self._take()
            workspace, requests = self._waiting.popitem(last=False)
            taken = [requests.popleft()]
            events = len(taken[0].raws)
            while requests and events + len(requests[0].raws) <= self._commit_events:
                taken.append(requests.popleft())
                events += len(taken[-1].raws)
            if requests:
                self._waiting[workspace] = requests  # to the end: every workspace gets its turn
            self._events -= events
            self._writing += 1
            return taken

    def _run(self) -> None:
        writer = Writer(self._engine)
        try:
            while requests := self._take():
                try:
                    answers = self._commit(writer, requests)
                finally:
                    with self._changed:
                        self._writing -= 1
                        self._changed.notify()
                _answer(answers)
        finally:
            writer.close()

    def _commit(self, writer: "Writer", requests: list[_Request]) -> list[_Answer]:
        """Commit requests together; if something unforeseen breaks that, each by itself."""
        try:
            results = writer.write(
                requests[0].workspace, [raw for request in requests for raw in request.raws]
            )
        except OverloadedError as error:
            return [(request, error) for request in requests]
        except Exception as error:  # noqa: BLE001 - it is handed to the one request that it belongs to
            if len(requests) == 1:
                return [(requests[0], error)]
            return [answer for request in requests for answer in self._commit(writer, [request])]
        answers: list[_Answer] = []
        start = 0
        for request in requests:
            end = start + len(request.raws)
            answers.append((request, results[start:end]))
            start = end
        return answers


class Batch:
    """What one transaction is to write, and what its last attempt answered if it got as far as its commit."""

    __slots__ = ("beside", "id", "raws", "results", "workspace")

    def __init__(self, workspace: int, raws: Raws, beside: Beside | None = None) -> None:
        self.workspace = workspace
        self.raws = raws
        self.beside = beside
        self.id = secrets.randbits(63)
        self.results: list[ItemResult] = []


class Writer:
    """One connection and what it knows of each workspace."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: Connection | None = None
        self._meters: dict[int, Meters] = {}
        self._live: set[int] = set()
        self._admission = Admission(engine.limits)

    def close(self) -> None:
        """Close the connection; the next write opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def write(self, workspace: int, raws: Raws, beside: Beside | None = None) -> list[ItemResult]:
        """Write one batch in one transaction, again and again until it is clear what became of it.

        Args:
            workspace: The workspace's id.
            raws: Each event as received.
            beside: Writes more in the same transaction, also where no event is new. It may be called again when an
                answer was lost, and must then leave what it left before.

        Raises:
            OverloadedError: When the database stays away.
        """
        batch = Batch(workspace, raws, beside)
        deadline = monotonic() + _PATIENCE_S
        while not self._is_written(batch):
            if self._open is None:
                if monotonic() > deadline:
                    raise OverloadedError(_AWAY)
                threading.Event().wait(_PAUSE_S)
        return batch.results

    def _is_written(self, batch: Batch) -> bool:
        """Attempt to write; False when it is to be done again."""
        try:
            self._attempt(batch)
        except RecordedBeforeError:
            return True
        except MetersChangedError:
            self._meters.pop(batch.workspace, None)
        except UniqueViolation as error:
            if error.diag.table_name != "event_batch":
                raise
            batch.id = secrets.randbits(63)
        except (DeadlockDetected, SerializationFailure):
            return False
        except (DiskFull, ReadOnlySqlTransaction) as error:
            self.close()
            raise OverloadedError(f"the database takes no writes: {error.diag.message_primary}") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            _log.warning("writing events failed and is tried again: %s", error)
            self.close()
        else:
            return True
        return False

    def _attempt(self, batch: Batch) -> None:
        workspace, connection = batch.workspace, self._connection()
        now = self._now(connection, workspace)
        prepared = self._prepare(connection, workspace, batch.raws, now)
        prepared = self._admitted(connection, workspace, prepared)
        while not self._is_settled(connection, batch, now, prepared):
            pass

    def _is_settled(
        self, connection: Connection, batch: Batch, now: datetime, prepared: list[Candidate | ItemResult]
    ) -> bool:
        """Write what is prepared; False when some of it was refused, which is noted in its place."""
        candidates = [one for one in prepared if isinstance(one, Candidate)]
        if not candidates and batch.beside is None:
            batch.results = [one for one in prepared if isinstance(one, ItemResult)]
            return True
        meters, limits = self._meters[batch.workspace], self._engine.limits
        try:
            with store.transaction(connection, batch.workspace):
                settled = (
                    recording.record(connection, batch.workspace, now, meters, batch.id, candidates, limits)
                    if candidates
                    else []
                )
                results = iter(settled)
                batch.results = [next(results) if isinstance(one, Candidate) else one for one in prepared]
                if batch.beside is not None:
                    batch.beside(connection, batch.results)
                self._note_conflicts(connection, batch.workspace, candidates, settled)
        except RefusedError as error:
            prepared[:] = [
                error.refused.get(one.key, one) if isinstance(one, Candidate) else one for one in prepared
            ]
            return False
        return True

    def _note_conflicts(
        self,
        connection: Connection,
        workspace: int,
        candidates: Sequence[Candidate],
        settled: Sequence[ItemResult],
    ) -> None:
        """Write to the audit log which events tried to be another than the one of their source and id."""
        if CONFLICT not in settled:
            return
        found = [one.event for one, result in zip(candidates, settled, strict=True) if result is CONFLICT]
        named = [{"source": one.source, "id": one.id, "subject": one.subject} for one in found[:_MOST_NAMED]]
        deed = Deed("ingest", "events.conflict", f"{len(found)} refused", after={"events": named})
        record(connection, workspace, deed, self._engine.real_now())

    def _admitted(
        self, connection: Connection, workspace: int, prepared: list[Candidate | ItemResult]
    ) -> list[Candidate | ItemResult]:
        """The same, with what the workspace's own past refuses."""
        candidates = [one for one in prepared if isinstance(one, Candidate)]
        meters = self._meters[workspace]
        if self._admission.is_sure(workspace, meters, candidates):
            return prepared
        with store.transaction(connection, workspace):
            refused = self._admission.refused(connection, workspace, meters, candidates)
        places = count()
        return [refused.get(next(places), one) if isinstance(one, Candidate) else one for one in prepared]

    def _connection(self) -> Connection:
        if self._open is None or self._open.closed:
            self._open = store.connect(self._engine.database.url)
        return self._open

    def _now(self, connection: Connection, workspace: int) -> datetime:
        """The workspace's time. Real time needs no look-up once the workspace is known to be live."""
        if workspace not in self._live:
            with store.transaction(connection, workspace):
                found = workspaces.load(connection, workspace)
            if found.clock_at is not None:
                return found.clock_at
            self._live.add(workspace)
        return self._engine.real_now()

    def _prepare(
        self, connection: Connection, workspace: int, raws: Raws, now: datetime
    ) -> list[Candidate | ItemResult]:
        limits = self._engine.limits
        known = self._meters.get(workspace)
        if known is not None:
            prepared = recording.prepare(workspace, raws, now, known, limits)
            # Before an event is refused, make sure that it is not for a meter that has been mended meanwhile.
            if all(isinstance(one, Candidate) for one in prepared) or self._is_current(
                connection, workspace, known
            ):
                return prepared
        with store.transaction(connection, workspace):
            meters = self._meters[workspace] = load_meters(connection, workspace, limits)
        return recording.prepare(workspace, raws, now, meters, limits)

    @staticmethod
    def _is_current(connection: Connection, workspace: int, meters: Meters) -> bool:
        with store.transaction(connection, workspace):
            return meter_store.epoch(connection, workspace) == meters.epoch


def _answer(answers: Sequence[_Answer]) -> None:
    """Wake the requests, each event loop once for all of its own."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
    for request, outcome in answers:
        if request.loop is None:
            _settle(request.future, outcome)
        else:
            by_loop.setdefault(request.loop, []).append((request, outcome))
    for loop, mine in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle_all, mine)


def _settle_all(answers: Sequence[_Answer]) -> None:
    for request, outcome in answers:
        if not request.future.done():  # whoever asked may have gone
            _settle(request.future, outcome)


def _settle(future: Any, outcome: list[ItemResult] | BaseException) -> None:
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
