"""The outbox: what happened, written in the transaction in which it happened, to be told to others later."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from valorem.store.postgres.database import Connection

_CHANNEL: LiteralString = "valorem_outbox"

_PUT: LiteralString = """
WITH numbered AS (
    INSERT INTO outbox_object AS known (part, workspace, object, sequence) VALUES (%(part)s, %(workspace)s, %(object)s, 1)
    ON CONFLICT (part, workspace, object) DO UPDATE SET sequence = known.sequence + 1
    RETURNING sequence
)
INSERT INTO outbox (part, workspace, id, topic, object, payload, created_at, sequence, customer)
SELECT %(part)s, %(workspace)s, %(id)s, %(topic)s, %(object)s, %(payload)s, %(now)s, sequence, %(customer)s FROM numbered
ON CONFLICT (part, workspace, id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened.

    Attributes:
        part: The part of what it happened to.
        id: Its name for ever, so that telling it twice can be recognised.
        topic: What happened, such as ``invoice.finalised``.
        object: The id of what it happened to.
        payload: What is told; where it names a ``customer``, also to who listens to that customer alone.
    """

    part: int
    id: UUID
    topic: str
    object: str
    payload: Mapping[str, Any]


def put(connection: Connection, workspace: int, messages: Sequence[Message], now: datetime) -> None:
    """Write messages; one that is there already stays as it is.

    Messages about one object are numbered in order of commit, so that a receiver can drop what is older than it knows.
    """
    if not messages:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            _PUT,
            [
                {
                    "part": one.part,
                    "workspace": workspace,
                    "id": one.id,
                    "topic": one.topic,
                    "object": one.object,
                    "payload": Jsonb(dict(one.payload)),
                    "now": now,
                    "customer": one.payload.get("customer"),
                }
                for one in messages
            ],
        )
    connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, str(workspace)))


class Ear:
    """Hears of messages as soon as they are committed.

    Args:
        raw: A connection that does nothing else.
    """

    def __init__(self, raw: psycopg.Connection) -> None:
        self._raw = raw

    def hears(self, timeout_s: float) -> bool:
        """Whether something was committed, in this time at the latest."""
        return any(True for _ in self._raw.notifies(timeout=timeout_s, stop_after=1))


@contextmanager
def listening(url: str) -> Iterator[Ear]:
    """Listen on a connection of one's own.

    Args:
        url: ``postgresql://…``.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"LISTEN {_CHANNEL}")
        yield Ear(connection)
