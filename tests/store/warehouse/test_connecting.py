"""A connection to ClickHouse: what a URL means, and what happens while nobody answers."""

import socket
from pathlib import Path

import pytest

from valorem.config import Settings
from valorem.core.errors import InvalidInputError, OverloadedError
from valorem.store.warehouse.clickhouse import ClickhouseWarehouse
from valorem.store.warehouse.connecting import arguments, connect

pytest.importorskip("clickhouse_connect", reason="the client of ClickHouse is not installed")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "clickhouse://ann:p%40ss@history.example:8123/valorem",
            {
                "host": "history.example",
                "port": 8123,
                "interface": "http",
                "database": "valorem",
                "password": "p@ss",
            },
        ),
        ("https://ann@history.example/valorem", {"port": 8443, "interface": "https", "username": "ann"}),
        ("clickhouse://history.example:8443", {"port": 8443, "interface": "https"}),
        ("clickhouse://history.example", {"port": 8123, "interface": "http", "password": ""}),
        ("chdb:///var/lib/history", {"interface": "chdb", "path": "/var/lib/history"}),
    ],
)
def test_a_url_names_the_server_the_database_and_who_asks(url: str, expected: dict[str, object]) -> None:
    found = arguments(url)
    assert {name: found.get(name) for name in expected} == expected


def test_nobody_there_is_an_overload_that_says_so_and_starting_needs_nobody() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        warehouse = ClickhouseWarehouse(connect(f"clickhouse://127.0.0.1:{taken.getsockname()[1]}/valorem"))
        for _ in range(2):
            with pytest.raises(OverloadedError, match=r"warehouse \(ClickHouse\) is not available"):
                warehouse.covered(1, "events")


def test_the_setting_is_refused_plainly_and_its_password_never_shown() -> None:
    assert Settings.from_environment({"VALOREM_CLICKHOUSE_URL": "clickhouse://h/d"}).clickhouse_url
    with pytest.raises(InvalidInputError) as refused:
        Settings.from_environment({"VALOREM_CLICKHOUSE_URL": "mysql://ann:secret@h"})
    assert refused.value.field == "VALOREM_CLICKHOUSE_URL"
    assert "secret" not in str(refused.value)


def test_tables_are_made_at_the_first_use(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="ClickHouse in process is not installed (pip install chdb, 0.5 GB)")
    from valorem.store.warehouse.connecting import ConnectingClient

    client = ConnectingClient(f"chdb://{tmp_path}/history")
    try:
        assert ClickhouseWarehouse(client).covered(1, "events") == {}
    finally:
        client.close()
