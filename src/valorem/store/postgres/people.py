"""People: who may sign in, and the failed tries."""

from dataclasses import dataclass
from datetime import datetime

from valorem.store.postgres.database import Connection, Row

_COLUMNS = "p.id, p.email, p.name, p.role, p.password, p.subject, p.created_at, p.disabled_at"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in.

    Attributes:
        id: ``per_…``.
        email: In lower case.
        name: For people.
        role: What they may do.
        password: The argon2id hash; None until one is set.
        subject: Issuer and subject of an OpenID Connect identity, once it was used.
        created_at: When they were added.
        disabled_at: Since when they may not sign in.
    """

    id: str
    email: str
    name: str
    role: str
    password: str | None
    subject: str | None
    created_at: datetime
    disabled_at: datetime | None


def insert(connection: Connection, person: Person) -> bool:
    """Add a person; False where the e-mail address is taken."""
    return (
        connection.execute(
            "INSERT INTO person (id, email, name, role, password, subject, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
            (
                person.id,
                person.email,
                person.name,
                person.role,
                person.password,
                person.subject,
                person.created_at,
            ),
        ).fetchone()
        is not None
    )


def lock(connection: Connection) -> None:
    """Let one transaction at a time decide what depends on who else there is."""
    connection.execute("LOCK TABLE person IN SHARE ROW EXCLUSIVE MODE")


def any_person(connection: Connection) -> bool:
    """Whether anybody was ever added."""
    return connection.execute("SELECT 1 FROM person LIMIT 1").fetchone() is not None


def load(connection: Connection, person: str) -> Person | None:
    """One person by id."""
    return _one(connection.execute(f"SELECT {_COLUMNS} FROM person p WHERE p.id = %s", (person,)).fetchone())


def load_by_email(connection: Connection, email: str) -> Person | None:
    """One person by e-mail address, in lower case."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM person p WHERE p.email = %s", (email,)).fetchone()
    return _one(row)


def load_by_subject(connection: Connection, subject: str) -> Person | None:
    """One person by an OpenID Connect identity."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM person p WHERE p.subject = %s", (subject,)).fetchone()
    return _one(row)


def load_all(connection: Connection) -> list[Person]:
    """Everybody, in the order they were added."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM person p ORDER BY p.created_at, p.id")
    return [Person(**row) for row in rows]


def update(connection: Connection, person: Person) -> None:
    """Store everything about a person that may change."""
    connection.execute(
        "UPDATE person SET name = %s, role = %s, password = %s, subject = %s, disabled_at = %s WHERE id = %s",
        (person.name, person.role, person.password, person.subject, person.disabled_at, person.id),
    )


def note_failure(connection: Connection, keys: list[str], at: datetime) -> None:
    """Remember a failed sign-in under each of some keys."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO sign_in_failure (key, at) VALUES (%s, %s)", [(key, at) for key in keys]
        )


def failures(connection: Connection, key: str, since: datetime) -> int:
    """How many sign-ins failed under a key since an instant; what is older is forgotten."""
    connection.execute("DELETE FROM sign_in_failure WHERE at < %s", (since,))
    row = connection.execute(
        "SELECT count(*) AS n FROM sign_in_failure WHERE key = %s AND at >= %s", (key, since)
    ).fetchone()
    assert row is not None
    return int(row["n"])


def forget_failures(connection: Connection, key: str) -> None:
    """Forget the failed sign-ins under a key: the right password was given."""
    connection.execute("DELETE FROM sign_in_failure WHERE key = %s", (key,))


def _one(row: Row | None) -> Person | None:
    return Person(**row) if row else None
