"""A database that somebody names is tried before it is used, and what is wrong with it is said."""

import socket
import uuid

import psycopg
import pytest

from valorem.store.postgres.reaching import UnusableDatabaseError, check_usable


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def test_a_database_of_ones_own_is_usable(empty_database_url: str) -> None:
    check_usable(empty_database_url)


def test_nobody_there_is_said_with_the_setting_and_without_the_password() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(UnusableDatabaseError) as caught:
            check_usable(f"postgresql://ann:secret@127.0.0.1:{taken.getsockname()[1]}/valorem")
    assert caught.value.field == "VALOREM_DATABASE_URL"
    assert "cannot be reached" in caught.value.message
    assert caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_exist_is_named(module_database_url: str) -> None:
    with pytest.raises(UnusableDatabaseError, match="no_such_database"):
        check_usable(plain(module_database_url).replace("/test_", "/no_such_database_"))


def test_a_role_without_rights_is_told_which_it_needs(empty_database_url: str) -> None:
    role = f"guest_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(plain(empty_database_url), autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT {role} TO current_user")
        try:
            with pytest.raises(UnusableDatabaseError, match="may not make tables") as caught:
                check_usable(_as(empty_database_url, role))
            assert "own the database" in (caught.value.hint or "")
            connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
            database = connection.info.dbname
            connection.execute(f'GRANT CREATE ON DATABASE "{database}" TO {role}')
            if _is_made(connection):
                with pytest.raises(UnusableDatabaseError, match="no member of it"):
                    check_usable(_as(empty_database_url, role))
                connection.execute(f"GRANT valorem_app TO {role}")
                check_usable(_as(empty_database_url, role))
                connection.execute(f"REVOKE valorem_app FROM {role}")
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def _is_made(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    return connection.execute("SELECT FROM pg_roles WHERE rolname = 'valorem_app'").fetchone() is not None


def _as(url: str, role: str) -> str:
    """The same, acting as another role from the start."""
    separator = "&" if "?" in url else "?"
    return f"{plain(url)}{separator}options=-c%20role%3D{role}"
