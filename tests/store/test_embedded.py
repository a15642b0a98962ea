"""The embedded server: it starts, keeps what was committed whatever was killed, and leaves nothing behind."""

import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

import valorem
from valorem.core.errors import UnprocessableError
from valorem.store.binaries import MAJOR_VERSION, EmbeddedPostgresError, name_from_inside, reaches
from valorem.store.embedded import EmbeddedPostgres, end_left_over
from valorem.store.folder_lock import DataFolderInUseError, FolderLock

PACKAGES = [Path(package.__path__[0]).resolve().parent for package in (valorem, psycopg)]
SMALL = {"shared_buffers": "32MB"}
STARTS_AND_WAITS = f"""
import sys
from valorem.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(sys.argv[1], settings={SMALL!r}).start()
print(server.pid, server.conninfo, sep="|", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def program(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder and its server."""
    arguments = [sys.executable, "-c", STARTS_AND_WAITS, str(folder)]
    with subprocess.Popen(arguments, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)
            end_left_over(folder / "postgres")


def first_words(program: subprocess.Popen[str]) -> tuple[int, str]:
    assert program.stdout is not None
    pid, conninfo = program.stdout.readline().strip().split("|")
    return int(pid), conninfo


def rows(conninfo: str) -> list[tuple[int]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT n FROM kept ORDER BY n").fetchall()


def keep(conninfo: str, n: int) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
        connection.execute("INSERT INTO kept VALUES (%s)", [n])


def test_what_was_committed_is_there_after_a_clean_stop_and_start(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        keep(server.conninfo, 1)
        pid = server.pid
    assert not psutil.pid_exists(pid)
    assert not (folder / "postgres" / "postmaster.pid").exists()
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        assert rows(server.conninfo) == [(1,)]


def test_the_server_is_durable_utf8_and_of_the_promised_version(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=SMALL) as server, psycopg.connect(server.conninfo) as connection:

        def setting(name: str) -> str:
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row is not None
            return str(row[0])

        assert setting("server_version").split(".")[0] == MAJOR_VERSION
        on = ("fsync", "synchronous_commit", "full_page_writes", "data_checksums")
        assert {name: setting(name) for name in on} == dict.fromkeys(on, "on")
        assert setting("server_encoding") == "UTF8"
        assert setting("jit") == "off"
        assert setting("listen_addresses") == ""
        row = connection.execute("SELECT 'b' < 'B', upper('ä')").fetchone()
        assert row == (False, "Ä"), "C.UTF-8: ordered by code point, letters known"


def test_a_second_start_on_the_same_folder_names_the_process_that_has_it(
    folder: Path, program: subprocess.Popen[str]
) -> None:
    first_words(program)
    with pytest.raises(DataFolderInUseError, match=f"in use by process {program.pid}") as refused:
        EmbeddedPostgres(folder).start()
    assert refused.value.pid == program.pid
    assert refused.value.hint


def test_a_server_left_by_a_killed_program_is_ended_and_its_data_kept(
    folder: Path, program: subprocess.Popen[str]
) -> None:
    left, conninfo = first_words(program)
    keep(conninfo, 7)
    program.kill()
    program.wait(10)
    assert psutil.pid_exists(left)
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        assert server.pid != left
        assert not psutil.pid_exists(left)
        assert rows(server.conninfo) == [(7,)]


def test_a_killed_server_is_noticed_and_the_next_start_recovers(folder: Path) -> None:
    server = EmbeddedPostgres(folder, settings=SMALL).start()
    try:
        keep(server.conninfo, 3)
        os.kill(server.pid, signal.SIGKILL)
        psutil.Process(server.pid).wait(10)
        assert not server.is_running()
    finally:
        server.stop()
    with EmbeddedPostgres(folder, settings=SMALL) as again:
        assert rows(again.conninfo) == [(3,)]


def test_program_and_server_killed_together(folder: Path, program: subprocess.Popen[str]) -> None:
    pid, conninfo = first_words(program)
    keep(conninfo, 5)
    program.kill()
    os.kill(pid, signal.SIGKILL)
    program.wait(10)
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        assert rows(server.conninfo) == [(5,)]


def test_a_pid_file_whose_number_now_belongs_to_another_program(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        keep(server.conninfo, 9)
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}\n0\n5432\n\n\n0 0\nready\n")
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        assert rows(server.conninfo) == [(9,)]


def test_an_initialisation_killed_midway_is_begun_again(folder: Path) -> None:
    (folder / "postgres.new" / "base").mkdir(parents=True)
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        keep(server.conninfo, 1)
    assert not (folder / "postgres.new").exists()


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["a folder with a rather long name"] * 5)
    with EmbeddedPostgres(folder, settings=SMALL) as server:
        keep(server.conninfo, 1)
        with psycopg.connect(server.conninfo) as connection:
            row = connection.execute("SHOW unix_socket_directories").fetchone()
        assert row is not None
        socket_folder = Path(row[0])
        assert socket_folder.parent in {Path(tempfile.gettempdir()), Path("/tmp")}
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
    assert not socket_folder.exists()


def test_a_server_that_cannot_start_says_its_own_words(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        EmbeddedPostgres(folder, settings={"no_such_setting": "1"}).start()
    with EmbeddedPostgres(folder, settings=SMALL) as server:  # the lock was given back
        assert server.is_running()


def test_files_of_another_major_version_are_refused(folder: Path) -> None:
    with EmbeddedPostgres(folder, settings=SMALL):
        pass
    (folder / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 16"):
        EmbeddedPostgres(folder, settings=SMALL).start()


def test_nothing_is_answered_before_the_start(folder: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="not running"):
        _ = EmbeddedPostgres(folder).url


def test_the_lock_is_free_again_after_release(folder: Path) -> None:
    first, second = FolderLock(folder), FolderLock(folder)
    first.take()
    with pytest.raises(DataFolderInUseError):
        second.take()
    first.release()
    second.take()
    second.release()


def python_for(account: pwd.struct_passwd) -> str | None:
    """A Python of this version that the account can run with our packages."""
    if not all(reaches(account, place) for place in PACKAGES):
        return None
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = (sys.executable, *(f"{folder}/{version}" for folder in ("/usr/local/bin", "/usr/bin")))
    places = (Path(candidate).resolve() for candidate in candidates)
    return next((str(place) for place in places if place.exists() and reaches(account, place.parent)), None)


def test_a_data_folder_that_cannot_be_one_is_refused_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnprocessableError, match="cannot use") as refused:
        EmbeddedPostgres(tmp_path / "file").start()
    assert refused.value.field == "VALOREM_DATA"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to start the program as somebody else")
def test_an_ordinary_user_starts_it_too() -> None:
    nobody = pwd.getpwnam("nobody")
    python = python_for(nobody)
    if python is None:
        pytest.skip("Python or its packages lie in a folder closed to other accounts")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        with subprocess.Popen(
            [python, "-c", STARTS_AND_WAITS, str(folder / "data")],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd="/",
            env={"PYTHONPATH": os.pathsep.join(map(str, PACKAGES)), "PATH": os.defpath},
        ) as process:
            try:
                pid, _ = first_words(process)
                assert psutil.Process(pid).uids().effective == nobody.pw_uid
            finally:
                process.kill()
                process.wait(10)
                end_left_over(folder / "data" / "postgres")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another account")
def test_a_folder_closed_to_the_account_is_used_without_opening_it(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    account = pwd.getpwnam("nobody")
    assert name_from_inside(closed, account) == "/proc/self/cwd"
    with EmbeddedPostgres(closed / "data", settings=SMALL) as server:
        assert psutil.Process(server.pid).uids().effective != 0
        keep(server.conninfo, 1)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_the_systems_own_server_is_of_another_version_and_gets_fresh_databases(
    each_database_url: str,
) -> None:
    url = each_database_url.replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting('server_version_num')::int / 10000").fetchone()
        assert row is not None
        assert row[0] >= 15
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
