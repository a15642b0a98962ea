"""Links into the portal and the sessions they begin: only digests of tokens are stored."""

from dataclasses import dataclass
from datetime import datetime

from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link that works once.

    Attributes:
        workspace: Id of the workspace.
        customer: The customer's key.
        origin: Who may frame what it opens; None for a page of its own.
        actor: The operator who looks through the customer's eyes; None for the customer itself.
        language: In which it opens, where that was said.
        created_at: Real time.
        expires_at: Worthless from then on.
        used_at: When it was used.
    """

    workspace: int
    customer: str
    origin: str | None
    actor: str | None
    language: str | None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """Somebody looks at one customer's portal.

    Attributes:
        workspace: Id of the workspace.
        customer: The customer's key.
        origin: Who frames it.
        actor: The operator who looks through the customer's eyes.
        language: The one chosen.
        seen_at: When it was last used.
        expires_at: Over from then on, unless it is used before.
        ends_at: Over from then on, used or not.
    """

    workspace: int
    customer: str
    origin: str | None
    actor: str | None
    language: str | None
    seen_at: datetime
    expires_at: datetime
    ends_at: datetime


_LINK = "workspace, customer, origin, actor, language, created_at, expires_at, used_at"
_SESSION = "workspace, customer, origin, actor, language, seen_at, expires_at, ends_at"


def insert_link(connection: Connection, digest: bytes, link: LinkRow) -> None:
    """Keep a link."""
    connection.execute(
        f"INSERT INTO portal_link (digest, {_LINK}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, NULL)",
        (
            digest,
            link.workspace,
            link.customer,
            link.origin,
            link.actor,
            link.language,
            link.created_at,
            link.expires_at,
        ),
    )


def use_link(connection: Connection, digest: bytes, now: datetime) -> LinkRow | None:
    """Take a link, so that nobody can use it again; None when it was used, or is over, or never was."""
    row = connection.execute(
        "UPDATE portal_link SET used_at = %s WHERE digest = %s AND used_at IS NULL AND expires_at > %s"
        f" RETURNING {_LINK}",
        (now, digest, now),
    ).fetchone()
    return LinkRow(**row) if row else None


def find_link(connection: Connection, digest: bytes) -> LinkRow | None:
    """A link that may be used or over."""
    row = connection.execute(f"SELECT {_LINK} FROM portal_link WHERE digest = %s", (digest,)).fetchone()
    return LinkRow(**row) if row else None


def insert_session(connection: Connection, digest: bytes, session: SessionRow) -> None:
    """Begin a session."""
    connection.execute(
        f"INSERT INTO portal_session (digest, {_SESSION}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            digest,
            session.workspace,
            session.customer,
            session.origin,
            session.actor,
            session.language,
            session.seen_at,
            session.expires_at,
            session.ends_at,
        ),
    )


def find_session(connection: Connection, digest: bytes) -> SessionRow | None:
    """A session that may be over."""
    row = connection.execute(f"SELECT {_SESSION} FROM portal_session WHERE digest = %s", (digest,)).fetchone()
    return SessionRow(**row) if row else None


def touch_session(connection: Connection, digest: bytes, now: datetime, expires_at: datetime) -> None:
    """Note that a session is in use, and let it live on."""
    connection.execute(
        "UPDATE portal_session SET seen_at = %s, expires_at = least(%s, ends_at) WHERE digest = %s",
        (now, expires_at, digest),
    )


def choose_language(connection: Connection, digest: bytes, language: str) -> None:
    """Show a session's pages in a language."""
    connection.execute("UPDATE portal_session SET language = %s WHERE digest = %s", (language, digest))


def end_session(connection: Connection, digest: bytes, now: datetime) -> None:
    """End a session; who framed it stays known for a while, so that its page can say that it is over."""
    connection.execute("UPDATE portal_session SET expires_at = %s WHERE digest = %s", (now, digest))


def end_sessions_of(connection: Connection, workspace: int, customer: str, now: datetime) -> int:
    """End every session of a customer, and let its links open nothing; how many sessions were running."""
    connection.execute(
        "UPDATE portal_link SET expires_at = %s WHERE workspace = %s AND customer = %s AND expires_at > %s",
        (now, workspace, customer, now),
    )
    ended = connection.execute(
        "UPDATE portal_session SET expires_at = %s WHERE workspace = %s AND customer = %s AND expires_at > %s RETURNING 1",
        (now, workspace, customer, now),
    )
    return len(ended.fetchall())


def forget(connection: Connection, before: datetime) -> None:
    """Forget links and sessions that were over before an instant."""
    connection.execute("DELETE FROM portal_link WHERE expires_at < %s", (before,))
    connection.execute("DELETE FROM portal_session WHERE expires_at < %s", (before,))
