"""Answers kept under the caller's own key, so that a repeated request is answered and not done again."""

from dataclasses import dataclass
from datetime import datetime

from valorem.core.ids import part_of
from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered before.

    Attributes:
        request: Digest of the request it answered.
        status: HTTP status.
        response: The body as sent.
    """

    request: bytes
    status: int
    response: bytes


def load(connection: Connection, workspace: int, key: str) -> StoredAnswer | None:
    """The answer kept under a key."""
    row = connection.execute(
        "SELECT request, status, response FROM idempotency WHERE part = %s AND workspace = %s AND key = %s",
        (part_of(workspace, key), workspace, key),
    ).fetchone()
    return None if row is None else StoredAnswer(row["request"], row["status"], row["response"])


def insert(connection: Connection, workspace: int, key: str, answer: StoredAnswer, now: datetime) -> None:
    """Keep an answer under a claimed key."""
    connection.execute(
        "INSERT INTO idempotency (part, workspace, key, request, status, response, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (part_of(workspace, key), workspace, key, answer.request, answer.status, answer.response, now),
    )


def forget_before(connection: Connection, before: datetime, *, most: int) -> int:
    """Delete old answers of every workspace, at most so many at once; how many it were."""
    rows = connection.execute(
        "DELETE FROM idempotency WHERE ctid = ANY (ARRAY("
        "SELECT ctid FROM idempotency WHERE created_at < %s LIMIT %s)) RETURNING 1",
        (before, most),
    )
    return len(rows.fetchall())
