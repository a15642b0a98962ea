"""Endpoints: where notices go, and how each has been doing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from valorem.core.delivery.schedule import Health
from valorem.store.postgres.database import Connection, Row

_COLUMNS = (
    "id, kind, address, topics, customer, digest, secret, old_secret, old_secret_until, state, reason, failures,"
    " failing_since, open_until, created_at"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where notices go.

    Attributes:
        id: Its id.
        kind: How.
        address: A URL, or a mail address.
        topics: Which; empty takes all. ``alert.*`` takes everything that begins so.
        customer: Only about this customer.
        digest: ``at_once``, ``hourly`` or ``daily``.
        secret: Signs; sealed as it is stored.
        old_secret: Signs as well, until ``old_secret_until``.
        old_secret_until: See there.
        state: Whether it is called.
        reason: Why it is not.
        health: How it has been doing.
        created_at: When it was made.
    """

    id: str
    kind: Literal["webhook", "slack", "email"]
    address: str
    topics: tuple[str, ...]
    customer: str | None
    digest: Literal["at_once", "hourly", "daily"]
    secret: str | None
    old_secret: str | None
    old_secret_until: datetime | None
    state: Literal["active", "disabled"]
    reason: str | None
    health: Health
    created_at: datetime

    def wants(self, topic: str, customer: str | None) -> bool:
        """Whether it is told of a topic about a customer."""
        if self.customer is not None and self.customer != customer:
            return False
        return not self.topics or any(
            topic == each or (each.endswith(".*") and topic.startswith(each[:-1])) for each in self.topics
        )

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """What signs now; two while a rotation overlaps."""
        found = [] if self.secret is None else [self.secret]
        if self.old_secret is not None and self.old_secret_until is not None and now < self.old_secret_until:
            found.append(self.old_secret)
        return tuple(found)


def insert(connection: Connection, workspace: int, one: Endpoint) -> None:
    """Store a new endpoint."""
    connection.execute(
        "INSERT INTO endpoint (workspace, id, kind, address, topics, customer, digest, secret, state, failures,"
        " created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 0, %s)",
        (
            workspace,
            one.id,
            one.kind,
            one.address,
            list(one.topics),
            one.customer,
            one.digest,
            one.secret,
            one.state,
            one.created_at,
        ),
    )


def load(connection: Connection, workspace: int, endpoint: str, *, lock: bool = False) -> Endpoint | None:
    """One endpoint."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM endpoint WHERE workspace = %s AND id = %s" + (" FOR UPDATE" if lock else ""),
        (workspace, endpoint),
    ).fetchone()
    return None if row is None else _endpoint(row)


def load_all(connection: Connection, workspace: int, *, active: bool = False) -> list[Endpoint]:
    """Every endpoint in order of creation, or those that are called."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM endpoint WHERE workspace = %s"
        + (" AND state = 'active'" if active else "")
        + " ORDER BY id",
        (workspace,),
    )
    return [_endpoint(row) for row in rows]


def change(
    connection: Connection,
    workspace: int,
    endpoint: str,
    *,
    topics: Sequence[str] | None = None,
    digest: str | None = None,
) -> None:
    """Change what it is told, and when."""
    connection.execute(
        "UPDATE endpoint SET topics = coalesce(%s, topics), digest = coalesce(%s, digest)"
        " WHERE workspace = %s AND id = %s",
        (None if topics is None else list(topics), digest, workspace, endpoint),
    )


def set_state(
    connection: Connection,
    workspace: int,
    endpoint: str,
    state: Literal["active", "disabled"],
    reason: str | None,
) -> None:
    """Call it, or call it no more; either way its record is clean."""
    connection.execute(
        "UPDATE endpoint SET state = %s, reason = %s, failures = 0, failing_since = NULL, open_until = NULL"
        " WHERE workspace = %s AND id = %s",
        (state, reason, workspace, endpoint),
    )


def set_health(connection: Connection, workspace: int, endpoint: str, health: Health) -> None:
    """Note how it has been doing."""
    connection.execute(
        "UPDATE endpoint SET failures = %s, failing_since = %s, open_until = %s WHERE workspace = %s AND id = %s",
        (health.failures, health.failing_since, health.open_until, workspace, endpoint),
    )


def rotate(connection: Connection, workspace: int, endpoint: str, secret: str, old_until: datetime) -> None:
    """Sign with a new secret, and with the old one as well until an instant."""
    connection.execute(
        "UPDATE endpoint SET old_secret = secret, old_secret_until = %s, secret = %s WHERE workspace = %s AND id = %s",
        (old_until, secret, workspace, endpoint),
    )


def reseal(
    connection: Connection, workspace: int, before: Endpoint, secret: str | None, old_secret: str | None
) -> bool:
    """Store its secrets sealed anew, unless somebody changed them meanwhile; whether that was done."""
    found = connection.execute(
        "UPDATE endpoint SET secret = %s, old_secret = %s WHERE workspace = %s AND id = %s"
        " AND secret IS NOT DISTINCT FROM %s AND old_secret IS NOT DISTINCT FROM %s",
        (secret, old_secret, workspace, before.id, before.secret, before.old_secret),
    )
    return found.rowcount > 0


def delete(connection: Connection, workspace: int, endpoint: str) -> bool:
    """Remove it with what was still to be sent; whether there was one."""
    connection.execute("DELETE FROM delivery WHERE workspace = %s AND endpoint = %s", (workspace, endpoint))
    found = connection.execute("DELETE FROM endpoint WHERE workspace = %s AND id = %s", (workspace, endpoint))
    return found.rowcount > 0


def _endpoint(row: Row) -> Endpoint:
    health = Health(row.pop("failures"), row.pop("failing_since"), row.pop("open_until"))
    return Endpoint(**{**row, "topics": tuple(row["topics"])}, health=health)
