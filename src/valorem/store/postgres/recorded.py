"""Recorded events: raw lines as received, found by identity or scanned in order of commit."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, NamedTuple

from valorem.core.ids import identity
from valorem.store.postgres import corrections, ingest
from valorem.store.postgres.batches import subject_hash, unpack_lines
from valorem.store.postgres.corrections import CorrectionRow
from valorem.store.postgres.database import Connection

_SCAN: LiteralString = """
SELECT part, seq, received_at, raw FROM event_batch
WHERE workspace = %(workspace)s AND (part, seq) > (%(part)s, %(seq)s)
  AND (%(until)s::bigint IS NULL OR seq <= %(until)s)
  AND (%(start)s::timestamptz IS NULL OR latest >= %(start)s)
  AND (%(end)s::timestamptz IS NULL OR earliest < %(end)s)
  AND (%(subjects)s::integer[] IS NULL OR subjects && %(subjects)s)
  AND (%(types)s::text[] IS NULL OR types && %(types)s)
ORDER BY part, seq LIMIT %(limit)s
"""
_LOAD: LiteralString = """
SELECT id, part, seq, received_at, raw FROM event_batch
WHERE part = %s AND workspace = %s AND id = ANY(%s) ORDER BY seq
"""
#: Batches fetched at once: bounds the memory of a scan.
_PAGE = 64


class Recorded(NamedTuple):
    """One recorded event.

    Attributes:
        part: The part group of its batch.
        seq: Its batch's sequence there.
        place: Its line in the batch.
        raw: As received.
        received_at: Its time, where it was sent without one.
    """

    part: int
    seq: int
    place: int
    raw: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """An event looked up by its identity.

    Attributes:
        key: Identity bytes.
        event: The event; None while only corrections of it have arrived.
        corrections: Every correction of it that has arrived.
    """

    key: bytes
    event: Recorded | None
    corrections: Sequence[CorrectionRow]


def find(connection: Connection, workspace: int, source: str, id: str) -> Found | None:  # noqa: A002
    """Find an event by its source and id; None when neither it nor a correction of it has arrived."""
    key = identity(workspace, source, id)
    known = ingest.find(connection, [key]).get(key)
    if known is None:
        return None
    event = None
    if known.batch is not None and known.place is not None:
        place = (known.batch, known.place)
        event = load(connection, workspace, [place])[place]
    return Found(key, event, corrections.load(connection, [key]))


def load(
    connection: Connection, workspace: int, places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Recorded]:
    """The events at known (batch id, place)."""
    wanted: dict[int, list[int]] = {}
    for batch, place in places:
        wanted.setdefault(batch, []).append(place)
    rows = connection.execute(_LOAD, (ingest.GROUP, workspace, list(wanted)))
    events: dict[tuple[int, int], Recorded] = {}
    for row in rows:
        lines = unpack_lines(row["raw"])
        for place in wanted[row["id"]]:
            events[row["id"], place] = Recorded(
                row["part"], row["seq"], place, lines[place], row["received_at"]
            )
    return events


def scan(
    connection: Connection,
    workspace: int,
    *,
    subjects: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    types: Sequence[str] | None = None,
    after: tuple[int, int] = (0, 0),
    until_seq: int | None = None,
    batches: int | None = None,
) -> Iterator[Recorded]:
    """Recorded events in order of commit, skipping batches in which none can match.

    The bounds are for skipping: every event that matches is yielded, and some that do not; the caller decodes and
    decides. Corrections carry no time of their target: see :func:`valorem.store.postgres.corrections.moved_into`.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        subjects: Only batches with events of these; None for all.
        start: Only batches with an event at or after this instant.
        end: Only batches with an event before this instant.
        types: Only batches with events of these types.
        after: Begin after this (part, sequence).
        until_seq: Stop at this sequence, itself included.
        batches: Most batches to read.
    """
    bounds = {
        "workspace": workspace,
        "until": until_seq,
        "start": start,
        "end": end,
        "subjects": None if subjects is None else [subject_hash(subject) for subject in subjects],
        "types": None if types is None else list(types),
    }
    needles = None if subjects is None else [subject.encode() for subject in subjects]
    left = batches
    while left is None or left > 0:
        limit = _PAGE if left is None else min(_PAGE, left)
        rows = connection.execute(
            _SCAN, {**bounds, "part": after[0], "seq": after[1], "limit": limit}
        ).fetchall()
        for row in rows:
            part, seq, received_at = row["part"], row["seq"], row["received_at"]
            for place, raw in enumerate(unpack_lines(row["raw"])):
                if raw and (needles is None or b"\\" in raw or any(needle in raw for needle in needles)):
                    yield Recorded(part, seq, place, raw, received_at)
        if len(rows) < limit:
            return
        after = (rows[-1]["part"], rows[-1]["seq"])
        left = None if left is None else left - limit
