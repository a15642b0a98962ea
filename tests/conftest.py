"""Servers and fresh databases for the tests.

`database_url` is what most tests want: a migrated, empty database of their own on the embedded PostgreSQL.
`each_database_url` runs a test twice, also on a separately installed PostgreSQL of another major version.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from tests.databases import Databases, Server
from valorem.store.embedded import EmbeddedPostgres

# On a machine that others use as well, slow generation says nothing about the test.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
INSTALLED = Path("/usr/lib/postgresql")
# The tests look at what is written, not at whether it survives a power cut; those that pull the plug start their own.
FOR_TESTS = {"shared_buffers": "128MB", "max_wal_size": "512MB", "fsync": "off", "full_page_writes": "off"}


def pytest_configure() -> None:
    """Being told to end is an interruption, so that the servers of the tests are stopped and not left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: the last file to be begun is the one that a core may have to wait for."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def embedded_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The embedded server, one for the whole session."""
    folder = tmp_path_factory.mktemp("embedded")
    with EmbeddedPostgres(folder, settings=FOR_TESTS) as server:
        yield server


@pytest.fixture(scope="session")
def debian_postgres() -> Iterator[Server]:
    """A server from the system's own packages, of another major version than the embedded one."""
    versions = sorted(
        (int(place.parent.parent.name), place.parent)
        for place in INSTALLED.glob("*/bin/pg_ctl")
        if place.parent.parent.name.isdigit()
    )
    usable = [(version, place) for version, place in versions if 15 <= version != 18]
    if not usable:
        pytest.skip(f"no PostgreSQL 15 or newer under {INSTALLED} (apt-get install postgresql gives one)")
    with _installed_server(usable[0][1]) as server:
        yield server


class InstalledServer:
    """A server started by pg_ctl, answering on a unix socket in its own private folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def url_for(self, database: str) -> str:
        return (
            f"postgresql+psycopg://valorem@/{database}?host={str(self._folder).replace('/', '%2F')}&port=5432"
        )

    def conninfo_for(self, database: str) -> str:
        return psycopg.conninfo.make_conninfo(
            host=str(self._folder), port=5432, user="valorem", dbname=database
        )


@contextmanager
def _installed_server(binaries: Path) -> Iterator[InstalledServer]:
    folder = Path(tempfile.mkdtemp(prefix="valorem-"))
    account = (
        pwd.getpwnam("postgres" if _account_exists("postgres") else "nobody") if os.geteuid() == 0 else None
    )
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)

    def run(program: str, *arguments: str) -> None:
        with (folder / "output.log").open("a") as output:  # pg_ctl's server would keep a pipe open for ever
            subprocess.run(
                [str(binaries / program), "-D", str(folder / "data"), *arguments],
                check=True,
                timeout=120,
                stdout=output,
                stderr=output,
                cwd=folder,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            )

    try:
        run("initdb", "--username=valorem", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "start", "-w", "-o", f"-k {folder} -c listen_addresses='' -p 5432")
        try:
            yield InstalledServer(folder)
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account_exists(name: str) -> bool:
    return any(account.pw_name == name for account in pwd.getpwall())


@pytest.fixture(scope="session")
def embedded_databases(embedded_postgres: EmbeddedPostgres) -> Iterator[Databases]:
    """The databases of the embedded server."""
    with closing(Databases(embedded_postgres)) as databases:
        yield databases


@pytest.fixture(scope="session")
def debian_databases(debian_postgres: Server) -> Iterator[Databases]:
    """The databases of the system's own server."""
    with closing(Databases(debian_postgres)) as databases:
        yield databases


@pytest.fixture
def database_url(embedded_databases: Databases) -> Iterator[str]:
    """The URL of a migrated, empty database for this test alone."""
    with embedded_databases.migrated() as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(embedded_databases: Databases) -> Iterator[str]:
    """The URL of a migrated, empty database that the tests of one module share."""
    with embedded_databases.migrated() as url:
        yield url


@pytest.fixture(params=["embedded", "debian"])
def each_databases(request: pytest.FixtureRequest) -> Databases:
    """The databases of the embedded server, then of the system's own."""
    databases: Databases = request.getfixturevalue(f"{request.param}_databases")
    return databases


@pytest.fixture
def each_database_url(each_databases: Databases) -> Iterator[str]:
    """The URL of a migrated, empty database, once per server."""
    with each_databases.migrated() as url:
        yield url


@pytest.fixture
def empty_database_url(each_databases: Databases) -> Iterator[str]:
    """The URL of a database without any migration, once per server."""
    with each_databases.empty() as url:
        yield url
