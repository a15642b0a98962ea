"""Deliveries: each message of the outbox to each endpoint that wants it, every attempt on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, LiteralString
from uuid import UUID

from valorem.core.delivery.texts import Notice
from valorem.store.postgres.database import Connection, Row

_WAITING: LiteralString = """
SELECT part, id, topic, customer, created_at FROM outbox
WHERE workspace = %s AND dispatched_at IS NULL ORDER BY created_at, id LIMIT %s FOR UPDATE SKIP LOCKED
"""
_CLAIM: LiteralString = """
WITH due AS (
    SELECT part, message FROM delivery
    WHERE workspace = %(workspace)s AND endpoint = %(endpoint)s AND state = 'pending' AND next_at <= %(now)s
        AND (leased_until IS NULL OR leased_until < %(now)s)
    ORDER BY next_at, message LIMIT %(most)s FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE delivery d SET leased_until = %(until)s, attempts = attempts + 1 FROM due
    WHERE d.part = due.part AND d.workspace = %(workspace)s AND d.message = due.message AND d.endpoint = %(endpoint)s
    RETURNING d.part, d.message, d.attempts
)
SELECT part, id, attempts, topic, object, sequence, payload, created_at
FROM leased JOIN outbox USING (part) WHERE outbox.workspace = %(workspace)s AND outbox.id = leased.message
ORDER BY created_at, id
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that has not been given to the endpoints yet."""

    part: int
    id: UUID
    topic: str
    customer: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be attempted by whoever has leased it."""

    part: int
    message: UUID
    attempts: int
    notice: Notice


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one attempt.

    Attributes:
        part: Of the message.
        message: The message.
        endpoint: Where to.
        number: Counted from 1, also through replays; given by the database.
        at: When.
        status: What the receiver answered; None where it did not.
        error: What went wrong.
        answer: The beginning of the receiver's answer.
        took_ms: How long it took.
    """

    part: int
    message: UUID
    endpoint: str
    number: int
    at: datetime
    status: int | None
    error: str | None
    answer: str | None
    took_ms: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """How a delivery stands."""

    message: UUID
    topic: str
    object: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    next_at: datetime
    created_at: datetime
    finished_at: datetime | None
    last_status: int | None
    last_error: str | None


def waiting(connection: Connection, workspace: int, *, limit: int) -> list[Waiting]:
    """Messages for the endpoints, the oldest first, locked; others take those that are not."""
    return [Waiting(**row) for row in connection.execute(_WAITING, (workspace, limit))]


def spread(
    connection: Connection,
    workspace: int,
    messages: Sequence[Waiting],
    targets: Sequence[tuple[Waiting, str, datetime]],
    now: datetime,
) -> None:
    """Make deliveries of messages, and note that they have been given out.

    Args:
        connection: In the transaction that locked them.
        workspace: The workspace's id.
        messages: All of them.
        targets: (message, endpoint, when) each.
        now: The instant.
    """
    connection.execute(
        "INSERT INTO delivery (part, workspace, message, endpoint, state, attempts, next_at, created_at)"
        " SELECT part, %s, message, endpoint, 'pending', 0, next_at, %s"
        " FROM unnest(%s::smallint[], %s::uuid[], %s::text[], %s::timestamptz[]) AS t (part, message, endpoint, next_at)"
        " ON CONFLICT DO NOTHING",
        (
            workspace,
            now,
            [one.part for one, _, _ in targets],
            [one.id for one, _, _ in targets],
            [endpoint for _, endpoint, _ in targets],
            [at for _, _, at in targets],
        ),
    )
    connection.execute(
        "UPDATE outbox o SET dispatched_at = %s FROM unnest(%s::smallint[], %s::uuid[]) AS t (part, id)"
        " WHERE o.part = t.part AND o.workspace = %s AND o.id = t.id",
        (now, [one.part for one in messages], [one.id for one in messages], workspace),
    )


def claim(
    connection: Connection, workspace: int, endpoint: str, now: datetime, *, most: int, lease: timedelta
) -> list[Due]:
    """Lease deliveries that are due; they are nobody else's until the lease ends, even if this process does."""
    rows = connection.execute(
        _CLAIM,
        {"workspace": workspace, "endpoint": endpoint, "now": now, "until": now + lease, "most": most},
    )
    return [_due(row) for row in rows]


def settle(
    connection: Connection,
    workspace: int,
    attempt: Attempt,
    state: Literal["pending", "delivered", "failed"],
    next_at: datetime,
) -> None:
    """Note an attempt, and what is to follow it."""
    connection.execute(
        "INSERT INTO delivery_attempt (part, workspace, message, endpoint, number, at, status, error, answer, took_ms)"
        " SELECT %(part)s, %(workspace)s, %(message)s, %(endpoint)s, coalesce(max(number), 0) + 1, %(at)s, %(status)s,"
        " %(error)s, %(answer)s, %(took)s FROM delivery_attempt WHERE part = %(part)s AND workspace = %(workspace)s"
        " AND message = %(message)s AND endpoint = %(endpoint)s",
        {
            "part": attempt.part,
            "workspace": workspace,
            "message": attempt.message,
            "endpoint": attempt.endpoint,
            "at": attempt.at,
            "status": attempt.status,
            "error": attempt.error,
            "answer": attempt.answer,
            "took": attempt.took_ms,
        },
    )
    connection.execute(
        "UPDATE delivery SET state = %s, next_at = %s, leased_until = NULL, finished_at = %s"
        " WHERE part = %s AND workspace = %s AND message = %s AND endpoint = %s AND state = 'pending'",
        (
            state,
            next_at,
            None if state == "pending" else attempt.at,
            attempt.part,
            workspace,
            attempt.message,
            attempt.endpoint,
        ),
    )


def load(
    connection: Connection, workspace: int, endpoint: str, *, state: str | None, limit: int
) -> list[DeliveryRow]:
    """An endpoint's deliveries, the newest first."""
    rows = connection.execute(
        "SELECT d.message, o.topic, o.object, d.state, d.attempts, d.next_at, d.created_at, d.finished_at,"
        " a.status AS last_status, a.error AS last_error FROM delivery d"
        " JOIN outbox o ON o.part = d.part AND o.workspace = d.workspace AND o.id = d.message"
        " LEFT JOIN LATERAL (SELECT status, error FROM delivery_attempt a WHERE a.part = d.part"
        " AND a.workspace = d.workspace AND a.message = d.message AND a.endpoint = d.endpoint"
        " ORDER BY number DESC LIMIT 1) a ON true"
        " WHERE d.workspace = %s AND d.endpoint = %s AND (%s::text IS NULL OR d.state = %s)"
        " ORDER BY d.created_at DESC, d.message LIMIT %s",
        (workspace, endpoint, state, state, limit),
    )
    return [DeliveryRow(**row) for row in rows]


def load_attempts(connection: Connection, workspace: int, endpoint: str, message: UUID) -> list[Attempt]:
    """The attempts of one delivery, in order."""
    rows = connection.execute(
        "SELECT part, message, endpoint, number, at, status, error, answer, took_ms FROM delivery_attempt"
        " WHERE workspace = %s AND endpoint = %s AND message = %s ORDER BY number",
        (workspace, endpoint, message),
    )
    return [Attempt(**row) for row in rows]


def replay(
    connection: Connection, workspace: int, endpoint: str, since: datetime, until: datetime, now: datetime
) -> int:
    """Send again what was sent, failed or not, of messages that happened in an interval; how many."""
    return connection.execute(
        "UPDATE delivery d SET state = 'pending', attempts = 0, next_at = %s, leased_until = NULL, finished_at = NULL FROM outbox o"
        " WHERE d.workspace = %s AND d.endpoint = %s AND o.part = d.part AND o.workspace = d.workspace"
        " AND o.id = d.message AND o.created_at >= %s AND o.created_at < %s",
        (now, workspace, endpoint, since, until),
    ).rowcount


def revive(connection: Connection, workspace: int, endpoint: str, now: datetime) -> None:
    """Let what still waits of an endpoint that is called again go at once."""
    connection.execute(
        "UPDATE delivery SET next_at = %s WHERE workspace = %s AND endpoint = %s AND state = 'pending'",
        (now, workspace, endpoint),
    )


def messages_between(
    connection: Connection, workspace: int, since: datetime, until: datetime, *, limit: int
) -> list[Waiting]:
    """Messages that happened in an interval, the oldest first."""
    rows = connection.execute(
        "SELECT part, id, topic, customer, created_at FROM outbox"
        " WHERE workspace = %s AND created_at >= %s AND created_at < %s ORDER BY created_at, id LIMIT %s",
        (workspace, since, until, limit),
    )
    return [Waiting(**row) for row in rows]


def next_at(connection: Connection, workspace: int) -> datetime | None:
    """The earliest instant at which something is due, leases and breakers aside."""
    row = connection.execute(
        "SELECT min(next_at) AS at FROM delivery WHERE workspace = %s AND state = 'pending'", (workspace,)
    ).fetchone()
    return None if row is None else row["at"]


def forget(connection: Connection, workspace: int, before: datetime) -> int:
    """Forget deliveries and attempts that ended before an instant; how many deliveries."""
    connection.execute("DELETE FROM delivery_attempt WHERE workspace = %s AND at < %s", (workspace, before))
    return connection.execute(
        "DELETE FROM delivery WHERE workspace = %s AND finished_at < %s", (workspace, before)
    ).rowcount


def _due(row: Row) -> Due:
    payload: dict[str, Any] = row["payload"]
    notice = Notice(
        f"msg_{row['id'].hex}", row["topic"], row["object"], row["sequence"], payload, row["created_at"]
    )
    return Due(row["part"], row["id"], row["attempts"], notice)
