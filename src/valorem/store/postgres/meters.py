"""Meter revisions, the epoch they belong to, and how far each was recounted over what was recorded before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from valorem.store.postgres.database import Connection
from valorem.store.postgres.ingest import GROUP

_BACKFILLS: LiteralString = (
    "SELECT revision, done_seq, until_seq FROM meter_backfill"
    " WHERE part = %s AND workspace = %s AND done_seq < until_seq ORDER BY revision"
)


@dataclass(frozen=True, slots=True)
class RevisionRow:
    """One way of counting.

    Attributes:
        id: Small number, as counters carry it.
        fingerprint: Of the meter revision.
        definition: The meter as JSON.
        current: Whether the newest catalog version counts this way.
    """

    id: int
    fingerprint: str
    definition: str
    current: bool


@dataclass(frozen=True, slots=True)
class Backfill:
    """Recorded sequences up to ``done_seq`` are counted, those up to ``until_seq`` are not yet, later ones live."""

    revision: int
    done_seq: int
    until_seq: int

    def awaits(self, seq: int) -> bool:
        """Whether a recorded batch is still to be counted by the backfill."""
        return self.done_seq < seq <= self.until_seq


def epoch(connection: Connection, workspace: int) -> int:
    """Counts how often the meters changed. Read it before the revisions, so that it is never too new for them."""
    row = connection.execute(
        "SELECT meter_epoch FROM ingest_cursor WHERE part = %s AND workspace = %s", (GROUP, workspace)
    ).fetchone()
    return 0 if row is None else int(row["meter_epoch"])


def ids(connection: Connection, workspace: int) -> dict[str, int]:
    """The id of every revision, by its meter's fingerprint."""
    rows = connection.execute("SELECT id, fingerprint FROM meter_revision WHERE workspace = %s", (workspace,))
    return {row["fingerprint"]: row["id"] for row in rows}


def revisions(connection: Connection, workspace: int) -> list[RevisionRow]:
    """Every revision of the workspace."""
    rows = connection.execute(
        "SELECT id, fingerprint, definition, current FROM meter_revision WHERE workspace = %s ORDER BY id",
        (workspace,),
    )
    return [RevisionRow(row["id"], row["fingerprint"], row["definition"], row["current"]) for row in rows]


def next_epoch(connection: Connection, workspace: int) -> int:
    """Begin a new epoch and stop recording until this transaction ends; returns the last sequence of the old one."""
    row = connection.execute(
        "INSERT INTO ingest_cursor AS known (part, workspace, seq, meter_epoch) VALUES (%s, %s, 0, 1)"
        " ON CONFLICT (part, workspace) DO UPDATE SET meter_epoch = known.meter_epoch + 1 RETURNING seq",
        (GROUP, workspace),
    ).fetchone()
    assert row is not None
    return int(row["seq"])


def insert(
    connection: Connection,
    workspace: int,
    *,
    revision: int,
    meter: str,
    fingerprint: str,
    definition: str,
    now: datetime,
) -> None:
    """Insert a revision as current."""
    connection.execute(
        "INSERT INTO meter_revision (workspace, id, meter, fingerprint, definition, current, created_at)"
        " VALUES (%s, %s, %s, %s, %s, true, %s)",
        (workspace, revision, meter, fingerprint, definition, now),
    )


def set_current(connection: Connection, workspace: int, fingerprints: Sequence[str]) -> None:
    """Make exactly these revisions current."""
    connection.execute(
        "UPDATE meter_revision SET current = NOT current"
        " WHERE workspace = %s AND current <> (fingerprint = ANY(%s))",
        (workspace, list(fingerprints)),
    )


def insert_backfill(connection: Connection, workspace: int, revision: int, until_seq: int) -> None:
    """Note that a revision is to be recounted over everything recorded up to a sequence."""
    connection.execute(
        "INSERT INTO meter_backfill (part, workspace, revision, done_seq, until_seq) VALUES (%s, %s, %s, 0, %s)",
        (GROUP, workspace, revision, until_seq),
    )


def backfills(connection: Connection, workspace: int) -> list[Backfill]:
    """The unfinished backfills, oldest first."""
    return _backfills(connection, _BACKFILLS, workspace)


def hold_backfills(connection: Connection, workspace: int) -> list[Backfill]:
    """The unfinished backfills, none of which moves until the transaction ends; corrections count by them."""
    return _backfills(connection, _BACKFILLS + " FOR SHARE", workspace)


def claim_backfills(connection: Connection, workspace: int) -> list[Backfill]:
    """The unfinished backfills for this transaction alone to move; waits for corrections in flight."""
    return _backfills(connection, _BACKFILLS + " FOR UPDATE", workspace)


def move_backfill(connection: Connection, workspace: int, revision: int, done_seq: int) -> None:
    """Note how far a claimed backfill has come."""
    connection.execute(
        "UPDATE meter_backfill SET done_seq = %s WHERE part = %s AND workspace = %s AND revision = %s",
        (done_seq, GROUP, workspace, revision),
    )


def _backfills(connection: Connection, statement: LiteralString, workspace: int) -> list[Backfill]:
    rows = connection.execute(statement, (GROUP, workspace))
    return [Backfill(row["revision"], row["done_seq"], row["until_seq"]) for row in rows]
