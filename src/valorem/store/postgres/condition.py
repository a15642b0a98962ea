"""What the server says about itself and its backlogs, whichever workspace they are of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

import psycopg
from psycopg.rows import dict_row

from valorem.store.postgres.database import Connection, Row, plain_url

_CONNECT_S = 5


@contextmanager
def looking(url: str) -> Iterator[Connection]:
    """A connection to look with, as the owner and outside any pool.

    Raises:
        psycopg.OperationalError: If there is no way to the server.
    """
    with psycopg.connect(plain_url(url), row_factory=dict_row, connect_timeout=_CONNECT_S) as connection:
        yield connection


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for a worker.

    Attributes:
        meters: To be recounted over what was recorded before them.
        recounts: Recorded batches these have still to read, together.
        exports: Recorded batches that are not in the warehouse yet.
        contracts: Due for longer than asked.
    """

    meters: int
    recounts: int
    exports: int
    contracts: int


def setting(connection: Connection, name: str) -> str:
    """The value of one of the server's settings."""
    return str(_one(connection, "SELECT current_setting(%s) AS value", (name,))["value"])


def clock(connection: Connection) -> datetime:
    """The server's own time, now."""
    at: datetime = _one(connection, "SELECT clock_timestamp() AS at")["at"]
    return at


def backlog(connection: Connection, now: datetime, *, overdue: timedelta) -> Backlog:
    """What waits for a worker.

    Args:
        connection: As the owner: every workspace counts.
        now: The real time; a sandbox's own clock goes before it.
        overdue: From when on a contract counts as due for long.
    """
    recounts = _one(
        connection,
        "SELECT count(*) AS meters, coalesce(sum(until_seq - done_seq), 0) AS batches FROM meter_backfill"
        " WHERE done_seq < until_seq",
    )
    exports = _one(
        connection,
        "SELECT coalesce(sum(c.seq - coalesce(w.seq, 0)), 0) AS batches FROM ingest_cursor c"
        " LEFT JOIN warehouse_cursor w USING (part, workspace)",
    )
    due = _one(
        connection,
        "SELECT count(*) AS contracts FROM contract c JOIN workspace w ON w.id = c.workspace"
        " WHERE c.next_at < coalesce(w.clock_at, %s) - %s",
        (now, overdue),
    )
    return Backlog(
        meters=recounts["meters"],
        recounts=int(recounts["batches"]),
        exports=int(exports["batches"]),
        contracts=due["contracts"],
    )


def signing_secrets(connection: Connection) -> list[str]:
    """The secrets of every active endpoint as stored, the rotated ones that are still valid too, and those of sources."""
    rows = connection.execute(
        "SELECT unnest(ARRAY[secret, old_secret]) AS secret FROM endpoint WHERE state = 'active'"
        " UNION ALL SELECT sealed FROM source_secret"
    )
    return [row["secret"] for row in rows if row["secret"] is not None]


def _one(connection: Connection, query: LiteralString, values: tuple[object, ...] = ()) -> Row:
    row = connection.execute(query, values).fetchone()
    assert row is not None  # an aggregate, and a SELECT without a table, has one row
    return row
