"""Signing in: sessions behind a random token, and links that work once."""

import hmac
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import Literal

from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.engine.audit import INSTALLATION, Deed, record
from valorem.engine.engine import Engine
from valorem.engine.people import hash_password, new_person
from valorem.store.postgres import people, sessions
from valorem.store.postgres.people import Person

#: A session ends when it was not used for this long.
IDLE = timedelta(hours=12)
SET_UP_LASTS = timedelta(hours=24)
INVITATION_LASTS = timedelta(days=7)
_TOUCH_EVERY = timedelta(minutes=5)
Purpose = Literal["set_up", "password"]


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody is signed in.

    Attributes:
        person: Who.
        token: What the cookie holds; forms of this session are signed with it.
    """

    person: Person
    token: str


def begin_session(engine: Engine, person: Person, deed: Deed) -> Session:
    """Begin a session, with a new token."""
    token, now = secrets.token_urlsafe(32), engine.real_now()
    with engine.database.system() as connection:
        sessions.delete_expired(connection, now)
        sessions.insert(connection, _digest(token), person.id, now, now + IDLE)
        record(connection, INSTALLATION, replace(deed, actor=person.email, object=person.email), now)
    return Session(person, token)


def session_of(engine: Engine, token: str) -> Session | None:
    """Whose session a token is; None when it is over. Looking keeps it alive."""
    now = engine.real_now()
    with engine.database.system() as connection:
        found = sessions.find(connection, _digest(token), now)
        if found is None:
            return None
        person, seen_at = found
        if now - seen_at > _TOUCH_EVERY:
            sessions.touch(connection, _digest(token), now, now + IDLE)
    return Session(person, token)


def end_session(engine: Engine, session: Session, deed: Deed) -> None:
    """Sign out."""
    with engine.database.system() as connection:
        sessions.delete(connection, _digest(session.token))
        record(connection, INSTALLATION, replace(deed, object=session.person.email), engine.real_now())


def make_link(engine: Engine, purpose: Purpose, *, person: str | None = None) -> str:
    """The token of a link that works once; an earlier one for the same is worthless from now on.

    Raises:
        UnprocessableError: For a set-up link when there are people already.
    """
    token, now = secrets.token_urlsafe(24), engine.real_now()
    with engine.database.system() as connection:
        if purpose == "set_up" and people.any_person(connection):
            raise UnprocessableError("this installation has been set up", hint="sign in instead")
        lasts = SET_UP_LASTS if purpose == "set_up" else INVITATION_LASTS
        sessions.insert_link(
            connection, _digest(token), purpose=purpose, person=person, now=now, expires_at=now + lasts
        )
    return token


def check_link(engine: Engine, purpose: Purpose, token: str) -> Person | None:
    """The person a link is for, None for a set-up link; without using it up.

    Raises:
        NotFoundError: When it was used, or is over, or never was.
    """
    with engine.database.system() as connection:
        found = sessions.find_link(connection, _digest(token), purpose, engine.real_now())
        if found is None:
            raise _gone(purpose)
        return people.load(connection, found[0]) if found[0] is not None else None


def set_up(engine: Engine, token: str, deed: Deed, *, email: str, name: str, password: str) -> Person:
    """Make the first person, an owner.

    Raises:
        NotFoundError: When the link was used, or is over, or somebody is here already.
        InvalidInputError: Naming the field; the link can be used again.
    """
    now = engine.real_now()
    person = new_person(email=email, name=name, role="owner", password=password, now=now)
    with engine.database.system() as connection:
        people.lock(connection)
        used = sessions.use_link(connection, _digest(token), "set_up", now)
        if used is None or people.any_person(connection):
            raise _gone("set_up")
        people.insert(connection, person)
        after = {"name": person.name, "role": person.role}
        record(
            connection, INSTALLATION, replace(deed, actor=person.email, object=person.email, after=after), now
        )
    return person


def set_password(engine: Engine, token: str, deed: Deed, *, password: str) -> Person:
    """Set a password by a link; every session the person had ends.

    Raises:
        NotFoundError: When the link was used, or is over.
        InvalidInputError: For a password that is too short; the link can be used again.
    """
    hashed, now = hash_password(password), engine.real_now()
    with engine.database.system() as connection:
        used = sessions.use_link(connection, _digest(token), "password", now)
        person = people.load(connection, used[0]) if used is not None and used[0] is not None else None
        if person is None or person.disabled_at is not None:
            raise _gone("password")
        people.update(connection, replace(person, password=hashed))
        sessions.delete_of(connection, person.id)
        people.forget_failures(connection, f"email {person.email}")
        record(connection, INSTALLATION, replace(deed, actor=person.email, object=person.email), now)
    return person


def signing_secret(engine: Engine, name: str) -> bytes:
    """A secret of this installation, the same for every process and after every restart."""
    with engine.database.system() as connection:
        return sessions.secret(connection, name, secrets.token_bytes(32))


def sign(secret: bytes, purpose: str, value: str) -> str:
    """A signature of a value for one purpose; another purpose has another."""
    return hmac.digest(secret, f"{purpose}\0{value}".encode(), "sha256").hex()


def _digest(token: str) -> bytes:
    # A token is 192 or 256 random bits, so a plain digest cannot be guessed back.
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _gone(purpose: Purpose) -> NotFoundError:
    hints = {
        "set_up": "the server writes a new one at each start until somebody has been set up",
        "password": "ask an owner for a new one",
    }
    return NotFoundError("this link was used already, or is over", hint=hints[purpose])
