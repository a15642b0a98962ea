"""Doing a request once: the answer is kept in the very transaction that has the effect.

A crash before the commit leaves neither, so the repeat does the work; after it, the repeat finds the answer. Only answers
to requests that had an effect are kept: a refused request wrote nothing, and may be right the next time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.engine.engine import Engine, Transaction
from valorem.store.postgres import idempotency, locks
from valorem.store.postgres.idempotency import StoredAnswer

MAX_KEY_LETTERS = 255
#: How long a repeat is recognised.
KEPT_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Once:
    """What was answered, now or before."""

    status: int
    response: bytes
    replayed: bool


def once(
    tx: Transaction, key: str | None, request: bytes, effect: Callable[[], tuple[int, bytes, bytes]]
) -> Once:
    """Have an effect once for a key, within the transaction that the effect itself writes in.

    Args:
        tx: The transaction.
        key: The caller's key; None has the effect without remembering it.
        request: Digest of method, path and body; the same key with another request is refused.
        effect: Does it, and gives the status, the body to answer and the body to keep for a repeat (the same, unless
            the answer holds a secret).

    Raises:
        UnprocessableError: If the key was used for another request.
        ConflictError: If the same request is being done right now.
    """
    if key is None:
        status, response, _ = effect()
        return Once(status, response, replayed=False)
    check_key(key)
    workspace = tx.workspace.id
    if not locks.take(tx.connection, locks.Lock.IDEMPOTENCY, workspace, key):
        raise ConflictError(
            "a request with this Idempotency-Key is being worked on",
            field="Idempotency-Key",
            hint="wait for its answer, or send the same request again in a moment",
        )
    found = idempotency.load(tx.connection, workspace, key)
    if found is not None:
        if found.request != request:
            raise UnprocessableError(
                "this Idempotency-Key was used for another request",
                field="Idempotency-Key",
                hint="use a new key for a new request, and the same key only to repeat the same one",
            )
        return Once(found.status, found.response, replayed=True)
    status, response, kept = effect()
    idempotency.insert(tx.connection, workspace, key, StoredAnswer(request, status, kept), tx.now)
    return Once(status, response, replayed=False)


def check_key(key: str) -> None:
    """Refuse a key that cannot be kept.

    Raises:
        InvalidInputError: Unless it is 1 to 255 printable ASCII letters.
    """
    if not 1 <= len(key) <= MAX_KEY_LETTERS or not key.isascii() or not key.isprintable():
        raise InvalidInputError(
            "this Idempotency-Key cannot be kept",
            field="Idempotency-Key",
            hint=f"1 to {MAX_KEY_LETTERS} printable ASCII letters, a UUID for example",
        )


def forget_answers(engine: Engine, *, most: int = 10_000) -> int:
    """Forget answers kept longer than :data:`KEPT_FOR`; how many it were."""
    with engine.database.system() as connection:
        return idempotency.forget_before(connection, engine.real_now() - KEPT_FOR, most=most)
