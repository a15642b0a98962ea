"""Use that changed so late that no invoice would look at its period again by itself: history, and corrections of old events."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import LiteralString

from valorem.core.ids import part_of
from valorem.store.postgres.database import Connection

_NOTE: LiteralString = """
INSERT INTO late_usage AS known (part, workspace, subject, received, earliest)
SELECT part, %s, subject, date_trunc('hour', %s::timestamptz, 'UTC'), earliest
FROM unnest(%s::smallint[], %s::text[], %s::timestamptz[]) AS more (part, subject, earliest)
ORDER BY part, subject
ON CONFLICT (part, workspace, subject, received) DO UPDATE SET earliest = least(known.earliest, excluded.earliest)
"""
_EARLIEST: LiteralString = """
SELECT min(earliest) AS earliest FROM late_usage
WHERE (part, subject) IN (SELECT * FROM unnest(%s::smallint[], %s::text[])) AND workspace = %s AND received >= %s
"""
#: Notes are kept by the hour of their transaction's beginning, and it may commit a while later.
_SLACK = timedelta(hours=2)


def note(connection: Connection, workspace: int, now: datetime, earliest: Mapping[str, datetime]) -> None:
    """Note, in the transaction that changes it, from when on the use of some subjects changed."""
    connection.execute(
        _NOTE,
        (
            workspace,
            now,
            [part_of(workspace, subject) for subject in earliest],
            list(earliest),
            list(earliest.values()),
        ),
    )


def earliest_since(
    connection: Connection, workspace: int, subjects: Sequence[str], since: datetime
) -> datetime | None:
    """From when on the use of some subjects changed by what came since an instant; None where nothing that old did."""
    row = connection.execute(
        _EARLIEST,
        ([part_of(workspace, subject) for subject in subjects], list(subjects), workspace, since - _SLACK),
    ).fetchone()
    found: datetime | None = row["earliest"] if row else None
    return found
