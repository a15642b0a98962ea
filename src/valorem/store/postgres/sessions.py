"""Sessions, one-use links and the installation's secret: only digests of tokens are stored."""

from datetime import datetime

from valorem.store.postgres.database import Connection
from valorem.store.postgres.people import Person


def insert(connection: Connection, digest: bytes, person: str, now: datetime, expires_at: datetime) -> None:
    """Begin a session."""
    connection.execute(
        "INSERT INTO web_session (digest, person, created_at, seen_at, expires_at) VALUES (%s, %s, %s, %s, %s)",
        (digest, person, now, now, expires_at),
    )


def find(connection: Connection, digest: bytes, now: datetime) -> tuple[Person, datetime] | None:
    """Whose session this is and when it was last seen; None when it is over or its person may not sign in."""
    row = connection.execute(
        "SELECT p.id, p.email, p.name, p.role, p.password, p.subject, p.created_at, p.disabled_at, s.seen_at"
        " FROM web_session s JOIN person p ON p.id = s.person"
        " WHERE s.digest = %s AND s.expires_at > %s AND p.disabled_at IS NULL",
        (digest, now),
    ).fetchone()
    if row is None:
        return None
    seen_at = row.pop("seen_at")
    return Person(**row), seen_at


def touch(connection: Connection, digest: bytes, now: datetime, expires_at: datetime) -> None:
    """Note that a session is in use, and let it live on."""
    connection.execute(
        "UPDATE web_session SET seen_at = %s, expires_at = %s WHERE digest = %s", (now, expires_at, digest)
    )


def delete(connection: Connection, digest: bytes) -> None:
    """End a session."""
    connection.execute("DELETE FROM web_session WHERE digest = %s", (digest,))


def delete_of(connection: Connection, person: str) -> None:
    """End every session of a person."""
    connection.execute("DELETE FROM web_session WHERE person = %s", (person,))


def delete_expired(connection: Connection, now: datetime) -> None:
    """Forget sessions and links that are over."""
    connection.execute("DELETE FROM web_session WHERE expires_at <= %s", (now,))
    connection.execute("DELETE FROM one_use_link WHERE expires_at <= %s", (now,))


def insert_link(
    connection: Connection,
    digest: bytes,
    *,
    purpose: str,
    person: str | None,
    now: datetime,
    expires_at: datetime,
) -> None:
    """Store a one-use link; an earlier one for the same purpose and person is worthless from now on."""
    connection.execute(
        "DELETE FROM one_use_link WHERE purpose = %s AND person IS NOT DISTINCT FROM %s", (purpose, person)
    )
    connection.execute(
        "INSERT INTO one_use_link (digest, purpose, person, created_at, expires_at) VALUES (%s, %s, %s, %s, %s)",
        (digest, purpose, person, now, expires_at),
    )


def find_link(connection: Connection, digest: bytes, purpose: str, now: datetime) -> tuple[str | None] | None:
    """The person a link is for, in a tuple; None when there is no such link any more."""
    row = connection.execute(
        "SELECT person FROM one_use_link WHERE digest = %s AND purpose = %s AND expires_at > %s",
        (digest, purpose, now),
    ).fetchone()
    return (row["person"],) if row else None


def use_link(connection: Connection, digest: bytes, purpose: str, now: datetime) -> tuple[str | None] | None:
    """Take a link, so that nobody can use it again; the person it is for, in a tuple."""
    row = connection.execute(
        "DELETE FROM one_use_link WHERE digest = %s AND purpose = %s AND expires_at > %s RETURNING person",
        (digest, purpose, now),
    ).fetchone()
    return (row["person"],) if row else None


def secret(connection: Connection, name: str, proposed: bytes) -> bytes:
    """The installation's secret of a name; the proposed one where there is none yet."""
    connection.execute(
        "INSERT INTO installation_secret (name, secret) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (name, proposed),
    )
    row = connection.execute("SELECT secret FROM installation_secret WHERE name = %s", (name,)).fetchone()
    assert row is not None
    return bytes(row["secret"])
