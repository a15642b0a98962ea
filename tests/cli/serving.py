"""A real server: `valorem up` as a process of its own, on a folder and a port of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.forking import command

STARTS_WITHIN_S = 90
STOPS_WITHIN_S = 10


@dataclass
class Running:
    """One running server."""

    process: "subprocess.Popen[bytes]"
    folder: Path
    url: str
    key: str

    def environment(self) -> dict[str, str]:
        return {**_clean(), "VALOREM_DATA": str(self.folder), "COLUMNS": "160"}

    def command(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        return command(arguments, self.environment(), given)

    def stop(self) -> int:
        """Ask it to end, as an init system would; it has ten seconds."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOPS_WITHIN_S)


def start(folder: Path, *options: str) -> Running:
    """Start a server and wait until it answers."""
    log = folder.with_suffix(".log")
    (folder / "server.json").unlink(missing_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "valorem", "up", "--port", "0", *options],
            env={**_clean(), "VALOREM_DATA": str(folder)},
            stdout=output,
            stderr=output,
        )
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            url = json.loads((folder / "server.json").read_text())["url"]
            if httpx.get(f"{url}/v1/ready").is_success:
                return Running(process, folder, url, (folder / "admin.key").read_text().strip())
        except (OSError, httpx.TransportError):
            time.sleep(0.05)
    process.kill()
    process.wait()
    raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}")


@contextmanager
def server(folder: Path, *options: str) -> Iterator[Running]:
    """A server for the length of a block; killed at its end if it still lives."""
    running = start(folder, *options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            try:
                running.stop()
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("VALOREM_")}
