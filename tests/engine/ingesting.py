"""What the tests of ingest share: a workspace with every aggregation, events, and the proof that counters are right."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from valorem.core.limits import Limits
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import Tally
from valorem.core.time import write_instant
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.meters import activate
from valorem.engine.recount import recount
from valorem.store.postgres import counters, workspaces
from valorem.store.postgres.database import Database

NOW = datetime(2026, 3, 5, 12, 7, tzinfo=UTC)
METERS = (
    Meter(meter="calls", event="call", aggregate="count", dimensions={"model": "data.model"}),
    Meter(meter="tokens", event="call", aggregate="sum", value="data.n", dimensions={"model": "data.model"}),
    Meter(meter="largest", event="call", aggregate="max", value="data.n"),
    Meter(
        meter="smallest", event="call", aggregate="min", value="data.n", dimensions={"model": "data.model"}
    ),
    Meter(meter="level", event="call", aggregate="latest", value="data.n"),
    Meter(meter="models", event="call", aggregate="unique", value="data.model"),
    Meter(meter="storage", event="call", aggregate="time_weighted_sum", value="data.n"),
    Meter(meter="mean", event="call", aggregate="average", value="data.n"),
)
_names = count(1)


@dataclass
class World:
    """One workspace of a database."""

    engine: Engine
    ingestor: Ingestor
    workspace: int
    clock: list[datetime]

    def ingest(self, *raws: bytes) -> list[str]:
        return [one.status for one in self.ingestor.ingest(self.workspace, raws)]

    def activate(self, *meters: Meter) -> None:
        with self.engine.transaction(self.workspace) as tx:
            activate(tx, meters)

    def read(self, revision: int, subject: str = "ada") -> dict[tuple[str | None, ...], Tally]:
        edges = [NOW - timedelta(days=60, minutes=7), NOW + timedelta(days=60, minutes=8)]
        with self.engine.transaction(self.workspace) as tx:
            found = counters.read(tx.connection, self.workspace, [subject], revision, edges)
        return {dimensions: tally for _, dimensions, tally in found}

    def count(self, subject: str = "ada") -> int:
        return sum(tally.n for tally in self.read(1, subject).values())

    def sequences(self) -> list[int]:
        with self.engine.transaction(self.workspace) as tx:
            return [
                row["seq"] for row in tx.connection.execute("SELECT seq FROM event_batch ORDER BY part, seq")
            ]

    def prove(self) -> None:
        """Live counters are what the recorded events give."""
        with self.engine.transaction(self.workspace, snapshot=True) as tx:
            assert recount(tx) == []


@contextmanager
def worlds(url: str, *, limits: Limits | None = None, writers: int = 2) -> Iterator["Worlds"]:
    """A database in which workspaces are made."""
    clock = [NOW]
    database = Database(url)
    engine = Engine(database, lambda: clock[0], limits or Limits())
    ingestor = Ingestor(engine, writers=writers)
    try:
        yield Worlds(engine, ingestor, clock)
    finally:
        ingestor.drain()
        database.close()


@dataclass
class Worlds:
    """Makes workspaces of one database."""

    engine: Engine
    ingestor: Ingestor
    clock: list[datetime]

    def new(self, meters: Sequence[Meter] = METERS) -> World:
        with self.engine.database.system() as connection:
            made = workspaces.create(
                connection, name=f"world-{next(_names)}", kind="live", clock_at=None, now=NOW
            )
        world = World(self.engine, self.ingestor, made.id, self.clock)
        if meters:
            world.activate(*meters)
        return world


def event(
    name: str,
    n: object = 1,
    *,
    model: str = "small",
    subject: str = "ada",
    source: str = "/app",
    at: datetime | None = NOW,
    **more: Any,
) -> bytes:
    sent = {
        "specversion": "1.0",
        "id": name,
        "source": source,
        "type": "call",
        "subject": subject,
        "data": {"n": n, "model": model},
        **more,
    }
    if at is not None:
        sent["time"] = write_instant(at)
    return json.dumps(sent).encode()


def void(name: str, target: str, *, at: datetime = NOW) -> bytes:
    return _correction("valorem.void", name, at, {"source": "/app", "id": target})


def amend(
    name: str, target: str, *, at: datetime = NOW, time: datetime | None = None, **data: object
) -> bytes:
    replacing: dict[str, object] = {"source": "/app", "id": target}
    if data:
        replacing["data"] = data
    if time is not None:
        replacing["time"] = write_instant(time)
    return _correction("valorem.amend", name, at, replacing)


def _correction(kind: str, name: str, at: datetime, data: dict[str, object]) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": "/fix",
            "type": kind,
            "time": write_instant(at),
            "data": data,
        }
    ).encode()
