"""The database: a pool of connections, and transactions that see one workspace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, TypeAlias

import psycopg
from psycopg import IsolationLevel
from psycopg.errors import CannotConnectNow, DiskFull, OperationalError, ReadOnlySqlTransaction
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from valorem.core.errors import OverloadedError

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[Row]
#: The name of an advisory lock and the workspace it is of (:func:`valorem.store.postgres.locks.turn_for`).
Turn: TypeAlias = tuple[str, int]

_SEAL: LiteralString = (
    "SELECT set_config('role', 'valorem_app', true), set_config('valorem.workspace', %s, true)"
)
#: The same and the workspace itself in one statement; where there is none, nothing was sealed and nothing is given.
_SEAL_FOUND: LiteralString = f"{_SEAL}, workspace.* FROM workspace WHERE id = %s"


def plain_url(url: str) -> str:
    """A database's URL as PostgreSQL writes it; SQLAlchemy names the driver in it too."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


class Database:
    """A bounded pool of connections to one PostgreSQL database.

    Args:
        url: ``postgresql://…`` (the ``+psycopg`` form is understood).
        size: Most connections at once; a caller waits ``wait_s`` for one, then gets :class:`OverloadedError`.
    """

    def __init__(self, url: str, *, size: int = 16, wait_s: float = 5.0) -> None:
        self.url = plain_url(url)
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            self.url,
            min_size=2,
            max_size=size,
            timeout=wait_s,
            open=True,
            kwargs={
                "row_factory": dict_row,
                "application_name": "valorem",
                "options": "-c timezone=UTC -c jit=off",
            },
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def takes_writes(self) -> bool:
        """Whether the server is no standby and was not told to refuse writes."""
        with self.system() as connection:
            row = connection.execute(
                "SELECT current_setting('transaction_read_only') = 'off' AS takes"
            ).fetchone()
        assert row is not None  # a SELECT without a table has one row
        return bool(row["takes"])

    @contextmanager
    def workspace(
        self, workspace: int, *, snapshot: bool = False, read_only: bool = False, turn: Turn | None = None
    ) -> Iterator[Connection]:
        """One transaction that sees and may write only this workspace's rows.

        Args:
            workspace: The workspace's id; row-level security refuses every other.
            snapshot: REPEATABLE READ, so that several statements see one instant.
            read_only: Refuse writes.
            turn: An advisory lock that is held from before the instant that a snapshot sees. Whoever waits for a row
                inside would find it changed since, and have to begin again.
        """
        with self._transaction(snapshot=snapshot, read_only=read_only, turn=turn) as connection:
            connection.execute(_SEAL, (str(workspace),))
            yield connection

    @contextmanager
    def opened(
        self, workspace: int, *, snapshot: bool = False, read_only: bool = False, turn: Turn | None = None
    ) -> Iterator[tuple[Connection, Row | None]]:
        """The same, with the workspace's own row, read in the same round trip; without a row nothing may be asked."""
        with self._transaction(snapshot=snapshot, read_only=read_only, turn=turn) as connection:
            yield connection, connection.execute(_SEAL_FOUND, (str(workspace), workspace)).fetchone()

    @contextmanager
    def system(self) -> Iterator[Connection]:
        """One transaction as the owner: workspaces, keys, maintenance. Never for a customer's request itself."""
        with self._transaction(snapshot=False, read_only=False) as connection:
            yield connection

    @contextmanager
    def _transaction(
        self, *, snapshot: bool, read_only: bool, turn: Turn | None = None
    ) -> Iterator[Connection]:
        try:
            with self._pool.connection() as connection:
                connection.isolation_level = IsolationLevel.REPEATABLE_READ if snapshot else None
                connection.read_only = True if read_only else None
                with _turn(connection, turn), connection.transaction():
                    yield connection
        except PoolTimeout:
            raise OverloadedError("every database connection is busy") from None
        except DiskFull as error:
            raise OverloadedError(f"the database takes no writes: {error.diag.message_primary}") from error
        except ReadOnlySqlTransaction as error:
            if read_only:
                raise  # no verb writes in a transaction that it asked to be read-only
            raise OverloadedError(f"the database takes no writes: {error.diag.message_primary}") from error
        except (CannotConnectNow, psycopg.errors.AdminShutdown, psycopg.errors.CrashShutdown) as error:
            raise OverloadedError(f"the database is not available: {error}") from error
        except OperationalError as error:
            if error.sqlstate is None:  # the connection itself broke
                raise OverloadedError("the connection to the database broke; nothing was accepted") from error
            raise


@contextmanager
def _turn(connection: Connection, turn: Turn | None) -> Iterator[None]:
    """Hold an advisory lock of the session around a transaction.

    Only the session's end gives it back for certain: a connection that could not say what it has must not go back to the
    pool, where it would keep everybody else waiting for ever.
    """
    if turn is None:
        yield
        return
    with _or_closed(connection):
        connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", turn)
        connection.commit()
    try:
        yield
    finally:
        if not connection.closed:
            with _or_closed(connection):
                connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", turn)
                connection.commit()


@contextmanager
def _or_closed(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
