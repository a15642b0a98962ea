"""The engine is killed in the middle of ingest, again and again: what was acknowledged is there, and once."""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter

import psycopg
import pytest

from tests.engine.ingesting import worlds
from tests.faults.victim import live, raws
from valorem.store.postgres import recorded

KILLS = 50


@pytest.mark.slow
def test_every_acknowledged_event_survives_the_process_and_counts_once(database_url: str) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.victim"])
    chance = random.Random()
    acknowledged: set[bytes] = set()
    interrupted = 0
    with worlds(database_url) as made:
        world = made.new()
        for life in range(KILLS):
            mine, theirs = context.Pipe(duplex=False)
            victim = context.Process(target=live, args=(database_url, world.workspace, life, theirs))
            victim.start()
            theirs.close()
            assert mine.recv_bytes() == b""
            time.sleep(chance.uniform(0.005, 0.4))
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            victim.join()
            assert victim.exitcode == -signal.SIGKILL
            interrupted += _collect(mine, acknowledged)
        _wait_for_backends(made.engine.database.url)
        with world.engine.transaction(world.workspace, snapshot=True) as tx:
            kept = Counter(line.raw for line in recorded.scan(tx.connection, world.workspace))
        assert acknowledged
        assert interrupted > KILLS // 2
        assert set(kept.values()) == {1}
        assert acknowledged <= kept.keys()
        sequences = world.sequences()
        assert sequences == list(range(1, len(sequences) + 1))
        world.prove()


def _collect(acks: "multiprocessing.connection.Connection", acknowledged: set[bytes]) -> bool:
    """Read what a dead process had acknowledged; whether it had acknowledged anything."""
    any_ = False
    sent: dict[tuple[int, int], list[bytes]] = {}
    try:
        while True:
            life, thread, start, end = map(int, acks.recv_bytes().split())
            if (life, thread) not in sent:
                sent[life, thread] = raws(life, thread)
            acknowledged.update(sent[life, thread][start:end])
            any_ = True
    except (EOFError, OSError):  # it was killed while it wrote
        acks.close()
    return any_


def _wait_for_backends(url: str) -> None:
    """Wait until the server has noticed every death: a commit may still be on its way."""
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(200):
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'valorem%' AND state <> 'idle'"
                " AND datname = current_database()"
            ).fetchone()
            if row == (0,):
                return
            time.sleep(0.05)
    pytest.fail("a transaction of a dead process is still open after ten seconds")
