"""People: who may sign in and what they may do; passwords are kept as argon2id hashes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from valorem.core.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthorizedError,
)
from valorem.engine.audit import INSTALLATION, Deed, record
from valorem.engine.engine import Engine
from valorem.engine.identifiers import new_id
from valorem.store.postgres import people, sessions
from valorem.store.postgres.database import Connection
from valorem.store.postgres.people import Person

Role = Literal["owner", "operator", "finance", "viewer"]
Action = Literal["read", "catalog", "customers", "invoices", "clock", "keys", "people"]

#: What each role may do; everybody may read.
MAY: Mapping[str, frozenset[str]] = {
    "owner": frozenset({"read", "catalog", "customers", "invoices", "clock", "keys", "people"}),
    "operator": frozenset({"read", "catalog", "customers", "invoices", "clock", "keys"}),
    "finance": frozenset({"read", "customers", "invoices"}),
    "viewer": frozenset({"read"}),
}
ROLES = tuple(MAY)
_FEWEST_LETTERS, _MOST_LETTERS = 10, 1000
#: Failed sign-ins within this time count; past the most of them nobody is let in, right password or not.
_WINDOW = timedelta(minutes=15)
_MOST_BY_EMAIL, _MOST_BY_ADDRESS = 10, 50
_hasher = PasswordHasher()


class TooManyTriesError(UnauthorizedError):
    """Too many sign-ins failed; nobody is let in for a while."""

    code = "too_many_tries"
    status = 429


def has_people(engine: Engine) -> bool:
    """Whether anybody was ever added."""
    with engine.database.system() as connection:
        return people.any_person(connection)


def add_person(engine: Engine, deed: Deed, *, email: str, name: str, role: str) -> Person:
    """Add somebody, who sets a password by a link.

    Args:
        engine: The engine.
        deed: Who does it; its object and values are filled in.
        email: In any case.
        name: For people.
        role: One of :data:`ROLES`.

    Raises:
        InvalidInputError: Naming the field.
        ConflictError: If the e-mail address is taken.
    """
    now = engine.real_now()
    person = new_person(email=email, name=name, role=role, password=None, now=now)
    with engine.database.system() as connection:
        if not people.insert(connection, person):
            raise ConflictError(f"{person.email} is here already", field="email")
        record(
            connection,
            INSTALLATION,
            replace(deed, object=person.email, after={"name": name, "role": role}),
            now,
        )
    return person


def new_person(*, email: str, name: str, role: str, password: str | None, now: datetime) -> Person:
    """A person, checked but not stored.

    Raises:
        InvalidInputError: Naming the field.
    """
    email, name = email.strip().lower(), name.strip()
    if not 3 <= len(email) <= 254 or email.count("@") != 1 or any(letter.isspace() for letter in email):
        raise InvalidInputError(
            "this is no e-mail address", field="email", hint="write it as name@example.com"
        )
    if not 1 <= len(name) <= 200:
        raise InvalidInputError("a name has 1 to 200 letters", field="name")
    if role not in MAY:
        raise InvalidInputError("there is no such role", field="role", hint=f"choose from {', '.join(ROLES)}")
    hashed = None if password is None else hash_password(password)
    return Person(new_id("per", 0, now), email, name, role, hashed, None, now, None)


def hash_password(password: str) -> str:
    """The argon2id hash of a new password.

    Raises:
        InvalidInputError: For one that is too short or too long.
    """
    if not _FEWEST_LETTERS <= len(password) <= _MOST_LETTERS:
        raise InvalidInputError(
            f"a password has at least {_FEWEST_LETTERS} letters",
            field="password",
            hint="a sentence that only you would write is easy to keep",
        )
    return _hasher.hash(password)


def check_password(engine: Engine, *, email: str, password: str, address: str) -> Person:
    """Find out who signs in.

    Args:
        engine: The engine.
        email: As typed.
        password: As typed.
        address: Where on the network the request comes from.

    Raises:
        UnauthorizedError: The same for an unknown address, a wrong password and somebody who may not sign in.
        TooManyTriesError: After too many failures of this e-mail address or this network address.
    """
    email = email.strip().lower()[:254]
    now = engine.real_now()
    with engine.database.system() as connection:
        for key, most in ((f"email {email}", _MOST_BY_EMAIL), (f"from {address}", _MOST_BY_ADDRESS)):
            if people.failures(connection, key, now - _WINDOW) >= most:
                raise TooManyTriesError(
                    "too many sign-ins failed", hint="wait a quarter of an hour, then try again"
                )
        person = people.load_by_email(connection, email)
    hashed = person.password if person is not None and person.password is not None else _nobody()
    right = _verifies(hashed, password[:_MOST_LETTERS])
    with engine.database.system() as connection:
        if person is None or person.password is None or person.disabled_at is not None or not right:
            people.note_failure(connection, [f"email {email}", f"from {address}"], now)
            failed = True
        else:
            failed = False
            people.forget_failures(connection, f"email {email}")
            if _hasher.check_needs_rehash(hashed):
                people.update(connection, replace(person, password=_hasher.hash(password)))
    if failed or person is None:
        raise UnauthorizedError(
            "this e-mail address and password do not go together", hint="an owner can give you a new link"
        )
    return person


def person_of(engine: Engine, deed: Deed, *, subject: str, email: str) -> Person:
    """Who an identity of another sign-in service is; the first time it is known by its verified e-mail address.

    Args:
        engine: The engine.
        deed: For the log.
        subject: Issuer and subject.
        email: Verified by the issuer.

    Raises:
        UnauthorizedError: For somebody who was not added, or may not sign in, or has another identity.
    """
    email = email.strip().lower()
    with engine.database.system() as connection:
        person = people.load_by_subject(connection, subject)
        if person is None:
            person = people.load_by_email(connection, email)
            if person is not None and person.subject is None and person.disabled_at is None:
                person = replace(person, subject=subject)
                people.update(connection, person)
                bound = replace(deed, actor=email, object=email, after={"subject": subject})
                record(connection, INSTALLATION, bound, engine.real_now())
    if person is None or person.subject != subject or person.disabled_at is not None:
        raise UnauthorizedError(f"{email[:254]} may not sign in here", hint="ask an owner to add you")
    return person


@cache
def _nobody() -> str:
    """Checked where nobody has the e-mail address, so that an answer takes as long as for somebody who is there."""
    return _hasher.hash("nobody has this password")


def _verifies(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False  # the answer is no; why is not the caller's business


def list_people(engine: Engine) -> list[Person]:
    """Everybody, in the order they were added."""
    with engine.database.system() as connection:
        return people.load_all(connection)


def change_role(engine: Engine, deed: Deed, person: str, role: str) -> Person:
    """Give somebody another role.

    Raises:
        NotFoundError: If there is no such person.
        InvalidInputError: For a role that does not exist.
        ForbiddenError: For the last owner.
    """
    if role not in MAY:
        raise InvalidInputError("there is no such role", field="role", hint=f"choose from {', '.join(ROLES)}")
    return _change(engine, deed, person, role=role)


def disable_person(engine: Engine, deed: Deed, person: str, *, disabled: bool) -> Person:
    """Let somebody sign in no more, or again; every session of theirs ends at once.

    Raises:
        NotFoundError: If there is no such person.
        ForbiddenError: For the last owner.
    """
    return _change(engine, deed, person, disabled=disabled)


def _change(
    engine: Engine, deed: Deed, person: str, *, role: str | None = None, disabled: bool | None = None
) -> Person:
    now = engine.real_now()
    with engine.database.system() as connection:
        people.lock(connection)
        before = people.load(connection, person)
        if before is None:
            raise NotFoundError(f"there is no person {person[:60]!r}")
        disabled_at = before.disabled_at if disabled is None else now if disabled else None
        after = replace(before, role=role or before.role, disabled_at=disabled_at)
        people.update(connection, after)
        _check_owner_left(connection)
        if disabled:
            sessions.delete_of(connection, person)
        record(
            connection,
            INSTALLATION,
            replace(deed, object=before.email, before=_written(before), after=_written(after)),
            now,
        )
    return after


def _check_owner_left(connection: Connection) -> None:
    if not any(each.role == "owner" and each.disabled_at is None for each in people.load_all(connection)):
        raise ForbiddenError("somebody must be left who may do everything", hint="make another owner first")


def _written(person: Person) -> dict[str, object]:
    return {"name": person.name, "role": person.role, "disabled": person.disabled_at is not None}
