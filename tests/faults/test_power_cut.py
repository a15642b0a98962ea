"""The plug is pulled: what was never written through to the disk is gone, and everything acknowledged is there, once.

A killed process leaves its unwritten pages to the operating system; a power cut does not. So after killing PostgreSQL,
at random, every second page that it was never promised is put back to what the last checkpoint had written through, and
the log is wiped past the place up to which it had been flushed. Pages are cut in half at that, as disks do.
"""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.engine.ingesting import METERS, amend, event, void
from valorem.app import real_now
from valorem.core.errors import OverloadedError
from valorem.engine import ingest
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.meters import activate
from valorem.engine.recount import recount
from valorem.store.embedded import EmbeddedPostgres
from valorem.store.postgres import recorded, workspaces
from valorem.store.postgres.database import Database
from valorem.store.postgres.migrate import upgrade

#: A few for every run; `VALOREM_POWER_CUTS=200` for a night.
CUTS = int(os.environ.get("VALOREM_POWER_CUTS", "3"))
THREADS = 3
#: What a disk writes at once, half a page of PostgreSQL.
SECTOR = 4096
SEGMENT = 16 * 2**20
#: Everything that PostgreSQL puts right by replaying its log from the last checkpoint.
REPLAYED = ("base", "global", "pg_xact", "pg_multixact")
#: Acknowledges before the log is written through: what must not survive the test.
CARELESS = {"synchronous_commit": "off", "wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}


@dataclass
class Senders:
    """Threads that send until the database goes.

    Attributes:
        acknowledged: What was answered, as sent.
        sent: Whatever was sent.
    """

    ingestor: Ingestor
    workspace: int
    life: int
    acknowledged: set[bytes] = field(default_factory=set)
    sent: set[bytes] = field(default_factory=set)
    _enough: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, answers: int) -> None:
        """Begin; returns when so many events were acknowledged."""
        self._threads = [threading.Thread(target=self._send, args=(n, answers)) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()
        assert self._enough.wait(60)

    def join(self) -> None:
        """Wait for them to notice that the database is gone."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _send(self, thread: int, answers: int) -> None:
        chance = random.Random(f"{self.life}.{thread}")
        number = 0
        while True:
            raws = []
            for _ in range(chance.choice((1, 5, 30))):
                name, number = f"{self.life}.{thread}.{number}", number + 1
                raws.append(event(name, chance.randrange(100), subject=f"s{number % 5}", at=None))
                if number % 20 == 10:
                    raws.append(void(f"v{name}", name, at=real_now()))
                elif number % 20 == 15:
                    raws.append(amend(f"a{name}", name, at=real_now(), n=chance.randrange(9), model="large"))
            self.sent |= set(raws)
            try:
                items = self.ingestor.ingest(self.workspace, raws)
            except OverloadedError:
                return
            assert {item.status for item in items} <= {"accepted", "duplicate"}
            self.acknowledged |= set(raws)
            if len(self.acknowledged) >= answers:
                self._enough.set()


@contextmanager
def living(server: EmbeddedPostgres) -> Iterator[Engine]:
    """An engine for as long as the server lives; it does not wait long for one that does not come back."""
    database = Database(server.url, wait_s=0.2)
    try:
        yield Engine(database, real_now)
    finally:
        database.close()


def one_life(
    server: EmbeddedPostgres, workspace: int, life: int, chance: random.Random
) -> tuple[Senders, set[bytes]]:
    """Let events come until the power is cut; who sent them, and what had been acknowledged by then."""
    with living(server) as engine:
        senders = Senders(Ingestor(engine), workspace, life)
        acknowledged = pull_the_plug(server, senders, chance)
        senders.join()
        senders.ingestor.drain()
    return senders, acknowledged


def pull_the_plug(server: EmbeddedPostgres, senders: Senders, chance: random.Random) -> set[bytes]:
    """Write a checkpoint, let events come, then cut the power; returns what had been acknowledged by then."""
    with psycopg.connect(server.conninfo, autocommit=True) as admin:
        admin.execute("CHECKPOINT")
        redo = admin.execute("SELECT redo_lsn FROM pg_control_checkpoint()").fetchone()
        safe = {path: path.read_bytes() for path in replayed_files(server.home)}
        senders.start(answers=chance.randrange(200, 600))
        certain = set(senders.acknowledged)
        row = admin.execute("SELECT pg_current_wal_flush_lsn() - '0/0'::pg_lsn").fetchone()
        assert row is not None
        assert redo == admin.execute("SELECT redo_lsn FROM pg_control_checkpoint()").fetchone()
        children = psutil.Process(server.pid).children(recursive=True)
        for pid in (server.pid, *(child.pid for child in children)):
            os.kill(pid, signal.SIGKILL)
        psutil.wait_procs(children, timeout=60)
    server.stop()  # there is nothing left to stop: it gives the folder back
    lose_pages(server.home, safe, chance)
    lose_log(server.home / "pg_wal", int(row[0]), chance)
    return certain


def replayed_files(home: Path) -> list[Path]:
    """The files of tables, indexes and transactions."""
    return [
        path
        for folder in REPLAYED
        for path in sorted((home / folder).rglob("*"))
        if path.is_file() and path.name[0].isdigit()
    ]


def lose_pages(home: Path, safe: Mapping[Path, bytes], chance: random.Random) -> None:
    """Put about half of what has been written since back to what it was."""
    for path in replayed_files(home):
        before, after = safe.get(path, b""), bytearray(path.read_bytes())
        for start in range(0, len(after), SECTOR):
            was = before[start : start + SECTOR].ljust(SECTOR, b"\0")
            if after[start : start + SECTOR] != was and chance.randrange(2):
                after[start : start + SECTOR] = was
        with path.open("r+b") as file:
            file.write(after)


def lose_log(folder: Path, flushed: int, chance: random.Random) -> None:
    """Wipe the log past the place up to which it was written through, all but a sector here and there."""
    for path in folder.iterdir():
        if len(path.name) != 24 or not path.is_file():
            continue
        begins = (int(path.name[8:16], 16) * 256 + int(path.name[16:], 16)) * SEGMENT
        if not flushed - SEGMENT < begins <= flushed + SEGMENT:
            continue  # complete, or not begun
        with path.open("r+b") as file:
            for start in range(max(flushed - begins, 0), SEGMENT, SECTOR):
                if start < flushed - begins + SECTOR or chance.randrange(4):
                    file.seek(start)
                    file.write(bytes(min(SECTOR, SEGMENT - start)))


def stored(engine: Engine, workspace: int) -> Counter[bytes]:
    """Every event that is there, as sent, and how often."""
    with engine.database.workspace(workspace) as connection:
        return Counter(line.raw for line in recorded.scan(connection, workspace))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers give their requests back soon after the database is gone."""
    monkeypatch.setattr(ingest, "_PATIENCE_S", 0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a migrated database."""
    made = tmp_path_factory.mktemp("power")
    with EmbeddedPostgres(made) as server:
        upgrade(server.url)
    return made


@contextmanager
def powered(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedPostgres]:
    """The server of the folder, to be stopped in peace in the end."""
    server = EmbeddedPostgres(folder, settings=settings).start()
    try:
        yield server
    finally:
        server.stop()


def new_workspace(server: EmbeddedPostgres, name: str) -> int:
    """A workspace with every kind of meter."""
    with living(server) as engine:
        with engine.database.system() as connection:
            made = workspaces.create(connection, name=name, kind="live", clock_at=None, now=real_now())
        with engine.transaction(made.id) as tx:
            activate(tx, METERS)
    return made.id


@pytest.mark.slow
def test_a2_every_acknowledged_event_survives_a_power_cut_and_counts_once(folder: Path) -> None:
    chance = random.Random()
    certain: set[bytes] = set()
    uncertain: set[bytes] = set()
    with powered(folder) as server:
        workspace = new_workspace(server, "careful")
        for life in range(CUTS):
            senders, acknowledged = one_life(server, workspace, life, chance)
            certain |= acknowledged
            uncertain |= senders.sent - acknowledged
            server.start()  # recovers, on the same folder
            with living(server) as engine:
                kept = stored(engine, workspace)
                assert not certain - kept.keys()
                assert set(kept.values()) == {1}
        with living(server) as engine:
            ingestor = Ingestor(engine)
            again = ingestor.ingest(workspace, sorted(uncertain | certain))  # whoever is unsure sends again
            ingestor.drain()
            assert {item.status for item in again} <= {"accepted", "duplicate"}
            assert stored(engine, workspace) == Counter(uncertain | certain)
            with engine.transaction(workspace, snapshot=True) as tx:
                assert recount(tx) == []
                rows = tx.connection.execute("SELECT seq FROM event_batch ORDER BY part, seq").fetchall()
            assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(certain) > 200 * CUTS


@pytest.mark.slow
def test_a2_a_power_cut_finds_a_server_that_acknowledges_too_early(folder: Path) -> None:
    """The cut is one: a database that is told not to wait for the disk loses what it acknowledged."""
    with powered(folder, CARELESS) as server:
        workspace = new_workspace(server, "careless")
        _, acknowledged = one_life(server, workspace, 0, random.Random())
        server.start()
        with living(server) as engine:
            assert acknowledged - stored(engine, workspace).keys()
