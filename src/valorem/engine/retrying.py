"""Transactions that are run again when the database asks for it."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from psycopg.errors import DeadlockDetected, SerializationFailure

from valorem.core.errors import OverloadedError
from valorem.engine.engine import Engine, Transaction
from valorem.store.postgres import locks
from valorem.store.postgres.database import Turn

R = TypeVar("R")


class CrossedError(Exception):
    """Another transaction got in the way of one that is written as a block; nothing of it was written."""


_TRIES = 8
_FIRST_WAIT_S = 0.01
_LONGEST_PAUSE_S = 0.25


def in_transaction(
    engine: Engine,
    workspace: int,
    verb: Callable[[Transaction], R],
    *,
    snapshot: bool = False,
    turn: Turn | None = None,
) -> R:
    """Run a verb in a transaction, again from the start when another one got in its way.

    Two that lock the same rows in different order (an edit of a contract, and the closing run that bills it) end with one
    of them rolled back by the database; nothing of it was written, so it is simply done again.

    Args:
        engine: The engine.
        workspace: The workspace's id.
        verb: Does nothing outside the transaction.
        snapshot: Let every statement see the same instant.
        turn: A lock to wait for before that instant.

    Raises:
        OverloadedError: If others got in its way every time. Nothing was written.
    """

    def once() -> R:
        with acting(engine, workspace, snapshot=snapshot, turn=turn) as tx:
            return verb(tx)

    return until_done(once)


@contextmanager
def acting(
    engine: Engine, workspace: int, *, snapshot: bool = False, turn: Turn | None = None
) -> Iterator[Transaction]:
    """One transaction as a block, for work that :func:`until_done` does again.

    Raises:
        CrossedError: If another transaction got in its way. Nothing was written.
    """
    try:
        with engine.transaction(workspace, snapshot=snapshot, turn=turn) as tx:
            yield tx
    except (SerializationFailure, DeadlockDetected) as error:
        raise CrossedError from error


def until_done(work: Callable[[], R]) -> R:
    """Do some work, again from the start when another transaction got in the way of its own.

    Args:
        work: Writes in one :func:`acting` block and nowhere else before it.

    Raises:
        OverloadedError: If others got in its way every time. Nothing was written.
    """
    for attempt in range(_TRIES):
        try:
            return work()
        except CrossedError:
            time.sleep(random.uniform(0, _FIRST_WAIT_S * 2**attempt))  # noqa: S311 - spreads rivals, keeps no secret
    raise OverloadedError("other work on the same rows went first every time; nothing was done")


def in_snapshot(
    engine: Engine, workspace: int, verb: Callable[[Transaction], R], *, turn: Turn | None = None
) -> R:
    """The same in a transaction that sees one instant, after its turn has come."""
    return in_transaction(engine, workspace, verb, snapshot=True, turn=turn)


@contextmanager
def alone(engine: Engine, work: str, workspace: int, *, wait_s: float) -> Iterator[bool]:
    """Let one at a time, of all processes, do some work in a workspace; the block is told whether it is the one.

    The lock is the database's and ends with the connection, so a killed process leaves none behind. Whoever waits holds no
    connection meanwhile.

    Args:
        engine: The engine.
        work: What is done.
        workspace: The workspace's id.
        wait_s: How long to wait for others to finish.
    """
    deadline, pause_s = time.monotonic() + wait_s, _FIRST_WAIT_S
    while True:
        with engine.database.system() as connection:
            taken = locks.take(connection, locks.Lock.JOB, workspace, work)
            if taken or time.monotonic() >= deadline:
                yield taken
                return
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
