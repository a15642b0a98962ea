"""The statements of the ingest transaction: claim keys, settle the ones already known, record the batch.

Lock order, the same in every transaction: event keys, then known event keys, then backfills, then counters, then the
part group's cursor; each statement sorted by key.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import LiteralString, TypeAlias

import psycopg
from psycopg.errors import NotNullViolation
from psycopg.rows import dict_row

from valorem.store.postgres import packed
from valorem.store.postgres.database import Connection

#: The part group every batch belongs to on a single server.
GROUP = 0

_CLAIM: LiteralString = """
INSERT INTO event_key (part, key, workspace, fingerprint, batch_part, batch, place, received_on)
SELECT get_byte(uuid_send(key), 0), key, %b, fingerprint, 0, %b, place, %b
FROM unnest(%b, %b, %b) AS claimed (key, fingerprint, place)
ON CONFLICT DO NOTHING RETURNING place
"""
_CLAIM_WITH_TARGETS: LiteralString = """
INSERT INTO event_key (part, key, workspace, fingerprint, batch_part, batch, place, received_on)
SELECT get_byte(uuid_send(key), 0), key, %b, CASE WHEN place >= 0 THEN fingerprint END,
       CASE WHEN place >= 0 THEN 0 END, CASE WHEN place >= 0 THEN %b END, CASE WHEN place >= 0 THEN place END, %b
FROM unnest(%b, %b, %b) AS claimed (key, fingerprint, place)
ON CONFLICT DO NOTHING RETURNING coalesce(place, -1), key
"""
_FIND: LiteralString = """
SELECT key.key, key.fingerprint, key.batch, key.place
FROM unnest(%s) AS wanted (key) JOIN event_key AS key ON key.part = get_byte(uuid_send(wanted.key), 0) AND key.key = wanted.key
ORDER BY key.part, key.key
"""
_FILL: LiteralString = """
UPDATE event_key AS key SET fingerprint = wanted.fingerprint, batch_part = 0, batch = %b, place = wanted.place
FROM unnest(%b, %b, %b) AS wanted (key, fingerprint, place)
WHERE key.part = get_byte(uuid_send(wanted.key), 0) AND key.key = wanted.key
"""
# A sequence of null, when the meters have changed since the batch was read, fails the statement: the whole transaction
# is then redone with the new meters, and the check costs no round trip of its own.
_RECORD: LiteralString = """
WITH cursor AS (
    INSERT INTO ingest_cursor AS known (part, workspace, seq) VALUES (0, %b, 1)
    ON CONFLICT (part, workspace) DO UPDATE SET seq = known.seq + 1
    RETURNING seq, meter_epoch
)
INSERT INTO event_batch (part, workspace, seq, id, received_at, events, earliest, latest, subjects, types, raw)
SELECT 0, %b, CASE WHEN meter_epoch = %b THEN seq END, %b, %b, %b, %b, %b, %b, %s, %b FROM cursor
RETURNING seq
"""
_FORGET: LiteralString = """
WITH gone AS (
    DELETE FROM event_key WHERE received_on < %s AND fingerprint IS NOT NULL
    RETURNING part, workspace, received_on, key
), kept AS (
    INSERT INTO forgotten_key AS known (part, workspace, received_on, keys)
    SELECT part, workspace, received_on, string_agg(substring(uuid_send(key) FROM 2 FOR 8), ''::bytea)
    FROM gone GROUP BY part, workspace, received_on ORDER BY part, workspace, received_on
    ON CONFLICT (part, workspace, received_on) DO UPDATE SET keys = known.keys || excluded.keys
)
SELECT count(*) AS n FROM gone
"""
_FORGOTTEN: LiteralString = """
SELECT wanted.key FROM unnest(%(keys)s) AS wanted (key)
WHERE EXISTS (
    SELECT FROM forgotten_key AS known
    WHERE known.part = get_byte(uuid_send(wanted.key), 0) AND known.workspace = %(workspace)s
      AND position(substring(uuid_send(wanted.key) FROM 2 FOR 8) IN known.keys) > 0
)
"""
_BEGIN = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL ROLE valorem_app; SET LOCAL valorem.workspace = '{}'"
)


class MetersChangedError(Exception):
    """The meters changed since the batch was read by them; nothing was recorded. Read it again by the new ones."""


#: One event's claim to its key, sorting by it: the identity's bytes, the payload's fingerprint, and the line in the batch,
#: counted from 0; the line ``-1`` claims a placeholder for the unknown target of a correction.
Claim: TypeAlias = tuple[bytes, int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """A key that was there before; ``fingerprint`` is None while only corrections of the event are known."""

    key: bytes
    fingerprint: int | None
    batch: int | None
    place: int | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What is kept of one transaction's events.

    Attributes:
        id: Made by the app before the transaction.
        received_at: The time of events that were sent without one.
        events: How many lines ``raw`` has.
        earliest: Least time of the events, and of what amends give their targets.
        latest: Greatest, likewise.
        subjects: Their short hashes, sorted.
        types: Their types, sorted.
        raw: The packed lines.
    """

    id: int
    received_at: datetime
    events: int
    earliest: datetime
    latest: datetime
    subjects: Sequence[int]
    types: Sequence[str]
    raw: bytes


def connect(url: str) -> Connection:
    """Open a connection of a writer's own; its few statements are prepared at once."""
    return psycopg.connect(
        url,
        row_factory=dict_row,
        application_name="valorem ingest",
        options="-c timezone=UTC -c jit=off",
        prepare_threshold=0,
        autocommit=True,
    )


@contextmanager
def transaction(connection: Connection, workspace: int) -> Iterator[None]:
    """One transaction that sees and writes only this workspace's rows, begun in one round trip.

    It is READ COMMITTED: corrections rely on seeing what they waited for.
    """
    connection.execute(_BEGIN.format(workspace).encode(), prepare=False)
    try:
        yield
    except BaseException:
        if not connection.closed:
            connection.rollback()
        raise
    connection.commit()


def claim(
    connection: Connection, workspace: int, batch: int, received_on: date, claims: Sequence[Claim]
) -> tuple[set[int], set[bytes]]:
    """Insert the keys that are not there yet.

    Args:
        connection: In the ingest transaction.
        workspace: The workspace's id.
        batch: The batch's id.
        received_on: The workspace's date.
        claims: Distinct keys, sorted.

    Returns:
        The places claimed, and the keys of placeholders that were made.
    """
    keys, fingerprints, lines = zip(*claims, strict=True)
    values = (
        workspace,
        batch,
        received_on,
        packed.uuids(keys),
        packed.bigints(fingerprints),
        packed.integers(lines),
    )
    places: set[int] = set()
    if min(lines) >= 0:
        found = connection.execute(_CLAIM, values, binary=True).pgresult
        assert found is not None
        if found.ntuples == len(claims):
            return set(lines), set()
        for number in range(found.ntuples):
            places.add(int.from_bytes(found.get_value(number, 0) or b"", "big"))
        return places, set()
    placeholders: set[bytes] = set()
    for row in connection.execute(_CLAIM_WITH_TARGETS, values, binary=True):
        if row["coalesce"] >= 0:
            places.add(row["coalesce"])
        else:
            placeholders.add(row["key"].bytes)
    return places, placeholders


def find(connection: Connection, keys: Sequence[bytes], *, lock: bool = False) -> dict[bytes, Known]:
    """The keys that are known, by key; ``lock`` keeps them as they are until the transaction ends."""
    rows = connection.execute(_FIND + " FOR UPDATE OF key" if lock else _FIND, (packed.uuids(sorted(keys)),))
    return {
        row["key"].bytes: Known(row["key"].bytes, row["fingerprint"], row["batch"], row["place"])
        for row in rows
    }


def fill(connection: Connection, batch: int, claims: Sequence[Claim]) -> None:
    """Turn locked placeholders into the keys of the events that have now arrived."""
    connection.execute(
        _FILL,
        (
            batch,
            packed.uuids([key for key, _, _ in claims]),
            packed.bigints([fingerprint for _, fingerprint, _ in claims]),
            packed.integers([place for _, _, place in claims]),
        ),
    )


def record(connection: Connection, workspace: int, meter_epoch: int, batch: Batch) -> int:
    """Keep the batch under the next sequence of its part group, which stays locked until the transaction ends.

    Committed sequences are therefore without gaps and in order of commit.

    Raises:
        MetersChangedError: If the meters are not of ``meter_epoch`` any more.
    """
    try:
        row = connection.execute(
            _RECORD,
            (
                workspace,
                workspace,
                meter_epoch,
                batch.id,
                batch.received_at,
                batch.events,
                batch.earliest,
                batch.latest,
                packed.integers(batch.subjects),
                list(batch.types),
                batch.raw,
            ),
        ).fetchone()
    except NotNullViolation as error:
        if error.diag.column_name != "seq":
            raise
        raise MetersChangedError from error
    assert row is not None
    return int(row["seq"])


def committed(connection: Connection, workspace: int) -> int:
    """The greatest committed sequence: the cut-off of everything recorded so far."""
    row = connection.execute(
        "SELECT seq FROM ingest_cursor WHERE part = %s AND workspace = %s", (GROUP, workspace)
    ).fetchone()
    return 0 if row is None else int(row["seq"])


def forget_keys(connection: Connection, before: date) -> int:
    """Delete the keys of events received before a date, all but eight bytes of each; returns how many.

    A placeholder is kept: it belongs to a correction that still waits for its event. So are the keys of history.
    """
    row = connection.execute(_FORGET, (before,)).fetchone()
    assert row is not None
    return int(row["n"])


def forgotten(connection: Connection, workspace: int, keys: Iterable[bytes]) -> frozenset[bytes]:
    """Those of some keys that were deleted. Two of 2⁶⁴ would be taken for one another."""
    rows = connection.execute(_FORGOTTEN, {"workspace": workspace, "keys": packed.uuids(sorted(keys))})
    return frozenset(row["key"].bytes for row in rows)
