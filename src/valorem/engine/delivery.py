"""Delivery: messages of the outbox reach every endpoint that wants them at least once, with one id for ever.

A delivery is leased, sent outside of any transaction, and settled. Whoever dies in between lets the lease end, and the
same message with the same id is sent again. Each endpoint has its own few places, so a dead one delays nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import NAMESPACE_URL, uuid5

from valorem.core.delivery.schedule import digest_at, next_attempt_at
from valorem.core.delivery.texts import Notice, redacted
from valorem.core.ids import PARTS, identity
from valorem.core.time import write_instant
from valorem.engine.engine import Engine, Transaction
from valorem.engine.webhooks import open_secrets
from valorem.store.postgres import deliveries, outbox, webhooks
from valorem.store.postgres.deliveries import Attempt, Due
from valorem.store.postgres.outbox import Message
from valorem.store.postgres.webhooks import Endpoint
from valorem.store.vault import UnreadableSecretError

LEASE = timedelta(seconds=60)
AT_ONCE = 4
_MOST_MESSAGES = 500
_MOST_IN_DIGEST = 200
_MOST_LETTERS = 2000
_GONE = 410


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent in one go.

    Attributes:
        endpoint: Where to.
        notices: One, or those of a digest.
        secrets: What signs it.
    """

    endpoint: Endpoint
    notices: tuple[Notice, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        status: What the receiver answered; None where it did not.
        error: What went wrong; None where it was taken.
        answer: The beginning of the answer.
        took_ms: How long it took.
        retry_after_s: The pause the receiver asked for.
    """

    status: int | None
    error: str | None
    answer: str | None = None
    took_ms: int = 0
    retry_after_s: int | None = None


class Sender(Protocol):
    """Speaks to one kind of receiver; never raises for what a receiver does."""

    async def send(self, outgoing: Outgoing, now: datetime) -> Outcome:
        """Send it once."""
        ...


@dataclass(frozen=True, slots=True)
class Leased:
    """Deliveries that are this process's to attempt now, in one go; or a ``problem`` that keeps them from being sent."""

    workspace: int
    outgoing: Outgoing
    due: tuple[Due, ...]
    problem: str | None = None


def take(engine: Engine, workspace: int, busy: Mapping[str, int]) -> list[Leased]:
    """Give new messages to the endpoints that want them, and lease what is due.

    Args:
        engine: The engine; deliveries live in real time, whatever a sandbox's clock says.
        workspace: The workspace's id.
        busy: How many of each endpoint's places are taken in this process.
    """
    now = engine.real_now()
    with engine.transaction(workspace) as tx:
        endpoints = webhooks.load_all(tx.connection, workspace, active=True)
        _spread(tx, endpoints, now)
        found: list[Leased] = []
        for endpoint in endpoints:
            places = endpoint.health.at_once(now, AT_ONCE) - busy.get(endpoint.id, 0)
            if places > 0:
                found += _lease(tx, endpoint, now, places)
        return found


def settle(engine: Engine, leased: Leased, outcome: Outcome, chance: float) -> None:
    """Note what became of an attempt, and when the next is due; disable an endpoint that is gone for good."""
    now, endpoint = engine.real_now(), leased.outgoing.endpoint
    with engine.transaction(leased.workspace) as tx:
        current = webhooks.load(tx.connection, leased.workspace, endpoint.id, lock=True)
        for due in leased.due:
            again = (
                None
                if outcome.error is None
                else next_attempt_at(due.attempts, now, chance, outcome.retry_after_s)
            )
            state = "delivered" if outcome.error is None else "pending" if again is not None else "failed"
            attempt = Attempt(
                due.part,
                due.message,
                endpoint.id,
                due.attempts,
                now,
                outcome.status,
                None if outcome.error is None else _kept(outcome.error),
                None if outcome.answer is None else _kept(outcome.answer),
                outcome.took_ms,
            )
            deliveries.settle(tx.connection, leased.workspace, attempt, state, again or now)  # type: ignore[arg-type]
        if current is None or current.state != "active":
            return
        if outcome.error is None:
            if current.health.failures:
                webhooks.set_health(
                    tx.connection, leased.workspace, endpoint.id, current.health.after_success()
                )
            return
        health = current.health.after_failure(now)
        if outcome.status == _GONE:
            _disable(tx, current, "the receiver answered that it is gone (410)", now)
        elif health.is_hopeless(now):
            _disable(tx, current, "the receiver has taken nothing for days", now)
        else:
            webhooks.set_health(tx.connection, leased.workspace, endpoint.id, health)


def _spread(tx: Transaction, endpoints: Sequence[Endpoint], now: datetime) -> None:
    messages = deliveries.waiting(tx.connection, tx.workspace.id, limit=_MOST_MESSAGES)
    if not messages:
        return
    targets = [
        (message, endpoint.id, digest_at(endpoint.digest, now))
        for message in messages
        for endpoint in endpoints
        if endpoint.wants(message.topic, message.customer)
    ]
    deliveries.spread(tx.connection, tx.workspace.id, messages, targets, now)


def _lease(tx: Transaction, endpoint: Endpoint, now: datetime, places: int) -> list[Leased]:
    digests = endpoint.digest != "at_once"
    most = _MOST_IN_DIGEST if digests else places
    due = deliveries.claim(tx.connection, tx.workspace.id, endpoint.id, now, most=most, lease=LEASE)
    if not due:
        return []
    together = [tuple(due)] if digests else [(one,) for one in due]
    try:
        secrets, problem = open_secrets(tx, endpoint, now), None
    except UnreadableSecretError as error:
        secrets, problem = (), f"{error.message}: {error.hint}"
    return [
        Leased(
            tx.workspace.id, Outgoing(endpoint, tuple(one.notice for one in group), secrets), group, problem
        )
        for group in together
    ]


def _disable(tx: Transaction, endpoint: Endpoint, reason: str, now: datetime) -> None:
    webhooks.set_state(tx.connection, tx.workspace.id, endpoint.id, "disabled", reason)
    name = f"valorem:{tx.workspace.id}:endpoint.disabled:{endpoint.id}:{write_instant(now)}"
    message = Message(
        part=identity(tx.workspace.id, endpoint.id)[0] % PARTS,
        id=uuid5(NAMESPACE_URL, name),
        topic="endpoint.disabled",
        object=endpoint.id,
        payload={"endpoint": endpoint.id, "kind": endpoint.kind, "reason": reason, "at": write_instant(now)},
    )
    outbox.put(tx.connection, tx.workspace.id, [message], tx.now)


def _kept(text: str) -> str:
    """What the log keeps of a receiver's words: the beginning, without secrets, without what cannot be stored."""
    return redacted(text.replace("\0", "")).encode("utf-8", "replace").decode()[:_MOST_LETTERS]
