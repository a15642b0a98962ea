"""Transactions that are run again when the database asks for it."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from psycopg.errors import DeadlockDetected, SerializationFailure

from valorem.core.errors import OverloadedError
from valorem.engine.engine import Engine, Transaction

R = TypeVar("R")

_TRIES = 8
_FIRST_WAIT_S = 0.01


def in_snapshot(engine: Engine, workspace: int, verb: Callable[[Transaction], R]) -> R:
    """Run a verb in a transaction that sees one instant, again from the start when another one got in its way.

    The verb must do nothing outside the transaction.

    Raises:
        OverloadedError: If others got in its way every time. Nothing was written.
    """
    for attempt in range(_TRIES):
        try:
            with engine.transaction(workspace, snapshot=True) as tx:
                return verb(tx)
        except (SerializationFailure, DeadlockDetected):
            time.sleep(random.uniform(0, _FIRST_WAIT_S * 2**attempt))  # noqa: S311 - spreads rivals, keeps no secret
    raise OverloadedError("other work on the same rows went first every time; nothing was done")
