"""Corrections as they arrived, by the event they correct."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from valorem.store.postgres import packed
from valorem.store.postgres.database import Connection


class CorrectionRow(NamedTuple):
    """One correction.

    Attributes:
        target: Identity of the event it corrects.
        key: Its own identity.
        batch: Id of the batch it arrived in.
        raw: The correcting event as received.
        received_at: Its time, where it was sent without one.
        moved_to: The time an amend gives its target.
        seq: The sequence of that batch, where it was read.
    """

    target: bytes
    key: bytes
    batch: int
    raw: bytes
    received_at: datetime
    moved_to: datetime | None
    seq: int | None = None


def insert(connection: Connection, workspace: int, corrections: Sequence[CorrectionRow]) -> None:
    """Keep accepted corrections."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO event_correction (part, target, key, workspace, batch, received_at, moved_to, raw)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    row.target[0],
                    row.target.hex(),
                    row.key.hex(),
                    workspace,
                    row.batch,
                    row.received_at,
                    row.moved_to,
                    row.raw,
                )
                for row in sorted(corrections)
            ],
        )


def load(
    connection: Connection, targets: Sequence[bytes], until_seq: int | None = None
) -> list[CorrectionRow]:
    """Every correction of these events, in no order that means anything.

    Args:
        connection: In a transaction of the workspace.
        targets: Identities of events.
        until_seq: Only corrections that arrived in batches up to this sequence.
    """
    rows = connection.execute(
        "SELECT correction.target, correction.key, correction.batch, correction.raw, correction.received_at,"
        " correction.moved_to, batch.seq"
        " FROM unnest(%s) AS wanted (target)"
        " JOIN event_correction AS correction"
        " ON correction.part = get_byte(uuid_send(wanted.target), 0) AND correction.target = wanted.target"
        " LEFT JOIN event_batch AS batch"
        " ON batch.part = 0 AND batch.workspace = correction.workspace AND batch.id = correction.batch"
        " WHERE %s::bigint IS NULL OR batch.seq <= %s"
        " ORDER BY correction.part, correction.target, correction.key",
        (packed.uuids(targets), until_seq, until_seq),
    )
    return [
        CorrectionRow(
            row["target"].bytes,
            row["key"].bytes,
            row["batch"],
            row["raw"],
            row["received_at"],
            row["moved_to"],
            row["seq"],
        )
        for row in rows
    ]


def moved_into(connection: Connection, workspace: int, start: datetime, end: datetime) -> set[bytes]:
    """Identities of the events that some amend, whether it holds or not, gives a time in ``[start, end)``."""
    rows = connection.execute(
        "SELECT DISTINCT target FROM event_correction WHERE workspace = %s AND moved_to >= %s AND moved_to < %s",
        (workspace, start, end),
    )
    return {row["target"].bytes for row in rows}
