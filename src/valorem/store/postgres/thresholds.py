"""Contracts with spend thresholds, and up to which committed sequence their usage was looked at."""

from collections.abc import Sequence

from valorem.core.ids import part_in
from valorem.store.postgres.database import Connection


def watch(connection: Connection, workspace: int, contract: str, *, watched: bool) -> None:
    """Say whether a contract has thresholds; one that has is looked at next time."""
    connection.execute(
        "UPDATE contract SET thresholds_seq = CASE WHEN %s THEN -1 END"
        " WHERE part = %s AND workspace = %s AND id = %s AND (%s OR thresholds_seq IS NOT NULL)",
        (watched, part_in(contract, "ctr"), workspace, contract, watched),
    )


def unseen(connection: Connection, workspace: int, committed: int, *, limit: int) -> list[str]:
    """Contracts with thresholds for which something may have been counted since they were looked at."""
    rows = connection.execute(
        "SELECT id FROM contract WHERE workspace = %s AND thresholds_seq < %s AND parked_at IS NULL"
        " ORDER BY thresholds_seq, id LIMIT %s",
        (workspace, committed, limit),
    )
    return [row["id"] for row in rows]


def seen(connection: Connection, workspace: int, contracts: Sequence[str], committed: int) -> None:
    """Note up to where contracts were looked at."""
    connection.execute(
        "UPDATE contract SET thresholds_seq = greatest(thresholds_seq, %s)"
        " WHERE part = ANY(%s) AND workspace = %s AND id = ANY(%s) AND thresholds_seq IS NOT NULL",
        (committed, sorted({part_in(each, "ctr") for each in contracts}), workspace, list(contracts)),
    )


def has_draft(connection: Connection, workspace: int, contract: str) -> bool:
    """Whether a progressive invoice of a contract is not final yet."""
    row = connection.execute(
        "SELECT 1 FROM invoice WHERE part = %s AND workspace = %s AND contract = %s AND status = 'draft'"
        " AND kind LIKE 'progressive:%%' LIMIT 1",
        (part_in(contract, "ctr"), workspace, contract),
    ).fetchone()
    return row is not None


def next_number(connection: Connection, workspace: int, contract: str, index: int) -> int:
    """The number of a period's next progressive invoice, counted from 1."""
    row = connection.execute(
        "SELECT count(DISTINCT kind) AS n FROM invoice WHERE part = %s AND workspace = %s AND contract = %s"
        " AND index = %s AND kind LIKE 'progressive:%%'",
        (part_in(contract, "ctr"), workspace, contract, index),
    ).fetchone()
    assert row is not None
    return int(row["n"]) + 1
