"""The server is killed in the middle of ingest, again and again: what it acknowledged is there, and once."""

import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.engine.ingesting import METERS
from tests.faults.victim import Senders, Victim, batches
from tests.forking import preloaded
from valorem.app import real_now
from valorem.engine.engine import Engine
from valorem.engine.meters import activate
from valorem.engine.recount import recount
from valorem.engine.workspaces import list_workspaces
from valorem.store.postgres import recorded
from valorem.store.postgres.database import Database

KILLS = 50


@pytest.mark.slow
def test_a1_a3_every_acknowledged_event_survives_the_server_and_counts_once(
    database_url: str, tmp_path: Path
) -> None:
    context = preloaded()
    chance = random.Random()
    acknowledged: set[bytes] = set()
    in_the_middle = 0
    for life in range(KILLS):
        victim = Victim.start(context, tmp_path, database_url)
        if life == 0:
            _measure(database_url)
        with Senders(victim, partial(batches, life)) as senders:
            time.sleep(chance.uniform(0.0, 0.25))
            victim.kill()
        acknowledged |= senders.acknowledged
        in_the_middle += any(set(batch) - senders.acknowledged for batch in batches(life, 0))
        assert senders.refused == []
    _wait_for_backends(database_url)
    database = Database(database_url)
    try:
        engine = Engine(database, real_now)
        workspace = list_workspaces(engine)[0].id
        with database.workspace(workspace) as connection:
            kept = Counter(line.raw for line in recorded.scan(connection, workspace))
            sequences = [
                row["seq"] for row in connection.execute("SELECT seq FROM event_batch ORDER BY part, seq")
            ]
        with engine.transaction(workspace, snapshot=True) as tx:
            assert recount(tx) == []
    finally:
        database.close()
    assert len(acknowledged) > 20 * KILLS
    assert in_the_middle > KILLS // 2
    assert set(kept.values()) == {1}
    assert acknowledged <= kept.keys()
    assert sequences == list(range(1, len(sequences) + 1))


def _measure(url: str) -> None:
    """Give the live workspace its meters."""
    database = Database(url)
    try:
        engine = Engine(database, real_now)
        with engine.transaction(list_workspaces(engine)[0].id) as tx:
            activate(tx, METERS)
    finally:
        database.close()


def _wait_for_backends(url: str) -> None:
    """Wait until the database has noticed every death: a commit may still be on its way."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for _ in range(200):
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'valorem%' AND state <> 'idle'"
                " AND datname = current_database()"
            ).fetchone()
            if row == (0,):
                return
            time.sleep(0.05)
    pytest.fail("a transaction of a dead server is still open after ten seconds")
