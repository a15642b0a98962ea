"""The doctor finds what is wrong and says what to do; where all is well it says so."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from valorem.app import warehouse_of
from valorem.config import Settings
from valorem.engine.doctor import Finding, examine
from valorem.store.postgres.migrate import downgrade, upgrade
from valorem.store.warehouse.clickhouse import ClickhouseWarehouse
from valorem.store.warehouse.duckdb import DuckdbWarehouse


def now() -> datetime:
    return datetime.now(UTC)


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {each.name: each for each in findings}


@pytest.fixture
def nobody() -> object:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_database_in_order_has_nothing_to_be_done(module_database_url: str, tmp_path: Path) -> None:
    found = by_name(examine(module_database_url, tmp_path, now))
    assert {
        "PostgreSQL",
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "clock",
        "migrations",
    } <= found.keys()
    assert found["PostgreSQL"].verdict == "ok"
    assert found["migrations"].verdict == "ok"
    assert all(each.way_out for each in found.values() if each.verdict != "ok")


def test_a_clock_that_is_off_and_a_schema_that_is_behind_are_found(
    module_database_url: str, tmp_path: Path
) -> None:
    found = by_name(examine(module_database_url, tmp_path, lambda: now() + timedelta(minutes=1)))
    assert found["clock"].verdict == "warn"
    downgrade(module_database_url, "0001")
    try:
        found = by_name(examine(module_database_url, tmp_path, now))
    finally:
        upgrade(module_database_url)
    assert found["migrations"].verdict == "fail"
    assert "valorem migrate" in found["migrations"].way_out
    assert "closing" not in found  # nothing is asked of tables that may not be there


def test_what_cannot_be_reached_is_named_with_its_setting(nobody: int, tmp_path: Path) -> None:
    pytest.importorskip("clickhouse_connect", reason="the client of ClickHouse is not installed")
    found = by_name(
        examine(
            f"postgresql://ann:secret@127.0.0.1:{nobody}/valorem",
            tmp_path,
            now,
            f"clickhouse://ann:secret@127.0.0.1:{nobody}/valorem",
        )
    )
    assert (found["database"].verdict, found["ClickHouse"].verdict) == ("fail", "warn")
    assert "VALOREM_DATABASE_URL" in found["database"].way_out
    assert "VALOREM_CLICKHOUSE_URL" in found["ClickHouse"].way_out
    assert "secret" not in str(found)


def test_the_warehouse_is_a_folder_unless_a_clickhouse_is_set(tmp_path: Path) -> None:
    pytest.importorskip("clickhouse_connect", reason="the client of ClickHouse is not installed")
    assert isinstance(warehouse_of(Settings(data=tmp_path)), DuckdbWarehouse)
    set_ = Settings(data=tmp_path, clickhouse_url="clickhouse://127.0.0.1/valorem")
    assert isinstance(warehouse_of(set_), ClickhouseWarehouse)
