"""Counters: the mergeable state of one meter revision for one subject, quarter hour and combination of dimensions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import LiteralString, NamedTuple

import msgspec

from valorem.core.ids import part_of
from valorem.core.metering.aggregation import Aggregation
from valorem.core.metering.tally import EMPTY, Tally
from valorem.core.numbers import EXACT, ZERO
from valorem.store.postgres import packed
from valorem.store.postgres.database import Connection, Row

Dimensions = tuple[str | None, ...]

_COLUMNS: LiteralString = "part, workspace, subject, revision, bucket, dimensions"
_ADD_SUMS: LiteralString = f"""
INSERT INTO counter AS known ({_COLUMNS}, n, total)
SELECT part, %s, subject, revision, bucket, dimensions, n, total
FROM unnest(%s::smallint[], %s, %s::integer[], %s, %s, %s::bigint[], %s::numeric[])
    AS more (part, subject, revision, bucket, dimensions, n, total)
ON CONFLICT ({_COLUMNS}) DO UPDATE
SET n = known.n + excluded.n, total = coalesce(known.total + excluded.total, known.total, excluded.total)
"""
_ADD_ALL: LiteralString = f"""
INSERT INTO counter AS known ({_COLUMNS}, n, total, moment, low, high, last, last_at, last_key)
SELECT part, %s, subject, revision, bucket, dimensions, n, total, moment, low, high, last, last_at, last_key
FROM unnest(%s::smallint[], %s, %s::integer[], %s, %s, %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[],
    %s::numeric[], %s::numeric[], %s::timestamptz[], %s)
    AS more (part, subject, revision, bucket, dimensions, n, total, moment, low, high, last, last_at, last_key)
ON CONFLICT ({_COLUMNS}) DO UPDATE
SET n = known.n + excluded.n,
    total = coalesce(known.total + excluded.total, known.total, excluded.total),
    moment = coalesce(known.moment + excluded.moment, known.moment, excluded.moment),
    low = least(known.low, excluded.low),
    high = greatest(known.high, excluded.high),
    (last, last_at, last_key) = (SELECT later.* FROM (VALUES
        (known.last, known.last_at, known.last_key), (excluded.last, excluded.last_at, excluded.last_key)
        ) AS later (last, at, key) ORDER BY later.at DESC NULLS LAST, later.key DESC NULLS LAST LIMIT 1)
"""
_ADD_VALUES: LiteralString = f"""
INSERT INTO counter_value AS known ({_COLUMNS}, value, n)
SELECT part, %s, subject, revision, bucket, dimensions, value, n
FROM unnest(%s::smallint[], %s, %s::integer[], %s, %s, %s, %s::bigint[])
    AS more (part, subject, revision, bucket, dimensions, value, n)
ON CONFLICT ({_COLUMNS}, value) DO UPDATE SET n = known.n + excluded.n
"""
_REPLACE: LiteralString = """
UPDATE counter SET n = %s, total = %s, moment = %s, low = %s, high = %s, last = %s, last_at = %s, last_key = %s
WHERE part = %s AND workspace = %s AND subject = %s AND revision = %s AND bucket = %s AND dimensions = %s
"""
_LATEST: LiteralString = """
    (array_agg(last ORDER BY last_at DESC, last_key DESC) FILTER (WHERE last_at IS NOT NULL))[1] AS last,
    max(last_at) AS last_at,
    (array_agg(last_key ORDER BY last_at DESC, last_key DESC) FILTER (WHERE last_at IS NOT NULL))[1] AS last_key,
"""
_MERGED: LiteralString = (
    "sum(n)::bigint AS n, sum(total) AS total, sum(moment) AS moment, min(low) AS low, max(high) AS high,"
)
_READ: LiteralString = f"""
WITH wanted AS (SELECT * FROM unnest(%(parts)s::smallint[], %(subjects)s::text[]) AS wanted (part, subject))
SELECT width_bucket(bucket, %(edges)s) - 1 AS segment, dimensions, {_MERGED} {_LATEST} NULL AS value
FROM wanted JOIN counter USING (part, subject)
WHERE workspace = %(workspace)s AND revision = %(revision)s AND bucket >= %(start)s AND bucket < %(end)s
GROUP BY 1, 2
UNION ALL
SELECT width_bucket(bucket, %(edges)s) - 1, dimensions, sum(n)::bigint, NULL, NULL, NULL, NULL, NULL, NULL, NULL, value
FROM wanted JOIN counter_value USING (part, subject)
WHERE workspace = %(workspace)s AND revision = %(revision)s AND bucket >= %(start)s AND bucket < %(end)s
GROUP BY 1, 2, value
ORDER BY 1, 2
"""
# One look into the index for each stretch; the planner cannot make it a scan of the table.
_SPANS: LiteralString = """
FROM unnest(%(spans)s::integer[], %(parts)s::smallint[], %(subjects)s::text[], %(revisions)s::integer[],
    %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS wanted (span, part, subject, revision, starts, ends)
CROSS JOIN LATERAL (SELECT * FROM {table}
    WHERE part = wanted.part AND workspace = %(workspace)s AND subject = wanted.subject
    AND revision = wanted.revision AND bucket >= wanted.starts AND bucket < wanted.ends) AS found
"""
_READ_SPANS: LiteralString = f"""
SELECT span, dimensions, {_MERGED} {_LATEST} NULL AS value
{_SPANS.replace("{table}", "counter")} GROUP BY 1, 2
"""
_READ_SUMS: LiteralString = f"""
SELECT span, dimensions, {_MERGED} NULL AS last, NULL AS last_at, NULL AS last_key, NULL AS value
{_SPANS.replace("{table}", "counter")} GROUP BY 1, 2
"""
_READ_VALUES: LiteralString = f"""
SELECT span, dimensions, value, sum(n)::bigint AS n
{_SPANS.replace("{table}", "counter_value")} GROUP BY 1, 2, 3
"""
_CARRIED: LiteralString = """
SELECT dimensions, sum(n)::bigint AS n, sum(total) AS total, sum(moment) AS moment
FROM unnest(%s::smallint[], %s::text[]) AS wanted (part, subject) JOIN counter USING (part, subject)
WHERE workspace = %s AND revision = %s AND bucket < %s
GROUP BY 1 ORDER BY 1
"""
_WHERE: LiteralString = """
WHERE workspace = %(workspace)s AND n <> 0 AND (%(all)s OR (part, subject) IN (
    SELECT * FROM unnest(%(parts)s::smallint[], %(subjects)s::text[])))
"""
_EVERY: LiteralString = "SELECT * FROM counter" + _WHERE
_EVERY_VALUE: LiteralString = "SELECT * FROM counter_value" + _WHERE


class CounterKey(NamedTuple):
    """Which counter; its order is the order in which counters are locked."""

    part: int
    subject: str
    revision: int
    bucket: datetime
    dimensions: str


@lru_cache(maxsize=65_536)
def write_dimensions(dimensions: Dimensions) -> str:
    """Dimension values as the key's text."""
    return msgspec.json.encode(dimensions).decode()


@lru_cache(maxsize=65_536)
def read_dimensions(text: str) -> Dimensions:
    """The inverse of :func:`write_dimensions`."""
    return msgspec.json.decode(text, type=Dimensions)


def add(connection: Connection, workspace: int, more: Iterable[tuple[CounterKey, Tally]]) -> None:
    """Add to counters, making the ones that are missing.

    Args:
        connection: Prepared for packed arrays; in a transaction.
        workspace: The workspace's id.
        more: What to add, one tally a counter. ``n``, sums and the counts of values may be negative: what a correction takes out.
    """
    rows = sorted(more, key=itemgetter(0))
    if not rows:
        return
    keys = [key for key, _ in rows]
    tallies = [tally for _, tally in rows]
    where = (workspace, *_pack_keys(keys))
    sums = (
        packed.literal([tally.n for tally in tallies]),
        packed.literal([tally.total for tally in tallies]),
    )
    if all(_only_sums(tally) for tally in tallies):
        connection.execute(_ADD_SUMS, (*where, *sums))
    else:
        connection.execute(
            _ADD_ALL,
            (
                *where,
                *sums,
                packed.literal([tally.moment or None for tally in tallies]),
                packed.literal([tally.low for tally in tallies]),
                packed.literal([tally.high for tally in tallies]),
                packed.literal([tally.last for tally in tallies]),
                [tally.last_at for tally in tallies],
                packed.byteas([tally.last_key if tally.last_at else None for tally in tallies]),
            ),
        )
    _add_values(connection, workspace, rows)


def replace(connection: Connection, workspace: int, key: CounterKey, tally: Tally) -> None:
    """Set a counter, locked by an earlier :func:`add` of this transaction, to what was recounted."""
    connection.execute(
        _REPLACE,
        (
            tally.n,
            tally.total,
            tally.moment,
            tally.low,
            tally.high,
            tally.last,
            tally.last_at,
            tally.last_key if tally.last_at else None,
            key.part,
            workspace,
            key.subject,
            key.revision,
            key.bucket,
            key.dimensions,
        ),
    )


def read(
    connection: Connection,
    workspace: int,
    subjects: Sequence[str],
    revision: int,
    edges: Sequence[datetime],
) -> list[tuple[int, Dimensions, Tally]]:
    """Merge the counters of subjects between consecutive edges.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        subjects: A customer's own key and its aliases.
        revision: The meter revision.
        edges: At least two ascending instants on the quarter-hour grid; segment ``i`` is ``[edges[i], edges[i + 1])``.

    Returns:
        (segment, dimensions, tally), sorted by segment; what was never counted, or voided to nothing, is absent.
    """
    rows = connection.execute(
        _READ,
        {
            "workspace": workspace,
            "parts": [part_of(workspace, subject) for subject in subjects],
            "subjects": list(subjects),
            "revision": revision,
            "edges": list(edges),
            "start": edges[0],
            "end": edges[-1],
        },
    )
    tallies: dict[tuple[int, str], Tally] = {}
    values: dict[tuple[int, str], dict[str, int]] = {}
    for row in rows:
        place = (row["segment"], row["dimensions"])
        if row["value"] is None:
            tallies[place] = _tally(row)
        elif row["n"] > 0:
            values.setdefault(place, {})[row["value"]] = row["n"]
    return _sorted(tallies, values)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to the counters: see :func:`read`.

    Attributes:
        subjects: A customer's own key and its aliases.
        revision: The meter revision.
        aggregation: What of the tallies is wanted.
        edges: At least two ascending instants on the quarter-hour grid.
    """

    subjects: tuple[str, ...]
    revision: int
    aggregation: Aggregation
    edges: tuple[datetime, ...]


def read_many(
    connection: Connection, workspace: int, asked: Sequence[Asked]
) -> list[list[tuple[int, Dimensions, Tally]]]:
    """What :func:`read` answers to each of many questions, in a query or two for all of them."""
    answers: list[list[tuple[int, Dimensions, Tally]]] = [[] for _ in asked]
    by_need: dict[tuple[bool, bool], list[int]] = {}
    for place, each in enumerate(asked):
        by_need.setdefault((each.aggregation.last, each.aggregation.values), []).append(place)
    for (latest, with_values), places in by_need.items():
        spans = [
            (span, place, segment)
            for span, (place, segment) in enumerate(
                (place, segment) for place in places for segment in range(len(asked[place].edges) - 1)
            )
        ]
        arguments = _spans(workspace, asked, spans)
        tallies: dict[tuple[int, str], Tally] = {}
        values: dict[tuple[int, str], dict[str, int]] = {}
        for row in connection.execute(_READ_SPANS if latest else _READ_SUMS, arguments):
            tallies[row["span"], row["dimensions"]] = _tally(row)
        if with_values:
            for row in connection.execute(_READ_VALUES, arguments):
                if row["n"] > 0:
                    values.setdefault((row["span"], row["dimensions"]), {})[row["value"]] = row["n"]
        for span, dimensions, tally in _sorted(tallies, values):
            _, place, segment = spans[span]
            answers[place].append((segment, dimensions, tally))
    return answers


def _spans(
    workspace: int, asked: Sequence[Asked], spans: Sequence[tuple[int, int, int]]
) -> dict[str, object]:
    """A row for each subject and stretch of time that is asked for."""
    rows = [
        (
            span,
            part_of(workspace, subject),
            subject,
            asked[place].revision,
            asked[place].edges[segment],
            asked[place].edges[segment + 1],
        )
        for span, place, segment in spans
        for subject in asked[place].subjects
    ]
    numbers, parts, subjects, revisions, starts, ends = (
        map(list, zip(*rows, strict=True)) if rows else ([],) * 6
    )
    return {
        "workspace": workspace,
        "spans": numbers,
        "parts": parts,
        "subjects": subjects,
        "revisions": revisions,
        "starts": starts,
        "ends": ends,
    }


def _sorted(
    tallies: dict[tuple[int, str], Tally], values: Mapping[tuple[int, str], dict[str, int]]
) -> list[tuple[int, Dimensions, Tally]]:
    for place, counts in values.items():
        tallies[place] = msgspec.structs.replace(tallies[place], values=counts)
    return [
        (segment, read_dimensions(text), tally)
        for (segment, text), tally in sorted(tallies.items(), key=itemgetter(0))
        if tally.n
    ]


def carried(
    connection: Connection, workspace: int, subjects: Sequence[str], revision: int, before: datetime
) -> list[tuple[Dimensions, Tally]]:
    """Merge the sums and moments of all time before an instant: the level a time-weighted sum starts from."""
    rows = connection.execute(
        _CARRIED,
        (
            [part_of(workspace, subject) for subject in subjects],
            list(subjects),
            workspace,
            revision,
            before,
        ),
    )
    return [
        (read_dimensions(row["dimensions"]), Tally(row["n"], row["total"] or ZERO, row["moment"] or ZERO))
        for row in rows
        if row["n"]
    ]


def earliest(connection: Connection, workspace: int, subject: str) -> datetime | None:
    """The first quarter hour in which a subject used anything that is counted; None for never."""
    row = connection.execute(
        "SELECT min(bucket) AS bucket FROM counter WHERE part = %s AND workspace = %s AND subject = %s AND n <> 0",
        (part_of(workspace, subject), workspace, subject),
    ).fetchone()
    found: datetime | None = row["bucket"] if row else None
    return found


def every(
    connection: Connection, workspace: int, subjects: Sequence[str] | None = None
) -> Iterator[tuple[CounterKey, Tally]]:
    """Every counter that counts something, of some subjects or all: for a recount to compare with."""
    where = {
        "workspace": workspace,
        "all": subjects is None,
        "parts": [part_of(workspace, subject) for subject in subjects or ()],
        "subjects": list(subjects or ()),
    }
    values: dict[CounterKey, dict[str, int]] = {}
    for row in connection.execute(_EVERY_VALUE, where):
        values.setdefault(_counter_key(row), {})[row["value"]] = row["n"]
    for row in connection.execute(_EVERY, where):
        key = _counter_key(row)
        yield key, msgspec.structs.replace(_tally(row), values=values.get(key, {}))


def _counter_key(row: Row) -> CounterKey:
    return CounterKey(row["part"], row["subject"], row["revision"], row["bucket"], row["dimensions"])


def _add_values(connection: Connection, workspace: int, rows: Sequence[tuple[CounterKey, Tally]]) -> None:
    flat = [
        (key, value, count)
        for key, tally in rows
        if tally.values
        for value, count in sorted(tally.values.items())
    ]
    if not flat:
        return
    connection.execute(
        _ADD_VALUES,
        (
            workspace,
            *_pack_keys([key for key, _, _ in flat]),
            packed.texts([value for _, value, _ in flat]),
            packed.literal([count for _, _, count in flat]),
        ),
    )


def _pack_keys(keys: Sequence[CounterKey]) -> tuple[object, ...]:
    return (
        packed.literal([key.part for key in keys]),
        packed.texts([key.subject for key in keys]),
        packed.literal([key.revision for key in keys]),
        packed.instants([key.bucket for key in keys]),
        packed.texts([key.dimensions for key in keys]),
    )


def _only_sums(tally: Tally) -> bool:
    return not tally.moment and tally.low is None and tally.high is None and tally.last_at is None


def _tally(row: Row) -> Tally:
    if row["n"] == 0:
        return EMPTY
    return Tally(
        row["n"],
        row["total"] or ZERO,
        row["moment"] or ZERO,
        row["low"],
        row["high"],
        row["last"],
        row["last_at"],
        row["last_key"] or b"",
    )


def difference(more: Tally, less: Tally) -> Tally:
    """What to :func:`add` so that the readings of ``more`` come in and those of ``less`` go out.

    A least, greatest or latest value cannot be taken out; such a counter is to be replaced by its recount.
    """
    values = dict(more.values)
    for value, count in less.values.items():
        values[value] = values.get(value, 0) - count
    return Tally(
        more.n - less.n,
        EXACT.subtract(more.total, less.total),
        EXACT.subtract(more.moment, less.moment),
        more.low,
        more.high,
        more.last,
        more.last_at,
        more.last_key,
        values,
    )
