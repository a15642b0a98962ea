"""A server of the demonstration's own: another process, its own folder, a free port."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valorem.cli.session import KEY_FILE, SERVER_FILE, Session
from valorem.client import Client, ConnectionFailedError
from valorem.core.errors import OverloadedError

_STARTS_WITHIN_S = 60.0
_STOPS_WITHIN_S = 20.0
_ANSWERS_WITHIN_S = 120.0


@contextmanager
def running_server(folder: Path) -> Iterator[tuple[str, Client]]:
    """Start ``valorem up`` on a folder; yield its address and a client with its first admin key; stop it afterwards.

    Raises:
        OverloadedError: If it does not start, with the end of its log.
    """
    log = folder / "server.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VALOREM_")}
    environment |= {"VALOREM_DATA": str(folder / "data"), "VALOREM_PORT": "0", "VALOREM_LOG_LEVEL": "warning"}
    environment["VALOREM_WEBHOOKS_TO_THIS_MACHINE"] = "yes"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "valorem", "up"], env=environment, stdout=output, stderr=output
        )
    try:
        _wait_until_ready(server, folder / "data", log)
        session = Session.of_folder(folder / "data", timeout_s=_ANSWERS_WITHIN_S)
        with session.client() as client:
            _wait_until_answering(client)
            yield session.url or "", client
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_answering(client: Client) -> None:
    """The files are written a moment before the server listens; on a busy machine that moment is long."""
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            client.health()
        except ConnectionFailedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _wait_until_ready(server: "subprocess.Popen[bytes]", data: Path, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while server.poll() is None and time.monotonic() < deadline:
        if (data / SERVER_FILE).exists() and (data / KEY_FILE).exists():
            return
        time.sleep(0.1)
    tail = log.read_text(errors="replace")[-2000:]
    raise OverloadedError(f"the demonstration's server did not start; its log ends with:\n{tail}")
