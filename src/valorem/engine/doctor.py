"""The doctor: is everything this depends on as it should be, and if not, what to do."""

import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import psycopg

from valorem.core.errors import OverloadedError
from valorem.store.postgres import condition
from valorem.store.postgres.condition import Backlog
from valorem.store.postgres.database import Connection
from valorem.store.postgres.migrate import current_and_head
from valorem.store.vault import Vault
from valorem.store.warehouse.connecting import ConnectingClient

Verdict = Literal["ok", "warn", "fail"]
_LEAST_FREE_BYTES = 512 * 1024**2
_COMFORTABLE_FREE_BYTES = 5 * 1024**3
_OLDEST_POSTGRES = 150000
_MOST_SKEW_S = 5.0
_LONG_BACKLOG = 1_000
_OVERDUE = timedelta(hours=1)
_DEPENDENCIES = ("fastapi", "uvicorn", "psycopg", "pydantic", "msgspec", "duckdb")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        verdict: ``ok``, ``warn`` (it works, but not as it should) or ``fail`` (numbers or data are in danger).
        found: What was seen.
        way_out: What to do; empty where all is well.
    """

    name: str
    verdict: Verdict
    found: str
    way_out: str = ""


def examine(
    url: str,
    data: Path,
    real_now: Callable[[], datetime],
    clickhouse_url: str | None = None,
    vault: Vault | None = None,
) -> list[Finding]:
    """Look at everything, changing nothing.

    Args:
        url: Of the database.
        data: The data folder.
        real_now: The real time.
        clickhouse_url: Of the warehouse, where it is no folder.
        vault: What seals secrets.
    """
    findings = [_versions(), _disk(data)]
    if clickhouse_url is not None:
        findings.append(_clickhouse(clickhouse_url))
    try:
        with condition.looking(url) as connection:
            findings += _database(connection, url, real_now, vault or Vault())
    except psycopg.OperationalError as error:
        first_line = str(error).splitlines()[0]
        findings.append(
            Finding(
                "database",
                "fail",
                f"cannot be reached: {first_line}",
                "start it, or correct VALOREM_DATABASE_URL",
            )
        )
    return findings


def _clickhouse(url: str) -> Finding:
    client = ConnectingClient(url)
    try:
        found = client.version()
    except OverloadedError as error:
        return Finding(
            "ClickHouse",
            "warn",
            error.message,
            "start it, or correct VALOREM_CLICKHOUSE_URL; until then history is read, more slowly, from PostgreSQL",
        )
    finally:
        client.close()
    return Finding("ClickHouse", "ok", found)


def _database(
    connection: Connection, url: str, real_now: Callable[[], datetime], vault: Vault
) -> Iterator[Finding]:
    yield _server_version(connection)
    yield from _durability(connection)
    yield _clock(connection, real_now)
    current, head = current_and_head(url)
    if current != head:
        found = f"the schema is at {current or 'nothing'}, this program needs {head}"
        yield Finding("migrations", "fail", found, "run: valorem migrate (valorem up does it too)")
        return
    yield Finding("migrations", "ok", f"at {head}")
    backlog = condition.backlog(connection, real_now(), overdue=_OVERDUE)
    yield _backfills(backlog)
    yield _warehouse(backlog)
    yield _overdue(backlog)
    yield _secrets(condition.signing_secrets(connection), vault)


def _versions() -> Finding:
    found = ", ".join(f"{name} {version(name)}" for name in _DEPENDENCIES)
    return Finding(
        "versions", "ok", f"valorem {version('valorem')}, Python {platform.python_version()}, {found}"
    )


def _disk(data: Path) -> Finding:
    place = data if data.exists() else data.parent if data.parent.exists() else Path.cwd()
    free = shutil.disk_usage(place).free
    text = f"{free / 1024**3:.1f} GiB free for {data}"
    if free < _LEAST_FREE_BYTES:
        return Finding(
            "disk", "fail", text, "make room: a full disk stops ingest (nothing acknowledged is lost)"
        )
    if free < _COMFORTABLE_FREE_BYTES:
        return Finding("disk", "warn", text, "make room before it is full")
    return Finding("disk", "ok", text)


def _server_version(connection: Connection) -> Finding:
    number = connection.info.server_version
    text = f"PostgreSQL {number // 10000}.{number % 10000}"
    if number < _OLDEST_POSTGRES:
        return Finding("PostgreSQL", "fail", text, "use 15 or newer")
    return Finding("PostgreSQL", "ok", text)


def _durability(connection: Connection) -> Iterator[Finding]:
    promises = {
        "fsync": "an acknowledged event may be lost, and the database damaged, when the power fails",
        "full_page_writes": "the database may be damaged when the power fails in the middle of a write",
        "synchronous_commit": "events acknowledged in the last moments may be lost when the server crashes",
    }
    for setting, danger in promises.items():
        value = condition.setting(connection, setting)
        if value in {"off", "local"} and not (setting == "synchronous_commit" and value == "local"):
            yield Finding(setting, "fail", f"{value}: {danger}", f"set {setting} = on and restart PostgreSQL")
        else:
            yield Finding(setting, "ok", value)


def _clock(connection: Connection, real_now: Callable[[], datetime]) -> Finding:
    before = real_now()
    at = condition.clock(connection)
    after = real_now()
    skew_s = max((before - at).total_seconds(), (at - after).total_seconds(), 0.0)
    text = f"{skew_s:.1f} s between this machine and the database"
    if skew_s > _MOST_SKEW_S:
        return Finding("clock", "warn", text, "let both follow a time server (chrony, systemd-timesyncd)")
    return Finding("clock", "ok", text)


def _backfills(backlog: Backlog) -> Finding:
    text = f"{backlog.recounts} recorded batches to recount for {backlog.meters} meters"
    if backlog.recounts > _LONG_BACKLOG:
        return Finding(
            "recount", "warn", text, "see that a worker runs: invoices of these meters wait for it"
        )
    return Finding("recount", "ok", text)


def _warehouse(backlog: Backlog) -> Finding:
    text = f"{backlog.exports} recorded batches not in the warehouse yet"
    if backlog.exports > _LONG_BACKLOG:
        return Finding(
            "warehouse", "warn", text, "see that a worker runs: history is read more slowly without it"
        )
    return Finding("warehouse", "ok", text)


def _secrets(stored: Sequence[str], vault: Vault) -> Finding:
    lost = sum(not vault.opens(each) for each in stored)
    behind = sum(not vault.is_current(each) for each in stored)
    if lost:
        text = f"{lost} of {len(stored)} secrets are sealed with a key that is not here"
        way_out = "bring back secret.key or VALOREM_SECRET_KEYS; else set them anew: valorem webhooks rotate, valorem sources secret"
        return Finding("secrets", "fail", text, way_out)
    if behind:
        text = f"{behind} of {len(stored)} secrets are not sealed with the newest key"
        return Finding("secrets", "warn", text, "start the server once: it seals them anew")
    return Finding("secrets", "ok", f"{len(stored)} secrets, sealed")


def _overdue(backlog: Backlog) -> Finding:
    text = f"{backlog.contracts} contracts due for more than an hour"
    if backlog.contracts:
        return Finding("closing", "warn", text, "see that a worker runs, or run: valorem invoice close")
    return Finding("closing", "ok", text)
