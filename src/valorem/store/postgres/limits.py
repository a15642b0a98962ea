"""What a check reads: the use in several windows at once, and whether what is known of a customer still holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

import msgspec
from psycopg.types.json import Jsonb

from valorem.core.ids import part_of
from valorem.core.metering.tally import Tally
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
) AS stamp, (SELECT clock_at FROM workspace WHERE id = %(workspace)s) AS clock_at
"""
USE: LiteralString = """
WITH wanted AS (
    SELECT * FROM unnest(%(places)s::integer[], %(revisions)s::integer[], %(starts)s::timestamptz[],
        %(ends)s::timestamptz[]) AS wanted (place, revision, starts, ends)
), whose AS (
    SELECT * FROM unnest(%(parts)s::smallint[], %(subjects)s::text[]) AS whose (part, subject)
)
SELECT place, dimensions, sum(n)::bigint AS n, sum(total) AS total, sum(moment) AS moment, min(low) AS low,
    max(high) AS high,
    (array_agg(last ORDER BY last_at DESC, last_key DESC) FILTER (WHERE last_at IS NOT NULL))[1] AS last,
    max(last_at) AS last_at, min(bucket) FILTER (WHERE n > 0) AS oldest, NULL AS value
FROM wanted CROSS JOIN whose JOIN counter USING (part, subject, revision)
WHERE workspace = %(workspace)s AND bucket >= starts AND bucket < ends
GROUP BY 1, 2
UNION ALL
SELECT place, dimensions, sum(n)::bigint, NULL, NULL, NULL, NULL, NULL, NULL, NULL, value
FROM wanted CROSS JOIN whose JOIN counter_value USING (part, subject, revision)
WHERE %(with_values)s AND workspace = %(workspace)s AND bucket >= starts AND bucket < ends
GROUP BY 1, 2, value HAVING sum(n) > 0
"""


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
    values: bool,
) -> list[list[Found]]:
    """What was counted in several stretches, in one statement.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        subjects: The customer's.
        stretches: What to look at.
        values: Whether any of the meters counts distinct values.

    Returns:
        For each stretch one entry for each combination of dimension values.
    """
    if not stretches:
        return []
    rows = connection.execute(USE, use_values(workspace, subjects, stretches, values=values))
    return read_use(rows, len(stretches))


def use_values(
    workspace: int, subjects: Sequence[str], stretches: Sequence[Stretch], *, values: bool
) -> dict[str, object]:
    """The values of :data:`USE`."""
    return {
        "workspace": workspace,
        "places": list(range(len(stretches))),
        "revisions": [one.revision for one in stretches],
        "starts": [one.start for one in stretches],
        "ends": [one.end for one in stretches],
        "parts": [part_of(workspace, subject) for subject in subjects],
        "subjects": list(subjects),
        "with_values": values,
    }


def read_use(rows: Iterable[Row], stretches: int) -> list[list[Found]]:
    """What :data:`USE` found, by stretch."""
    found: list[dict[str, Found]] = [{} for _ in range(stretches)]
    distinct: dict[tuple[int, str], dict[str, int]] = {}
    for row in rows:
        if row["value"] is None:
            found[row["place"]][row["dimensions"]] = Found(
                read_dimensions(row["dimensions"]), _tally(row), row["oldest"]
            )
        else:
            distinct.setdefault((row["place"], row["dimensions"]), {})[row["value"]] = row["n"]
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


def lock_customer(connection: Connection, workspace: int, customer: str) -> None:
    """Let one consuming check of a customer proceed at a time, until the transaction ends."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", (f"consume {customer}", workspace)
    )


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
    return Tally(
        row["n"],
        row["total"] or ZERO,
        row["moment"] or ZERO,
        row["low"],
        row["high"],
        row["last"],
        row["last_at"],
    )
