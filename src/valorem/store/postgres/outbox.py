"""The outbox: what happened, written in the transaction in which it happened, to be told to others later."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from valorem.store.postgres.database import Connection


def put(
    connection: Connection,
    *,
    part: int,
    workspace: int,
    message_id: UUID,
    topic: str,
    subject: str,
    payload: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write one message; its id is its name for ever, so telling it twice can be recognised."""
    connection.execute(
        "INSERT INTO outbox (part, workspace, id, topic, object, payload, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (part, workspace, id) DO NOTHING",
        (part, workspace, message_id, topic, subject, Jsonb(dict(payload)), now),
    )
