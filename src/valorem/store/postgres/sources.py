"""Sources: their secrets, cursors and freshness, files, messages, and what could not be read of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec

from valorem.store.postgres.database import Connection

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class SourceState:
    """Where a source stands.

    Attributes:
        source: Its key.
        cursor: Where the next reading goes on.
        moves: How often the cursor has moved.
        runs: How many readings have begun.
        events: How many events it has brought.
        last_event_at: Greatest time of them.
        received_at: When a record or message last came.
        tried_at: When reading last began.
        read_at: When reading last came to the end.
        complete_until: Everything before this has been read.
        full_at: When everything was last read.
        failures: In a row.
        error: Of the last reading.
        hint: The way out.
        next_at: When it is read again (real time).
    """

    source: str
    cursor: Mapping[str, Any]
    moves: int = 0
    runs: int = 0
    events: int = 0
    last_event_at: datetime | None = None
    received_at: datetime | None = None
    tried_at: datetime | None = None
    read_at: datetime | None = None
    complete_until: datetime | None = None
    full_at: datetime | None = None
    failures: int = 0
    error: str | None = None
    hint: str | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that could not be taken.

    Attributes:
        id: Digest of the record.
        record: As it came, JSON.
        via: By which way.
        event: The rule that is for it.
        field: What is missing or wrong.
        reason: What it is.
        hint: The way out.
        attempts: How often it was tried.
        parked_at: Since when.
    """

    id: str
    record: bytes
    via: Literal["webhook", "poll"]
    event: str
    field: str | None
    reason: str
    hint: str | None
    attempts: int
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was taken, or refused.

    Attributes:
        name: In its folder.
        digest: SHA-256 (hex) of what was taken; empty where it was refused.
        rows: Records in it.
        refused: Why it was not taken.
        taken_at: When.
    """

    name: str
    digest: str
    rows: int
    refused: str | None
    taken_at: datetime


class CursorMovedError(Exception):
    """Somebody else has read this source meanwhile; nothing was written."""


def set_secret(connection: Connection, workspace: int, name: str, sealed: str, now: datetime) -> None:
    """Keep a sealed secret in place of the one before."""
    connection.execute(
        "INSERT INTO source_secret (workspace, name, sealed, set_at) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (workspace, name) DO UPDATE SET sealed = excluded.sealed, set_at = excluded.set_at",
        (workspace, name, sealed, now),
    )


def load_secrets(connection: Connection, workspace: int, names: Sequence[str]) -> dict[str, str]:
    """The sealed secrets of some names, those that there are."""
    rows = connection.execute(
        "SELECT name, sealed FROM source_secret WHERE workspace = %s AND name = ANY(%s)",
        (workspace, list(names)),
    )
    return {row["name"]: row["sealed"] for row in rows}


def load_sealed(connection: Connection, workspace: int) -> dict[str, str]:
    """Every sealed secret, by name."""
    rows = connection.execute(
        "SELECT name, sealed FROM source_secret WHERE workspace = %s ORDER BY name", (workspace,)
    )
    return {row["name"]: row["sealed"] for row in rows}


def reseal_secret(connection: Connection, workspace: int, name: str, before: str, sealed: str) -> bool:
    """Store a secret sealed anew, unless somebody set it meanwhile; whether that was done."""
    found = connection.execute(
        "UPDATE source_secret SET sealed = %s WHERE workspace = %s AND name = %s AND sealed = %s",
        (sealed, workspace, name, before),
    )
    return found.rowcount > 0


def list_secrets(connection: Connection, workspace: int) -> dict[str, datetime]:
    """When each secret was set, by name."""
    rows = connection.execute(
        "SELECT name, set_at FROM source_secret WHERE workspace = %s ORDER BY name", (workspace,)
    )
    return {row["name"]: row["set_at"] for row in rows}


def delete_secret(connection: Connection, workspace: int, name: str) -> bool:
    """Forget a secret; whether there was one."""
    return (
        connection.execute(
            "DELETE FROM source_secret WHERE workspace = %s AND name = %s", (workspace, name)
        ).rowcount
        > 0
    )


def load_states(connection: Connection, workspace: int) -> dict[str, SourceState]:
    """Where the sources stand, by key; one that was never heard of is missing."""
    rows = connection.execute(
        "SELECT source, cursor, moves, runs, events, last_event_at, received_at, tried_at, read_at, complete_until,"
        " full_at, failures, error, hint, next_at FROM source_state WHERE workspace = %s",
        (workspace,),
    )
    return {
        row["source"]: SourceState(**{**row, "cursor": msgspec.json.decode(row["cursor"])}) for row in rows
    }


def load_state(connection: Connection, workspace: int, source: str) -> SourceState:
    """Where one source stands; at its beginning where it was never heard of."""
    return load_states(connection, workspace).get(source) or SourceState(source, {})


def ensure(connection: Connection, workspace: int, source: str) -> None:
    """Make the row of a source."""
    connection.execute(
        "INSERT INTO source_state (workspace, source) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (workspace, source),
    )


def note_received(
    connection: Connection, workspace: int, source: str, now: datetime, events: int, latest: datetime | None
) -> None:
    """Note that records came, and how many events they gave."""
    connection.execute(
        "UPDATE source_state SET received_at = greatest(received_at, %s), events = events + %s,"
        " last_event_at = greatest(last_event_at, %s) WHERE workspace = %s AND source = %s",
        (now, events, latest, workspace, source),
    )


def move_cursor(
    connection: Connection, workspace: int, source: str, cursor: Mapping[str, Any], moves: int
) -> None:
    """Let the next reading go on elsewhere.

    Args:
        connection: In the transaction of the events the cursor stands after.
        workspace: The workspace's id.
        source: The source.
        cursor: Where.
        moves: How often it had moved when the reading began from it.

    Raises:
        CursorMovedError: If it has moved since.
    """
    done = connection.execute(
        "UPDATE source_state SET cursor = %s, moves = moves + 1 WHERE workspace = %s AND source = %s AND moves = %s",
        (_encode(cursor).decode(), workspace, source, moves),
    )
    if done.rowcount != 1:
        raise CursorMovedError


def note_tried(connection: Connection, workspace: int, source: str, now: datetime, next_at: datetime) -> int:
    """Note that a reading begins; its number."""
    ensure(connection, workspace, source)
    row = connection.execute(
        "UPDATE source_state SET tried_at = %s, next_at = %s, runs = runs + 1 WHERE workspace = %s AND source = %s"
        " RETURNING runs",
        (now, next_at, workspace, source),
    ).fetchone()
    assert row is not None  # made a moment ago
    return int(row["runs"])


def note_read(
    connection: Connection, workspace: int, source: str, now: datetime, since: datetime, *, full: bool
) -> None:
    """Note that a reading came to the end; everything before its beginning is known."""
    connection.execute(
        "UPDATE source_state SET read_at = %s, complete_until = greatest(complete_until, %s), failures = 0, error = NULL,"
        " hint = NULL, full_at = CASE WHEN %s THEN %s ELSE full_at END WHERE workspace = %s AND source = %s",
        (now, since, full, since, workspace, source),
    )


def note_failed(
    connection: Connection, workspace: int, source: str, error: str, hint: str | None, next_at: datetime
) -> None:
    """Note that a reading failed, and when it is tried again."""
    connection.execute(
        "UPDATE source_state SET failures = failures + 1, error = %s, hint = %s, next_at = %s"
        " WHERE workspace = %s AND source = %s",
        (error, hint, next_at, workspace, source),
    )


def park(connection: Connection, workspace: int, source: str, parked: Sequence[Parked]) -> None:
    """Keep records that could not be taken."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO source_parked AS known (workspace, source, id, record, via, event, field, reason, hint, attempts,"
            " parked_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s) ON CONFLICT (workspace, source, id)"
            " DO UPDATE SET event = excluded.event, field = excluded.field, reason = excluded.reason,"
            " hint = excluded.hint, attempts = known.attempts + 1",
            [
                (workspace, source, one.id, one.record.decode(), one.via, one.event, one.field, one.reason, one.hint,
                 one.parked_at)
                for one in parked
            ],
        )  # fmt: skip


def unpark(connection: Connection, workspace: int, source: str, ids: Sequence[str]) -> None:
    """Let go of records that were taken after all, or are given up."""
    connection.execute(
        "DELETE FROM source_parked WHERE workspace = %s AND source = %s AND id = ANY(%s)",
        (workspace, source, list(ids)),
    )


def load_parked(
    connection: Connection, workspace: int, source: str, *, after: str | None = None, limit: int = 50
) -> list[Parked]:
    """Parked records in order of their digests."""
    rows = connection.execute(
        "SELECT id, record, via, event, field, reason, hint, attempts, parked_at FROM source_parked"
        " WHERE workspace = %s AND source = %s AND (%s::text IS NULL OR id > %s) ORDER BY id LIMIT %s",
        (workspace, source, after, after, limit),
    )
    return [Parked(**{**row, "record": row["record"].encode()}) for row in rows]


def count_parked(connection: Connection, workspace: int) -> dict[str, int]:
    """How many records of each source are parked."""
    rows = connection.execute(
        "SELECT source, count(*) AS n FROM source_parked WHERE workspace = %s GROUP BY source", (workspace,)
    )
    return {row["source"]: row["n"] for row in rows}


def has_message(connection: Connection, workspace: int, source: str, digest: bytes) -> bool:
    """Whether a message came before."""
    found = connection.execute(
        "SELECT FROM source_message WHERE workspace = %s AND source = %s AND id = %s",
        (workspace, source, digest),
    ).fetchone()
    return found is not None


def keep_message(
    connection: Connection,
    workspace: int,
    source: str,
    digest: bytes,
    body: bytes,
    records: int,
    now: datetime,
) -> None:
    """Keep a message as it came."""
    connection.execute(
        "INSERT INTO source_message (workspace, source, id, body, records, received_at) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (workspace, source, digest, body, records, now),
    )


def forget_messages(connection: Connection, workspace: int, before: datetime) -> int:
    """Delete messages that came before an instant; how many."""
    return connection.execute(
        "DELETE FROM source_message WHERE workspace = %s AND received_at < %s", (workspace, before)
    ).rowcount


def keep_file(connection: Connection, workspace: int, source: str, file: SourceFile) -> None:
    """Note what became of a file; one that was taken stays taken when a later form of it is refused."""
    connection.execute(
        "INSERT INTO source_file AS known (workspace, source, name, digest, rows, refused, taken_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (workspace, source, name) DO UPDATE SET"
        " digest = CASE WHEN excluded.refused IS NULL THEN excluded.digest ELSE known.digest END,"
        " rows = CASE WHEN excluded.refused IS NULL THEN excluded.rows ELSE known.rows END,"
        " refused = excluded.refused, taken_at = excluded.taken_at",
        (workspace, source, file.name, file.digest, file.rows, file.refused, file.taken_at),
    )


def load_files(connection: Connection, workspace: int, source: str) -> list[SourceFile]:
    """Every file of a source, the newest first."""
    rows = connection.execute(
        "SELECT name, digest, rows, refused, taken_at FROM source_file WHERE workspace = %s AND source = %s"
        " ORDER BY taken_at DESC, name",
        (workspace, source),
    )
    return [SourceFile(**row) for row in rows]
