"""What is written back to other systems: one row for each state of an outcome that is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from valorem.core.ids import identity
from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Push:
    """One state of one outcome, to be told.

    Attributes:
        id: Names it for ever.
        rule: Which rule of the source, by index.
        outcome: The outcome's key in the catalog.
        key: What was counted.
        state: In which state it is.
        at: Since when.
        attempts: So far.
    """

    id: str
    rule: int
    outcome: str
    key: str
    state: str
    at: datetime
    attempts: int = 0


def contracts_with(connection: Connection, workspace: int, outcomes: Sequence[str]) -> list[tuple[str, str]]:
    """The contracts that have some outcomes, each with the outcome."""
    rows = connection.execute(
        "SELECT DISTINCT contract, outcome FROM outcome_version WHERE workspace = %s AND outcome = ANY(%s)"
        " ORDER BY contract, outcome",
        (workspace, list(outcomes)),
    )
    return [(row["contract"], row["outcome"]) for row in rows]


def put(connection: Connection, workspace: int, source: str, pushes: Sequence[Push], now: datetime) -> int:
    """Note what is to be told; what was noted before stays as it is. A state that waits gives way to a newer one."""
    made = 0
    for one in pushes:
        part = identity(workspace, source, one.key)[0]
        done = connection.execute(
            "INSERT INTO source_push (part, workspace, source, id, rule, outcome, key, state, at, status, next_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'pending', %s) ON CONFLICT DO NOTHING",
            (part, workspace, source, one.id, one.rule, one.outcome, one.key, one.state, one.at, now),
        )
        if done.rowcount:
            made += 1
            connection.execute(
                "UPDATE source_push SET status = 'replaced' WHERE part = %s AND workspace = %s AND source = %s"
                " AND rule = %s AND key = %s AND at < %s AND status = 'pending'",
                (part, workspace, source, one.rule, one.key, one.at),
            )
    return made


def lease(
    connection: Connection, workspace: int, source: str, now: datetime, *, most: int, lease: timedelta
) -> list[Push]:
    """Take what is due; whoever dies with it lets it be due again when the lease ends."""
    rows = connection.execute(
        "UPDATE source_push SET attempts = attempts + 1, next_at = %s WHERE (part, workspace, source, id) IN ("
        " SELECT part, workspace, source, id FROM source_push WHERE workspace = %s AND source = %s"
        " AND status = 'pending' AND next_at <= %s ORDER BY next_at, id LIMIT %s FOR UPDATE SKIP LOCKED)"
        " RETURNING id, rule, outcome, key, state, at, attempts",
        (now + lease, workspace, source, now, most),
    )
    return [Push(**row) for row in rows]


def settle(
    connection: Connection, workspace: int, source: str, push: Push, error: str | None, again: datetime | None
) -> None:
    """Note what became of an attempt: done, to be tried again, or given up."""
    status = "done" if error is None else "pending" if again is not None else "failed"
    connection.execute(
        "UPDATE source_push SET status = %s, error = %s, next_at = coalesce(%s, next_at)"
        " WHERE part = %s AND workspace = %s AND source = %s AND id = %s AND status = 'pending'",
        (status, error, again, identity(workspace, source, push.key)[0], workspace, source, push.id),
    )


def count(connection: Connection, workspace: int, source: str) -> dict[str, int]:
    """How many there are of each status."""
    rows = connection.execute(
        "SELECT status, count(*) AS n FROM source_push WHERE workspace = %s AND source = %s GROUP BY status",
        (workspace, source),
    )
    return {row["status"]: row["n"] for row in rows}
