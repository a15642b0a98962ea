"""A connection to ClickHouse that is opened when it is needed, and says so plainly when it cannot be."""

import logging
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from valorem.core.errors import InvalidInputError, OverloadedError
from valorem.store.warehouse.clickhouse import ClickhouseClient, Result

R = TypeVar("R")

# It writes of every failure, which is raised here as well.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

#: Within a process, for tests; the others name a server.
IN_PROCESS = "chdb"
SCHEMES = ("clickhouse", "http", "https", IN_PROCESS)
_CONNECT_S, _ANSWER_S = 5, 60


class ConnectingClient:
    """Opens its client at the first use, again after that failed; whatever goes wrong there is an overload here.

    Args:
        url: ``clickhouse://user:password@host:8123/database``, ``https://…:8443/…`` for TLS, ``chdb:///folder`` for ClickHouse
            in this process.

    Raises:
        InvalidInputError: If the client is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import clickhouse_connect  # noqa: PLC0415 - an extra
        except ImportError:
            raise InvalidInputError(
                "the client of ClickHouse is not installed",
                field="VALOREM_CLICKHOUSE_URL",
                hint="pip install 'valorem[clickhouse]'",
            ) from None
        self._connect = clickhouse_connect.get_client
        self._url = url
        self._opening = Lock()
        self._opened: Any = None

    def command(self, cmd: str) -> Any:
        """Run a statement that returns no rows."""
        return self._ask(lambda client: client.command(cmd))

    def query(self, query: str, parameters: Mapping[str, Any] | None = None) -> Result:
        """Run a query."""
        found: Result = self._ask(lambda client: client.query(query, parameters=parameters))
        return found

    def version(self) -> str:
        """The server's version."""
        ((found,),) = self.query("SELECT version()").result_rows
        return str(found)

    def insert(self, table: str, data: Sequence[Sequence[Any]], column_names: Sequence[str]) -> Any:
        """Insert rows."""
        return self._ask(lambda client: client.insert(table, data, column_names=column_names))

    def close(self) -> None:
        """Close what is open."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _ask(self, ask: Callable[[Any], R]) -> R:
        from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            return ask(self._client())
        except (ClickHouseError, HTTPError, OSError) as error:
            raise OverloadedError(f"the warehouse (ClickHouse) is not available: {_said(error)}") from error

    def _client(self) -> Any:
        with self._opening:
            if self._opened is None:
                self._opened = self._connect(**arguments(self._url))
            return self._opened


def _said(error: BaseException) -> str:
    """What went wrong, in a line: what the system said where it is that."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def arguments(url: str) -> dict[str, Any]:
    """What a URL means to ``clickhouse_connect.get_client``."""
    parts = urlsplit(url)
    if parts.scheme == IN_PROCESS:
        return {"interface": IN_PROCESS, "path": unquote(parts.path)}
    secure = parts.scheme == "https" or parts.port in (443, 8443)
    found = {
        "host": parts.hostname,
        "port": parts.port or (8443 if secure else 8123),
        "username": unquote(parts.username) if parts.username else None,
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.strip("/")) or None,
        "interface": "https" if secure else "http",
        "connect_timeout": _CONNECT_S,
        "send_receive_timeout": _ANSWER_S,
        "autogenerate_session_id": False,  # threads share it, and a session takes one query at a time
    }
    return {name: value for name, value in found.items() if value is not None}


def connect(url: str) -> ClickhouseClient:
    """A client of the ClickHouse at a URL, not opened yet."""
    return ConnectingClient(url)
