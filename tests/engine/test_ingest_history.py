"""History: events of any age under a source of their own, whose ids are known for ever."""

from datetime import timedelta

import pytest

from tests.engine.ingesting import NOW, World, event, void, worlds
from valorem.store.postgres.ingest import forget_keys

LONG_AGO = NOW - timedelta(days=900)


@pytest.fixture
def world(database_url):
    with worlds(database_url) as made:
        yield made.new()


def total(world: World, days: int) -> int:
    with world.engine.transaction(world.workspace) as tx:
        row = tx.connection.execute(
            "SELECT coalesce(sum(n), 0) AS n FROM counter WHERE revision = 1 AND bucket < %s",
            (NOW - timedelta(days=days),),
        ).fetchone()
    assert row is not None
    return int(row["n"])


def test_an_old_event_is_taken_from_a_source_of_history_alone(world: World) -> None:
    old = event("a", at=LONG_AGO)
    history = event("a", at=LONG_AGO, source="backfill:2023")
    assert world.ingest(old, history) == ["rejected", "accepted"]
    assert total(world, 800) == 1
    world.prove()


def test_what_was_imported_is_known_for_ever(world: World) -> None:
    history = event("a", at=LONG_AGO, source="backfill:2023")
    live = event("b")
    assert world.ingest(history) == ["accepted"]
    assert world.ingest(live) == ["accepted"]
    with world.engine.database.system() as connection:
        assert forget_keys(connection, (NOW + timedelta(days=3650)).date()) == 1
    world.clock[0] = NOW + timedelta(days=30)
    assert world.ingest(history) == ["duplicate"]
    assert world.ingest(event("a", 2, at=LONG_AGO, source="backfill:2023")) == ["conflict"]
    assert total(world, 800) == 1


def test_history_is_corrected_like_everything_else(world: World) -> None:
    world.ingest(event("a", at=LONG_AGO, source="backfill:2023"))
    assert world.ingest(void("v", "a").replace(b'"/app"', b'"backfill:2023"')) == ["accepted"]
    assert total(world, 800) == 0
    world.prove()


def test_history_does_not_come_from_the_future(world: World) -> None:
    assert world.ingest(event("a", at=NOW + timedelta(days=1), source="backfill:2023")) == ["rejected"]
