"""What is acknowledged has been written through to the disk, not merely handed to the operating system."""

from pathlib import Path

import psycopg

from tests.engine.ingesting import event, void, worlds
from valorem.store.embedded import EmbeddedPostgres
from valorem.store.postgres.migrate import upgrade


def flushes(server: EmbeddedPostgres) -> int:
    """How often the server has written its log through to the disk, as its own statistics say."""
    with psycopg.connect(server.conninfo) as connection:
        row = connection.execute("SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'").fetchone()
        assert row is not None
        return int(row[0] or 0)


def test_a2_each_acknowledgement_follows_a_flush(tmp_path: Path) -> None:
    batches = 25
    with EmbeddedPostgres(tmp_path) as server:
        upgrade(server.url)
        before = flushes(server)
        with worlds(server.url, writers=1) as made:
            world = made.new()
            for number in range(batches):  # one after the other, so that none shares a commit
                sent = void(f"v{number}", f"{number - 1}") if number % 5 == 4 else event(f"{number}")
                assert world.ingest(sent) == ["accepted"]
        # A connection tells its counts when it ends, and the block above has ended them.
        assert flushes(server) - before >= batches
