"""The server that is killed: the whole program in a process of its own, forked from one that has it loaded already."""

import http.client
import json
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from tests.engine.ingesting import amend, event, void
from valorem.app import serve
from valorem.config import Settings

STARTS_WITHIN_S = 60
THREADS = 3


@dataclass
class Victim:
    """A running server."""

    process: ForkServerProcess
    address: str
    key: str

    @classmethod
    def start(cls, context: ForkServerContext, folder: Path, url: str) -> "Victim":
        """Start a server on a database and wait until it listens."""
        (folder / "server.json").unlink(missing_ok=True)
        process = context.Process(target=live, args=(folder, url))
        process.start()
        deadline = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < deadline and process.is_alive():
            with suppress(OSError, ValueError):
                address = urlsplit(json.loads((folder / "server.json").read_text())["url"]).netloc
                with closing(http.client.HTTPConnection(address, timeout=5)) as connection:
                    connection.request("GET", "/v1/health")
                    connection.getresponse().read()
                return cls(process, address, (folder / "admin.key").read_text().strip())
            time.sleep(0.01)
        process.kill()
        raise AssertionError(f"the server did not start (exit code {process.exitcode})")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.join()
        assert self.process.exitcode == -signal.SIGKILL

    def get(self, path: str) -> int:
        """The status of a GET on a connection of its own."""
        with closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            connection.request("GET", path, headers={"authorization": f"Bearer {self.key}"})
            return connection.getresponse().status

    def send(self, raws: Sequence[bytes]) -> tuple[int, dict[str, object], http.client.HTTPMessage]:
        """Send events on a connection of its own."""
        with closing(http.client.HTTPConnection(self.address, timeout=60)) as connection:
            return exchange(connection, self.key, b"\n".join(raws))


def live(folder: Path, url: str) -> None:
    """Serve until told to stop, or killed."""
    settings = Settings(data=folder, database_url=url, port=0, connections=6, log_level="error")
    serve(settings, with_worker=False, say=_say_nothing)


def _say_nothing(_: str) -> None:
    return


def exchange(
    connection: http.client.HTTPConnection, key: str, lines: bytes
) -> tuple[int, dict[str, object], http.client.HTTPMessage]:
    """Send events, one a line: the status, the answer and its headers."""
    headers = {"authorization": f"Bearer {key}", "content-type": "application/x-ndjson"}
    connection.request("POST", "/v1/events", lines, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer.headers


@dataclass
class Senders:
    """Threads that send until the server goes, and remember what it acknowledged.

    Attributes:
        acknowledged: The raw events of which an answer said that they are there.
        refused: Statuses of the answers that took nothing.
        failures: What a thread did not expect.
    """

    victim: Victim
    batches: Callable[[int], Sequence[Sequence[bytes]]]
    threads: int = THREADS
    acknowledged: set[bytes] = field(default_factory=set)
    refused: list[tuple[int, str | None]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._running = [threading.Thread(target=self._send, args=(n,)) for n in range(self.threads)]
        for thread in self._running:
            thread.start()
        assert self.begun.wait(30), self.failures
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._running:
            thread.join(60)
            assert not thread.is_alive()
        assert self.failures == []

    def _send(self, number: int) -> None:
        try:
            self._send_all(number)
        except (OSError, http.client.HTTPException, ValueError):
            return  # it is gone, perhaps in the middle of an answer
        except BaseException as error:  # noqa: BLE001 - the test's own thread must tell
            self.failures.append(error)
            self.begun.set()

    def _send_all(self, number: int) -> None:
        with closing(http.client.HTTPConnection(self.victim.address, timeout=60)) as connection:
            for raws in self.batches(number):
                status, answer, headers = exchange(connection, self.victim.key, b"\n".join(raws))
                if status == 200:
                    items = answer["items"]
                    assert isinstance(items, list)
                    assert {item["status"] for item in items} <= {"accepted", "duplicate"}, answer
                    self.acknowledged.update(raws)
                    self.begun.set()
                else:
                    self.refused.append((status, headers.get("retry-after")))


def raws(life: int, thread: int) -> list[bytes]:
    """What one thread sends in one life, the same for every caller; the next life sends it again."""
    chance = random.Random(f"{life}.{thread}")
    sent = []
    for number in range(600):
        name = f"{life}.{thread}.{number}"
        sent.append(event(name, chance.randrange(100), subject=f"s{chance.randrange(5)}", at=None))
        if number % 20 == 10:
            target = f"{life}.{thread}.{number - 10 + chance.randrange(20)}"
            sent.append(
                _untimed(void(f"v{name}", target))
                if chance.randrange(2)
                else _untimed(amend(f"a{name}", target, n=chance.randrange(100), model="large"))
            )
    return sent


def batches(life: int, thread: int) -> list[list[bytes]]:
    """The events of the life before, then its own, in requests of several sizes."""
    chance = random.Random(f"{life}-{thread}")
    found = []
    for earlier in (life - 1, life):
        mine = raws(earlier, thread) if earlier >= 0 else []
        start = 0
        while start < len(mine):
            end = start + chance.choice((1, 7, 40))
            found.append(mine[start:end])
            start = end
    return found


def _untimed(raw: bytes) -> bytes:
    sent = json.loads(raw)
    del sent["time"]
    return json.dumps(sent).encode()
