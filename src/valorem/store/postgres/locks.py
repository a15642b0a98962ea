"""Locks on what has no row to lock: one list of them, so that no two uses can meet by accident.

Each lasts until its transaction ends, however that ends; a turn, which is waited for before the transaction begins, lasts as
long as the connection where it cannot be given back. A killed process leaves none behind.
"""

from enum import StrEnum

from valorem.store.postgres.database import Connection, Turn

#: Held by a session, before any table is there: two processes that start together must not migrate together.
MIGRATING = 0x56414C4F


class Lock(StrEnum):
    """What one transaction at a time does in a workspace."""

    APPLY = "apply a catalog"
    AUDIT = "append to the audit log"
    CONSUME = "consume of a customer's limits"
    EXPORT = "export to the warehouse"
    IDEMPOTENCY = "answer under an idempotency key"
    JOB = "do a background job"
    NUMBERS = "take numbers of a series"
    SOURCE = "take a source's records"


def wait_for(connection: Connection, lock: Lock, workspace: int, of: str = "") -> None:
    """Take a lock, after whoever has it.

    Args:
        connection: In a transaction.
        lock: What for.
        workspace: The workspace's id.
        of: Which customer, source, job and so on, where each is locked by itself.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", (_name(lock, of), workspace))


def turn_for(lock: Lock, workspace: int, of: str = "") -> Turn:
    """The same lock for a transaction that must have it before it begins, because it sees one instant."""
    return _name(lock, of), workspace


def take(connection: Connection, lock: Lock, workspace: int, of: str = "") -> bool:
    """Take a lock if nobody has it; whether it was taken."""
    row = connection.execute(
        "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, %s)) AS taken", (_name(lock, of), workspace)
    ).fetchone()
    assert row is not None  # a SELECT without a table has one row
    return bool(row["taken"])


def _name(lock: Lock, of: str) -> str:
    return f"valorem {lock.value}: {of}"
