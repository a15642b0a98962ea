"""A database that is full, read-only or held up, and more events than can be written: said before anything is accepted."""

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.databases import TEMPLATE, Databases
from tests.engine.ingesting import event
from tests.faults.victim import Senders, Victim
from tests.forking import preloaded
from valorem.store.embedded import EmbeddedPostgres
from valorem.store.postgres.batches import unpack_lines


@contextmanager
def serving(folder: Path, url: str) -> Iterator[Victim]:
    """A server for the length of a block."""
    victim = Victim.start(preloaded(), folder, url)
    try:
        yield victim
    finally:
        victim.kill()


def recorded(url: str) -> list[bytes]:
    """Every event that is in the database."""
    with _connect(url) as connection:
        rows = connection.execute("SELECT raw FROM event_batch").fetchall()
    return [line for (raw,) in rows for line in unpack_lines(raw) if line]


def _connect(url: str) -> "psycopg.Connection[tuple[bytes]]":
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def batch(name: str, size: int) -> list[bytes]:
    return [event(f"{name}.{number}", at=None) for number in range(size)]


def test_a_read_only_database_takes_nothing_and_is_read_on(database_url: str, tmp_path: Path) -> None:
    with serving(tmp_path, database_url) as victim, _connect(database_url) as admin:
        assert victim.send(batch("before", 10))[0] == 200
        _set_read_only(admin, "on")
        status, answer, headers = victim.send(batch("meanwhile", 10))
        assert (status, answer["title"], headers["retry-after"]) == (503, "Overloaded", "1")
        assert "read-only" in str(answer["detail"])
        # Often enough that no connection is left of those that were ended.
        assert {victim.get("/v1/ready") for _ in range(10)} == {503}
        assert victim.get("/v1/customers") == 200
        _set_read_only(admin, "off")
        assert victim.send(batch("after", 10))[0] == 200
        assert {victim.get("/v1/ready") for _ in range(10)} >= {200}
    assert sorted(recorded(database_url)) == sorted(batch("before", 10) + batch("after", 10))


def _set_read_only(admin: "psycopg.Connection[tuple[bytes]]", state: str) -> None:
    """For every connection that is opened from now on; those that are open end."""
    admin.execute("SET default_transaction_read_only = off")
    admin.execute(f"ALTER DATABASE {admin.info.dbname} SET default_transaction_read_only = {state}".encode())
    admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name LIKE 'valorem%'"
    )


def test_a_full_disk_takes_nothing_and_goes_on_when_there_is_room(
    embedded_postgres: EmbeddedPostgres, embedded_databases: Databases, tmp_path: Path
) -> None:
    embedded_databases.make_template()
    with _small_disk(embedded_postgres) as disk, _database_on(embedded_postgres, disk) as url:
        with serving(tmp_path, url) as victim:
            acknowledged: list[bytes] = []
            for number in range(600):
                sent = batch(str(number), 500)
                status, answer, headers = victim.send(sent)
                if status != 200:
                    break
                acknowledged += sent
            assert (status, answer["title"], headers["retry-after"]) == (503, "Overloaded", "1")
            assert "No space left on device" in str(answer["detail"])
            assert sorted(recorded(url)) == sorted(acknowledged)
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            assert victim.send(sent)[0] == 200
        assert sorted(recorded(url)) == sorted(acknowledged + sent)


@contextmanager
def _small_disk(server: EmbeddedPostgres) -> Iterator[Path]:
    """A disk of its own, just large enough for an empty database, that the server's account owns."""
    disk = Path(tempfile.mkdtemp(prefix="valorem-disk-", dir="/tmp"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    try:
        if mounted.returncode != 0:
            pytest.skip("mounting a small disk needs rights that this account does not have")
        owner = server.home.stat()
        shutil.chown(disk, owner.st_uid, owner.st_gid)
        yield disk
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(disk)], check=True)
        shutil.rmtree(disk)


@contextmanager
def _database_on(server: EmbeddedPostgres, disk: Path) -> Iterator[str]:
    with psycopg.connect(server.conninfo_for("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE TABLESPACE small LOCATION '{disk}'".encode())
        try:
            admin.execute(f"CREATE DATABASE small TEMPLATE {TEMPLATE} TABLESPACE small")
            yield server.url_for("small")
        finally:
            admin.execute("DROP DATABASE IF EXISTS small WITH (FORCE)")
            admin.execute("DROP TABLESPACE small")


def test_overload_is_refused_before_anything_of_it_is_accepted(database_url: str, tmp_path: Path) -> None:
    """Ten times what may wait: while the database is held up, what is too much is refused at once."""
    senders_count, size = 10, 10_000

    def batches(number: int) -> Sequence[Sequence[bytes]]:
        return [[event(f"{number}.{i}", 1, at=None) for i in range(size)]]

    with serving(tmp_path, database_url) as victim, _connect(database_url) as holding:
        assert victim.send(batch("first", 1))[0] == 200
        holding.autocommit = False
        holding.execute("LOCK TABLE event_key IN EXCLUSIVE MODE")
        senders = Senders(victim, batches, threads=senders_count)
        refused_while_held: list[int] = []
        release = threading.Thread(target=_release, args=(holding, senders, refused_while_held))
        release.start()
        with senders:
            pass
        release.join()
    # Two transactions at work and fifty thousand events in the queue: seven requests at the most.
    assert 3 <= refused_while_held[0] == len(senders.refused) < senders_count
    assert set(senders.refused) == {(503, "1")}
    assert len(senders.acknowledged) == (senders_count - len(senders.refused)) * size
    assert sorted(recorded(database_url)) == sorted([*senders.acknowledged, *batch("first", 1)])


def _release(holding: "psycopg.Connection[tuple[bytes]]", senders: Senders, refused: list[int]) -> None:
    """Let the database go on once every request waits or has been refused."""
    for _ in range(600):
        if len(senders.refused) >= 3:
            break
        time.sleep(0.05)
    time.sleep(1.0)
    refused.append(len(senders.refused))
    holding.rollback()
