"""The outbox: what happened, written in the transaction in which it happened, to be told to others later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened.

    Attributes:
        part: The part of what it happened to.
        id: Its name for ever, so that telling it twice can be recognised.
        topic: What happened, such as ``invoice.finalised``.
        object: The id of what it happened to.
        payload: What is told.
    """

    part: int
    id: UUID
    topic: str
    object: str
    payload: Mapping[str, Any]


def put(connection: Connection, workspace: int, messages: Sequence[Message], now: datetime) -> None:
    """Write messages; one that is there already stays as it is."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO outbox (part, workspace, id, topic, object, payload, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (part, workspace, id) DO NOTHING",
            [
                (one.part, workspace, one.id, one.topic, one.object, Jsonb(dict(one.payload)), now)
                for one in messages
            ],
        )
