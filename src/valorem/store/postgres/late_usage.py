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
SELECT place, min(earliest) AS earliest
FROM unnest(%s::integer[], %s::smallint[], %s::text[], %s::timestamptz[]) AS wanted (place, part, subject, since)
JOIN late_usage AS known
    ON known.part = wanted.part AND known.workspace = %s AND known.subject = wanted.subject AND known.received >= since
GROUP BY 1
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
    connection: Connection, workspace: int, asked: Sequence[tuple[Sequence[str], datetime]]
) -> list[datetime | None]:
    """From when on the use of some subjects changed by what came since an instant; None where nothing that old did.

    Args:
        connection: In a transaction of the workspace.
        workspace: The workspace's id.
        asked: Subjects and instant of each question.
    """
    rows = [
        (place, part_of(workspace, subject), subject, since - _SLACK)
        for place, (subjects, since) in enumerate(asked)
        for subject in subjects
    ]
    answers: list[datetime | None] = [None] * len(asked)
    if rows:
        columns = list(map(list, zip(*rows, strict=True)))
        for row in connection.execute(_EARLIEST, (*columns, workspace)):
            answers[row["place"]] = row["earliest"]
    return answers
