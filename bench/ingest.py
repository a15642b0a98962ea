"""Events counted in a second, each by two meters, visible at the answer; beside bare PostgreSQL.

*Bare* replays the very statements and bytes of such a run on a fresh database with as many connections: nothing is
decoded, checked, hashed or added up. The ratio is what the engine costs over the database.
"""

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time, thread_time
from typing import Any
from unittest.mock import patch

from bench.frame import Fresh, Measurement, Size, percentile
from valorem.core.metering.meter import Meter
from valorem.engine import ingest, recording
from valorem.engine.counting import Counting
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.meters import activate
from valorem.store.postgres import counters, workspaces
from valorem.store.postgres import ingest as store
from valorem.store.postgres.database import Connection, Database

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
METERS = [
    Meter(meter="calls", event="llm.call", aggregate="count", dimensions={"model": "data.model"}),
    Meter(
        meter="tokens",
        event="llm.call",
        aggregate="sum",
        value="data.input_tokens + data.output_tokens",
        dimensions={"model": "data.model"},
    ),
]
CUSTOMERS = 200
WRITERS = 2
#: Events in a request, requests at a time, events in all.
CASES = ((1, 64, 8_000), (100, 8, 60_000), (1000, 4, 120_000))


def run(fresh: Fresh, _size: Size) -> Iterator[Measurement]:
    """Measure each batch size, then where the time of the largest goes."""
    for size, clients, total in CASES:
        sent = requests(size, total)
        replayed = replay(fresh(), statements(fresh(), sent, clients))
        took, computed, acks = _ingest(fresh(), sent, clients)
        yield Measurement(
            f"batch {size}, {clients} clients",
            {
                "events/s": total / took,
                "bare events/s": total / replayed,
                "ratio": replayed / took,
                "computing µs/event": computed / total * 1e6,
                "ack p50 ms": percentile(acks, 0.5) * 1000,
                "ack p99 ms": percentile(acks, 0.99) * 1000,
            },
        )
    yield from _phases(fresh(), requests(1000, 60_000))


def requests(size: int, total: int, now: datetime = NOW, prefix: str = "") -> list[list[bytes]]:
    """Events of the last ten minutes, cut into requests.

    Args:
        size: Events in a request.
        total: Events in all.
        now: The server's time.
        prefix: Of the ids, so that two calls make different events.
    """
    chance = random.Random(7)

    def event(number: int) -> bytes:
        time = now - timedelta(seconds=chance.randrange(600), microseconds=chance.randrange(10**6))
        return json.dumps(
            {
                "specversion": "1.0",
                "id": f"{prefix}{number:016x}",
                "source": "/gateway/eu-1",
                "type": "llm.call",
                "subject": f"customer-{chance.randrange(CUSTOMERS)}",
                "time": time.isoformat().replace("+00:00", "Z"),
                "data": {
                    "model": chance.choice(("gpt-5.4", "gpt-5.4-mini", "opus-5")),
                    "input_tokens": chance.randrange(1, 100_000),
                    "output_tokens": chance.randrange(1, 4_000),
                    "status": "ok",
                },
            }
        ).encode()

    return [[event(start + i) for i in range(size)] for start in range(0, total, size)]


def _engine(url: str, now: datetime = NOW) -> Engine:
    engine = Engine(Database(url), lambda: now)
    with engine.database.system() as connection:
        workspaces.create(connection, name="live", kind="live", clock_at=None, now=NOW)
    with engine.transaction(1) as tx:
        activate(tx, METERS)
    return engine


def _ingest(
    url: str, sent: list[list[bytes]], clients: int, writers: int = WRITERS, now: datetime = NOW
) -> tuple[float, float, list[float]]:
    """Seconds for everything, of this process computing, and for each answer."""
    engine = _engine(url, now)
    ingestor = Ingestor(engine, writers=writers)
    waiting = iter(sent)
    acks: list[float] = []

    async def client() -> None:
        for raws in waiting:
            began = perf_counter()
            results = await ingestor.submit(1, raws)
            acks.append(perf_counter() - began)
            assert all(one.status == "accepted" for one in results)

    async def together() -> None:
        await asyncio.gather(*(client() for _ in range(clients)))

    began, computed = perf_counter(), process_time()
    asyncio.run(together())
    took, computed = perf_counter() - began, process_time() - computed
    ingestor.drain()
    engine.database.close()
    return took, computed, acks


def statements(
    url: str, sent: list[list[bytes]], clients: int, now: datetime = NOW
) -> list[list[tuple[Any, Any, Any]]]:
    """The statements of every transaction of such a run, as (statement, values, options)."""
    transactions: list[list[tuple[Any, Any, Any]]] = []
    connect = store.connect

    def watched(to: str) -> Connection:
        connection = connect(to)
        execute = connection.execute

        def note(statement: Any, values: Any = None, **how: Any) -> Any:
            if "BEGIN" in str(statement):
                transactions.append([])
            else:
                transactions[-1].append((statement, values, how))
            return execute(statement, values, **how)

        connection.execute = note  # type: ignore[method-assign, assignment]
        return connection

    with patch.object(store, "connect", watched):
        _ingest(url, sent, clients, writers=1, now=now)
    return [one for one in transactions if len(one) >= 3]


def replay(url: str, transactions: list[list[tuple[Any, Any, Any]]]) -> float:
    """Seconds that a fresh database takes for these transactions, on as many connections as there are writers."""
    engine = _engine(url)
    engine.database.close()
    waiting = iter(transactions)
    lock = threading.Lock()

    def replay() -> None:
        connection = store.connect(url.replace("postgresql+psycopg://", "postgresql://"))
        while True:
            with lock:
                statements = next(waiting, None)
            if statements is None:
                break
            with store.transaction(connection, 1):
                for statement, values, how in statements:
                    connection.execute(statement, values, **how)
        connection.close()

    threads = [threading.Thread(target=replay) for _ in range(WRITERS)]
    began = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return perf_counter() - began


def _phases(url: str, sent: list[list[bytes]]) -> Iterator[Measurement]:
    """One writer, one client: where a batch's time goes, and how much of it is this process computing."""
    spent: dict[str, list[float]] = {}

    def timed(name: str, function: Any) -> Any:
        def measure(*args: Any, **kwargs: Any) -> Any:
            wall, cpu = perf_counter(), thread_time()
            result = function(*args, **kwargs)
            one = spent.setdefault(name, [0.0, 0.0])
            one[0] += perf_counter() - wall
            one[1] += thread_time() - cpu
            return result

        return measure

    def each(name: str, module: Any, function: str) -> Any:
        return patch.object(module, function, timed(name, getattr(module, function)))

    with (
        each("all", ingest.Writer, "write"),
        each("read events", recording, "prepare"),
        each("  decode", recording, "decode_event"),
        each("  fingerprint", recording, "fingerprint"),
        each("  identity", recording, "event_identity"),
        each("record", recording, "record"),
        each("  claim keys", store, "claim"),
        each("  add up", Counting, "count"),
        each("  write counters", counters, "add"),
        each("  pack raw", recording, "pack_lines"),
        each("  keep batch", store, "record"),
    ):
        _ingest(url, sent, clients=1, writers=1)
    events = sum(map(len, sent))
    for name, (wall, cpu) in spent.items():
        yield Measurement(name, {"µs/event": wall / events * 1e6, "computing µs/event": cpu / events * 1e6})
