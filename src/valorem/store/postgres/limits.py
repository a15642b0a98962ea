"""What a check reads: the use in several windows at once, and whether what is known of a customer still holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString

import msgspec
from psycopg.types.json import Jsonb

from valorem.core.ids import part_of
from valorem.core.metering.tally import Tally, merge
from valorem.core.numbers import ZERO
from valorem.store.postgres.counters import Dimensions, read_dimensions
from valorem.store.postgres.database import Connection, Row

# Row versions change with every write, so equal stamps mean that nothing about the customer has been written since.
STAMP: LiteralString = """
SELECT concat_ws(' ',
    (SELECT max(version) FROM catalog_version WHERE workspace = %(workspace)s),
    (SELECT customer FROM subject WHERE workspace = %(workspace)s AND subject = %(subject)s),
    (SELECT string_agg(s.subject || ':' || s.xmin, ',' ORDER BY s.subject) FROM subject s
        WHERE s.workspace = %(workspace)s AND s.customer = %(customer)s),
    (SELECT string_agg(c.id || ':' || c.xmin, ',' ORDER BY c.id) FROM contract c
        WHERE c.part = %(part)s AND c.workspace = %(workspace)s AND c.customer = %(customer)s),
    (SELECT string_agg(e.id || ':' || e.xmin, ',' ORDER BY e.id) FROM concession e
        WHERE e.part = %(part)s AND e.workspace = %(workspace)s AND e.customer = %(customer)s),
    (SELECT string_agg(b.id || ':' || b.xmin, ',' ORDER BY b.id) FROM budget b
        WHERE b.part = %(part)s AND b.workspace = %(workspace)s AND b.customer = %(customer)s)
) AS stamp, (SELECT clock_at FROM workspace WHERE id = %(workspace)s) AS clock_at,
    (SELECT seq FROM ingest_cursor WHERE part = 0 AND workspace = %(workspace)s) AS seq,
    (SELECT coalesce(sum(done_seq), 0) FROM meter_backfill WHERE workspace = %(workspace)s) AS recounted
"""
# One look into the primary key for each stretch and subject; a join written flat would read all a subject ever used.
_WANTED: LiteralString = """
WITH wanted AS (
    SELECT * FROM unnest(%(places)s::integer[], %(revisions)s::integer[], %(starts)s::timestamptz[],
        %(ends)s::timestamptz[]) AS wanted (place, revision, starts, ends)
), whose AS (
    SELECT * FROM unnest(%(parts)s::smallint[], %(subjects)s::text[]) AS whose (part, subject)
)
"""
_INSIDE: LiteralString = """
    WHERE part = whose.part AND workspace = %(workspace)s AND subject = whose.subject
        AND revision = wanted.revision AND bucket >= wanted.starts AND bucket < wanted.ends
"""
#: How much of the counters is read: totals over all dimension values, sums by them, or everything a tally holds.
Detail = Literal["totals", "sums", "all"]
_TOTALS: LiteralString = f"""{_WANTED}
SELECT place, used.* FROM wanted CROSS JOIN whose CROSS JOIN LATERAL (
    SELECT '[]' AS dimensions, coalesce(sum(n), 0)::bigint AS n, sum(total) AS total,
        min(bucket) FILTER (WHERE n > 0) AS oldest
    FROM counter {_INSIDE}
) used
"""
_SUMS: LiteralString = f"""{_WANTED}
SELECT place, used.* FROM wanted CROSS JOIN whose CROSS JOIN LATERAL (
    SELECT dimensions, sum(n)::bigint AS n, sum(total) AS total, min(bucket) FILTER (WHERE n > 0) AS oldest
    FROM counter {_INSIDE} GROUP BY dimensions
) used
"""
_ALL: LiteralString = f"""{_WANTED}
SELECT place, used.* FROM wanted CROSS JOIN whose CROSS JOIN LATERAL (
    SELECT dimensions, sum(n)::bigint AS n, sum(total) AS total, sum(moment) AS moment, min(low) AS low,
        max(high) AS high,
        (array_agg(last ORDER BY last_at DESC, last_key DESC) FILTER (WHERE last_at IS NOT NULL))[1] AS last,
        max(last_at) AS last_at, min(bucket) FILTER (WHERE n > 0) AS oldest, NULL AS value
    FROM counter {_INSIDE} GROUP BY dimensions
    UNION ALL
    SELECT dimensions, sum(n)::bigint, NULL, NULL, NULL, NULL, NULL, NULL, NULL, value
    FROM counter_value {_INSIDE} GROUP BY dimensions, value HAVING sum(n) > 0
) used
"""


USE: dict[Detail, LiteralString] = {"totals": _TOTALS, "sums": _SUMS, "all": _ALL}


@dataclass(frozen=True, slots=True)
class Stretch:
    """The use of one meter revision in ``[start, end)``."""

    revision: int
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """What was counted in one stretch, for one combination of dimension values."""

    dimensions: Dimensions
    tally: Tally
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class ConcessionRow:
    """A stored concession; ``terms`` is what was written."""

    id: str
    feature: str
    since: datetime
    until: datetime | None
    terms: dict[str, Any]
    created_at: datetime


def stamp(connection: Connection, workspace: int, subject: str, customer: str | None) -> str:
    """Changes whenever anything that is written about a customer does, and with every catalog version."""
    row = connection.execute(STAMP, stamp_values(workspace, subject, customer)).fetchone()
    assert row is not None
    return str(row["stamp"])


def stamp_values(workspace: int, subject: str, customer: str | None) -> dict[str, object]:
    """The values of :data:`STAMP`."""
    return {
        "workspace": workspace,
        "subject": subject,
        "customer": customer,
        "part": -1 if customer is None else part_of(workspace, customer),
    }


def customer_of(connection: Connection, workspace: int, subject: str) -> str | None:
    """The customer a subject belongs to."""
    row = connection.execute(
        "SELECT customer FROM subject WHERE workspace = %s AND subject = %s", (workspace, subject)
    ).fetchone()
    return None if row is None else str(row["customer"])


def use(
    connection: Connection,
    workspace: int,
    subjects: Sequence[str],
    stretches: Sequence[Stretch],
    *,
    detail: Detail,
) -> list[list[Found]]:
    """What was counted in several stretches, in one statement.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        subjects: The customer's.
        stretches: What to look at.
        detail: How much of the counters is needed; in totals no dimension has a value.

    Returns:
        For each stretch one entry for each combination of dimension values.
    """
    if not stretches:
        return []
    rows = connection.execute(USE[detail], use_values(workspace, subjects, stretches))
    return read_use(rows, len(stretches))


def use_values(workspace: int, subjects: Sequence[str], stretches: Sequence[Stretch]) -> dict[str, object]:
    """The values of every statement of :data:`USE`."""
    return {
        "workspace": workspace,
        "places": list(range(len(stretches))),
        "revisions": [one.revision for one in stretches],
        "starts": [one.start for one in stretches],
        "ends": [one.end for one in stretches],
        "parts": [part_of(workspace, subject) for subject in subjects],
        "subjects": list(subjects),
    }


def read_use(rows: Iterable[Row], stretches: int) -> list[list[Found]]:
    """What was found, by stretch, the subjects together."""
    found: list[dict[str, Found]] = [{} for _ in range(stretches)]
    distinct: dict[tuple[int, str], dict[str, int]] = {}
    for row in rows:
        dimensions, here = row["dimensions"], found[row["place"]]
        if row.get("value") is None:
            known = here.get(dimensions)
            oldest = row["oldest"]
            if known is None:
                here[dimensions] = Found(read_dimensions(dimensions), _tally(row), oldest)
            else:
                instants = [at for at in (known.oldest, oldest) if at is not None]
                tally = merge(known.tally, _tally(row))
                here[dimensions] = Found(known.dimensions, tally, min(instants, default=None))
        else:
            counts = distinct.setdefault((row["place"], dimensions), {})
            counts[row["value"]] = counts.get(row["value"], 0) + row["n"]
    for (place, dimensions), counts in distinct.items():
        known = found[place][dimensions]
        tally = msgspec.structs.replace(known.tally, values=counts)
        found[place][dimensions] = Found(known.dimensions, tally, known.oldest)
    return [list(each.values()) for each in found]


def used_quarters(
    connection: Connection, workspace: int, subjects: Sequence[str], revision: int, since: datetime
) -> list[datetime]:
    """The quarter hours with use, in order."""
    rows = connection.execute(
        "SELECT DISTINCT bucket FROM unnest(%s::smallint[], %s::text[]) AS whose (part, subject)"
        " JOIN counter USING (part, subject)"
        " WHERE workspace = %s AND revision = %s AND bucket >= %s AND n > 0 ORDER BY bucket",
        (
            [part_of(workspace, subject) for subject in subjects],
            list(subjects),
            workspace,
            revision,
            since,
        ),
    )
    return [row["bucket"] for row in rows]


def insert_concession(connection: Connection, workspace: int, customer: str, row: ConcessionRow) -> None:
    """Store a concession."""
    connection.execute(
        "INSERT INTO concession (part, workspace, customer, id, feature, since, until, terms, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_of(workspace, customer),
            workspace,
            customer,
            row.id,
            row.feature,
            row.since,
            row.until,
            Jsonb(row.terms),
            row.created_at,
        ),
    )


def load_concessions(connection: Connection, workspace: int, customer: str) -> list[ConcessionRow]:
    """A customer's concessions, the oldest first."""
    rows = connection.execute(
        "SELECT id, feature, since, until, terms, created_at FROM concession"
        " WHERE part = %s AND workspace = %s AND customer = %s ORDER BY created_at, id",
        (part_of(workspace, customer), workspace, customer),
    )
    return [ConcessionRow(**row) for row in rows]


def end_concession(
    connection: Connection, workspace: int, customer: str, concession: str, until: datetime
) -> bool:
    """Let a concession end; whether there is one that had not."""
    changed = connection.execute(
        "UPDATE concession SET until = greatest(since, %s) WHERE part = %s AND workspace = %s AND customer = %s"
        " AND id = %s AND (until IS NULL OR until > %s) RETURNING id",
        (until, part_of(workspace, customer), workspace, customer, concession, until),
    )
    return changed.fetchone() is not None


def note_paywall(
    connection: Connection,
    workspace: int,
    customer: str,
    feature: str,
    window_start: datetime,
    *,
    reason: str,
    prompt: str | None,
    now: datetime,
) -> bool:
    """Note that a customer met a limit; whether it is the first time in this window."""
    row = connection.execute(
        "INSERT INTO paywall (part, workspace, customer, feature, window_start, reason, prompt, first_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING first_at",
        (part_of(workspace, customer), workspace, customer, feature, window_start, reason, prompt, now),
    ).fetchone()
    return row is not None


def _tally(row: Row) -> Tally:
    if "moment" not in row:
        return Tally(row["n"], row["total"] or ZERO)
    return Tally(
        row["n"],
        row["total"] or ZERO,
        row["moment"] or ZERO,
        row["low"],
        row["high"],
        row["last"],
        row["last_at"],
    )
