"""What is known of each record of a source."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import LiteralString

import msgspec

from valorem.core.ids import identity
from valorem.core.sources.settling import Known
from valorem.store.postgres.database import Connection, Row

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_COLUMNS: LiteralString = (
    "event, key, version, digest, gone, live, changes, changed_at, subject, at, data, missed, polled"
)
_KEEP: LiteralString = f"""
INSERT INTO source_record (part, workspace, source, file, seen_run, {_COLUMNS})
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (part, workspace, source, event, key) DO UPDATE SET (file, seen_run, {_COLUMNS}) = ROW (
    coalesce(excluded.file, source_record.file), greatest(excluded.seen_run, source_record.seen_run), excluded.event, excluded.key, excluded.version, excluded.digest,
    excluded.gone, excluded.live, excluded.changes, excluded.changed_at, excluded.subject, excluded.at, excluded.data,
    excluded.missed, excluded.polled
)
"""


def part_of_record(workspace: int, source: str, key: str) -> int:
    """The part (0 to 255) in which a record's row lives."""
    return identity(workspace, source, key)[0]


def load(
    connection: Connection, workspace: int, source: str, keys: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Known]:
    """What is known of some keys, each by the event type of its rule and the key."""
    wanted = sorted(set(keys))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM source_record JOIN unnest(%s::smallint[], %s::text[], %s::text[])"
        " AS wanted (part, event, key) USING (part, event, key) WHERE workspace = %s AND source = %s",
        (
            [part_of_record(workspace, source, key) for _, key in wanted],
            [event for event, _ in wanted],
            [key for _, key in wanted],
            workspace,
            source,
        ),
    )
    return {(row["event"], row["key"]): _known(row) for row in rows}


def keep(
    connection: Connection,
    workspace: int,
    source: str,
    known: Sequence[Known],
    run: int,
    file: str | None = None,
) -> None:
    """Keep what is known from now on, found by a reading, in a file where it stood in one."""
    ordered = sorted(known, key=lambda one: (one.key, one.event))
    with connection.cursor() as cursor:
        cursor.executemany(
            _KEEP,
            [
                (
                    part_of_record(workspace, source, one.key), workspace, source, file, run, one.event, one.key, one.order,
                    one.digest, one.gone, one.live, one.changes, one.changed_at, one.subject, one.at,
                    _encode(one.data).decode(), one.missed, one.polled,
                )
                for one in ordered
            ],
        )  # fmt: skip


def note_missing(
    connection: Connection, workspace: int, source: str, run: int, *, file: str | None = None
) -> None:
    """Note which records that are not gone a reading of everything, or of a whole file, did not find."""
    connection.execute(
        "UPDATE source_record SET missed = missed + 1, seen_run = %s WHERE workspace = %s AND source = %s AND NOT gone"
        " AND seen_run < %s AND (%s::text IS NULL OR file = %s)",
        (run, workspace, source, run, file, file),
    )


def load_missing(
    connection: Connection, workspace: int, source: str, *, times: int, limit: int, file: str | None = None
) -> list[Known]:
    """Records that were not found so many times in a row."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM source_record WHERE workspace = %s AND source = %s AND NOT gone AND missed >= %s"
        " AND (%s::text IS NULL OR file = %s) ORDER BY key, event LIMIT %s",
        (workspace, source, times, file, file, limit),
    )
    return [_known(row) for row in rows]


def _known(row: Row) -> Known:
    members = dict(row)
    order, data = members.pop("version"), members.pop("data")
    return Known(**{**members, "order": order, "data": _decode(data)})
