"""Whether a database that somebody names can be used at all, said before anything is done with it."""

from typing import ClassVar

import psycopg

from valorem.core.errors import ValoremError
from valorem.store.postgres.database import plain_url

OLDEST = 15
_CONNECT_S = 10
_RIGHTS = """
SELECT has_database_privilege(current_database(), 'CREATE') AS creates,
    has_schema_privilege('public', 'CREATE') AS makes_tables,
    (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) AS makes_roles,
    (SELECT pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = 'valorem_app') AS is_member
"""


class UnusableDatabaseError(ValoremError):
    """A database that cannot be reached, or cannot be used as it is."""

    code: ClassVar[str] = "unusable_database"
    status: ClassVar[int] = 503


def check_usable(url: str) -> None:
    """Reach a database, and see to it that its version and the role's rights are enough.

    Raises:
        UnusableDatabaseError: Naming the setting, and what to do.
    """
    try:
        with psycopg.connect(plain_url(url), connect_timeout=_CONNECT_S) as connection:
            version = connection.info.server_version
            row = connection.execute(_RIGHTS).fetchone()
    except psycopg.Error as error:
        raise _unusable(
            f"the database cannot be reached: {' '.join(str(error).split())}",
            "start it, or correct the host, the port, the database, the user or the password",
        ) from error
    assert row is not None  # a SELECT without a table has one row
    if version < OLDEST * 10_000:
        raise _unusable(
            f"this is PostgreSQL {version // 10_000}",
            f"use PostgreSQL {OLDEST} or newer, or leave the setting out",
        )
    creates, makes_tables, makes_roles, is_member = row
    if not (creates and makes_tables):
        raise _unusable(
            "the role may not make tables in this database",
            "let it own the database: ALTER DATABASE … OWNER TO …",
        )
    if not (makes_roles or is_member):
        raise _unusable(
            "the role may not make the role valorem_app, under which requests run, and is no member of it",
            "grant it CREATEROLE, or let an administrator run:"
            " CREATE ROLE valorem_app NOLOGIN NOINHERIT; GRANT valorem_app TO the role",
        )


def _unusable(message: str, hint: str) -> UnusableDatabaseError:
    return UnusableDatabaseError(message, field="VALOREM_DATABASE_URL", hint=hint)
