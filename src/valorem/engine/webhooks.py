"""Endpoints: where notices go; made, tested, rotated, disabled, replayed."""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from valorem.core.delivery.schedule import Health, digest_at
from valorem.core.delivery.targets import parse_target
from valorem.core.delivery.topics import TOPICS
from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ids import PARTS, identity
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.store.postgres import deliveries, outbox, webhooks
from valorem.store.postgres.deliveries import Attempt, DeliveryRow
from valorem.store.postgres.outbox import Message
from valorem.store.postgres.webhooks import Endpoint
from valorem.store.vault import UnreadableSecretError

_MOST_ENDPOINTS = 50
_MOST_REPLAYED = 10_000
_OVERLAP = timedelta(hours=24)


def create_endpoint(
    tx: Transaction,
    *,
    kind: Literal["webhook", "slack", "email"],
    address: str,
    topics: Sequence[str] = (),
    customer: str | None = None,
    digest: Literal["at_once", "hourly", "daily"] = "at_once",
    loopback: bool = False,
) -> Endpoint:
    """Make an endpoint; a webhook's secret is in this answer and nowhere else.

    Args:
        tx: The transaction.
        kind: ``webhook`` (Standard Webhooks), ``slack`` (anything that takes Slack's incoming webhooks) or ``email``.
        address: A URL, or a mail address.
        topics: What it is told; everything where empty.
        customer: Only about this customer.
        digest: For mail and Slack: at once, or together by the hour or the day.
        loopback: Whether this machine itself may be called.

    Raises:
        InvalidInputError: Naming the field.
        NotFoundError: If there is no such customer.
    """
    if kind == "email":
        _check_mail(address)
    else:
        parse_target(address, loopback=loopback)
    if kind == "webhook" and digest != "at_once":
        raise InvalidInputError("a webhook gets each notice by itself", field="digest", hint="leave it out")
    if customer is not None:
        get_customer(tx, customer)
    check_topics(topics)
    if len(webhooks.load_all(tx.connection, tx.workspace.id)) >= _MOST_ENDPOINTS:
        raise UnprocessableError(f"a workspace has at most {_MOST_ENDPOINTS} endpoints", field="url")
    made = Endpoint(
        id=new_id("end", 0, tx.now),
        kind=kind,
        address=address,
        topics=tuple(dict.fromkeys(topics)),
        customer=customer,
        digest=digest,
        secret=new_secret() if kind == "webhook" else None,
        old_secret=None,
        old_secret_until=None,
        state="active",
        reason=None,
        health=Health(),
        created_at=tx.now,
    )
    webhooks.insert(tx.connection, tx.workspace.id, _sealed(tx, made))
    return made


def list_endpoints(tx: Transaction) -> list[Endpoint]:
    """Every endpoint."""
    return webhooks.load_all(tx.connection, tx.workspace.id)


def get_endpoint(tx: Transaction, endpoint: str, *, lock: bool = False) -> Endpoint:
    """One endpoint.

    Raises:
        NotFoundError: If there is none.
    """
    found = webhooks.load(tx.connection, tx.workspace.id, endpoint, lock=lock)
    if found is None:
        raise NotFoundError(f"there is no endpoint {endpoint[:60]!r}", field="endpoint")
    return found


def update_endpoint(
    tx: Transaction,
    endpoint: str,
    *,
    topics: Sequence[str] | None = None,
    digest: Literal["at_once", "hourly", "daily"] | None = None,
    state: Literal["active", "disabled"] | None = None,
    real_now: datetime,
) -> Endpoint:
    """Change what an endpoint is told, or whether it is called; what still waits for one that is called again goes at once.

    Raises:
        NotFoundError: If there is none.
        InvalidInputError: Naming the field.
    """
    before = get_endpoint(tx, endpoint, lock=True)
    if topics is not None:
        check_topics(topics)
    if before.kind == "webhook" and digest not in (None, "at_once"):
        raise InvalidInputError("a webhook gets each notice by itself", field="digest", hint="leave it out")
    webhooks.change(tx.connection, tx.workspace.id, endpoint, topics=topics, digest=digest)
    if state is not None and state != before.state:
        reason = None if state == "active" else "disabled by hand"
        webhooks.set_state(tx.connection, tx.workspace.id, endpoint, state, reason)
        if state == "active":
            deliveries.revive(tx.connection, tx.workspace.id, endpoint, real_now)
    return get_endpoint(tx, endpoint)


def delete_endpoint(tx: Transaction, endpoint: str) -> None:
    """Remove an endpoint and what was still to be sent to it.

    Raises:
        NotFoundError: If there is none.
    """
    if not webhooks.delete(tx.connection, tx.workspace.id, endpoint):
        raise NotFoundError(f"there is no endpoint {endpoint[:60]!r}", field="endpoint")


def rotate_secret(tx: Transaction, endpoint: str, *, real_now: datetime) -> Endpoint:
    """Sign with a new secret; for a day with the old one as well, so that a receiver can change over in peace.

    Raises:
        NotFoundError: If there is none.
        UnprocessableError: If it has no secret.
    """
    before = get_endpoint(tx, endpoint, lock=True)
    if before.secret is None:
        raise UnprocessableError(f"{before.kind} endpoints are not signed", field="endpoint")
    secret = new_secret()
    until = real_now + _OVERLAP
    webhooks.rotate(
        tx.connection, tx.workspace.id, endpoint, tx.vault.seal(secret, about(tx, endpoint)), until
    )
    return replace(before, secret=secret, old_secret=before.secret, old_secret_until=until)


def about(tx: Transaction, endpoint: str) -> str:
    """What an endpoint's sealed secrets are secrets of."""
    return f"workspace {tx.workspace.id} endpoint {endpoint}"


def open_secrets(tx: Transaction, endpoint: Endpoint, now: datetime) -> tuple[str, ...]:
    """What signs now; a secret that cannot be opened signs nothing, and where none is left nothing may be sent.

    Raises:
        UnreadableSecretError: If none of them opens.
    """
    opened: list[str] = []
    failed: UnreadableSecretError | None = None
    for stored in endpoint.secrets_at(now):
        try:
            opened.append(tx.vault.open(stored, about(tx, endpoint.id)))
        except UnreadableSecretError as error:
            failed = error
    if failed is not None and not opened:
        raise failed
    return tuple(opened)


def reseal(tx: Transaction) -> int:
    """Seal every secret of the workspace with the newest key, where it is not yet; how many endpoints that changed."""
    changed = 0
    for endpoint in webhooks.load_all(tx.connection, tx.workspace.id):
        stored = [endpoint.secret, endpoint.old_secret]
        if all(each is None or tx.vault.is_current(each) for each in stored):
            continue
        if all(each is None or tx.vault.opens(each) for each in stored):
            name = about(tx, endpoint.id)
            fresh = [
                None if each is None else tx.vault.seal(tx.vault.open(each, name), name) for each in stored
            ]
            changed += webhooks.reseal(tx.connection, tx.workspace.id, endpoint, fresh[0], fresh[1])
    return changed


def _sealed(tx: Transaction, made: Endpoint) -> Endpoint:
    return (
        made if made.secret is None else replace(made, secret=tx.vault.seal(made.secret, about(tx, made.id)))
    )


def list_deliveries(
    tx: Transaction, endpoint: str, *, state: str | None = None, limit: int = 50
) -> list[DeliveryRow]:
    """An endpoint's deliveries, the newest first.

    Raises:
        NotFoundError: If there is no such endpoint.
    """
    get_endpoint(tx, endpoint)
    return deliveries.load(tx.connection, tx.workspace.id, endpoint, state=state, limit=limit)


def list_attempts(tx: Transaction, endpoint: str, message: UUID) -> list[Attempt]:
    """Every attempt of one delivery.

    Raises:
        NotFoundError: If there is no such endpoint.
    """
    get_endpoint(tx, endpoint)
    return deliveries.load_attempts(tx.connection, tx.workspace.id, endpoint, message)


def replay(tx: Transaction, endpoint: str, since: datetime, until: datetime, *, real_now: datetime) -> int:
    """Send again everything an endpoint wants of what happened in an interval, under the same ids; how many.

    Raises:
        NotFoundError: If there is no such endpoint.
    """
    found = get_endpoint(tx, endpoint, lock=True)
    messages = deliveries.messages_between(tx.connection, tx.workspace.id, since, until, limit=_MOST_REPLAYED)
    wanted = [one for one in messages if found.wants(one.topic, one.customer)]
    at = digest_at(found.digest, real_now)
    deliveries.spread(
        tx.connection, tx.workspace.id, wanted, [(one, found.id, at) for one in wanted], real_now
    )
    webhooks.set_health(tx.connection, tx.workspace.id, endpoint, Health())
    deliveries.replay(tx.connection, tx.workspace.id, endpoint, since, until, real_now)
    return len(wanted)


def send_test(tx: Transaction, endpoint: str) -> None:
    """Tell every endpoint that takes tests that this is one.

    Raises:
        NotFoundError: If there is no such endpoint.
    """
    found = get_endpoint(tx, endpoint)
    message = Message(
        part=identity(tx.workspace.id, found.id)[0] % PARTS,
        id=uuid4(),
        topic="webhook.test",
        object=found.id,
        payload={"endpoint": found.id, "text": "this is a test"},
    )
    outbox.put(tx.connection, tx.workspace.id, [message], tx.now)


def check_topics(topics: Sequence[str]) -> None:
    """Refuse topics that never happen.

    Raises:
        InvalidInputError: Naming ``topics``.
    """
    families = {f"{topic.partition('.')[0]}.*" for topic in TOPICS}
    for topic in topics:
        if topic not in TOPICS and topic not in families:
            raise InvalidInputError(
                f"there is no topic {topic[:60]!r}", field="topics", hint=f"there are {', '.join(TOPICS)}"
            )


def new_secret() -> str:
    """A signing secret of 32 random bytes."""
    return f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"


def _check_mail(address: str) -> None:
    name, at, host = address.rpartition("@")
    if (
        not at
        or not name
        or "." not in host
        or len(address) > 254
        or not address.isascii()
        or not address.isprintable()
        or any(letter in address for letter in ' ,;<>"()[]\\:')
    ):
        raise InvalidInputError(
            f"{address[:60]!r} is no mail address", field="url", hint="write it as name@example.com"
        )
