"""Stopping and killing a server under load: whatever was acknowledged is there once, and the stop is clean."""

import json
import signal
import threading
from pathlib import Path
from typing import Self

import httpx
import psutil
import pytest

from tests.cli.serving import Running, server, start
from valorem.client import Client

METER = {
    "meters/n.yaml": "meter: n\nevent: t\naggregate: sum\nvalue: data.n\n",
    "plans/p.yaml": "plan: p\nname: P\ncurrency: USD\nprices: {n: {model: per_unit, amount: 1}}\n",
}
SENDERS = 4


class Load:
    """Senders that go on until the server is gone, and remember what it acknowledged."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.acknowledged: dict[str, int] = {}
        self.attempted: dict[str, int] = {}
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._enough.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(60)

    def _send(self, sender: int) -> None:
        headers = {"authorization": f"Bearer {self._running.key}", "content-type": "application/x-ndjson"}
        with httpx.Client(base_url=self._running.url, headers=headers, timeout=30) as http:
            for batch in range(100_000):
                events = {f"{sender}.{batch}.{place}": place for place in range(20)}
                with self._lock:
                    self.attempted |= events
                try:
                    answer = http.post(
                        "/v1/events", content=b"\n".join(line(*event) for event in events.items())
                    )
                except httpx.TransportError:
                    return
                if answer.status_code == 503:
                    return
                assert answer.status_code == 200, answer.text
                assert answer.json()["accepted"] == 20
                with self._lock:
                    self.acknowledged |= events
                if batch == 20:
                    self._enough.set()


def line(name: str, number: int) -> bytes:
    event = {
        "specversion": "1.0",
        "id": name,
        "source": "s",
        "type": "t",
        "subject": "acme",
        "data": {"n": number},
    }
    return json.dumps(event).encode()


def prepare(running: Running) -> None:
    with Client(running.url, running.key) as client:
        client.apply_catalog(METER, message="m", author="a")
        client.create_customer("acme", "Acme", "USD")


def check(running: Running, load: Load) -> None:
    """Everything acknowledged is a duplicate now; after sending all of it again, everything counts exactly once."""
    with Client(running.url, running.key) as client:
        names = list(load.acknowledged.items())
        for place in range(0, len(names), 1000):
            again = client.send_event_lines(b"\n".join(line(*event) for event in names[place : place + 1000]))
            assert again.duplicate == len(names[place : place + 1000])
        rest = [event for event in load.attempted.items() if event[0] not in load.acknowledged]
        if rest:
            client.send_event_lines(b"\n".join(line(*event) for event in rest))
        usage = client.usage("acme", "n")
        assert usage.total == sum(load.attempted.values())
        assert sum(row.events for row in usage.rows) == len(load.attempted)


def children_of(running: Running) -> list[psutil.Process]:
    return psutil.Process(running.process.pid).children(recursive=True)


def test_a_stop_under_load_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    with server(tmp_path / "data") as running:
        prepare(running)
        children = children_of(running)
        assert children
        with Load(running) as load:
            assert running.stop() == 0
        psutil.wait_procs(children, 5)
        assert not any(child.is_running() for child in children)
        assert "Traceback" not in (tmp_path / "data.log").read_text()
    with server(tmp_path / "data") as again:
        assert again.key == running.key
        check(again, load)


@pytest.mark.slow
def test_a_kill_under_load_loses_nothing(tmp_path: Path) -> None:
    running = start(tmp_path / "data")
    prepare(running)
    with Load(running) as load:
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
    with server(tmp_path / "data") as again:
        check(again, load)


def test_ctrl_c_stops_it_too(tmp_path: Path) -> None:
    with server(tmp_path / "data") as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) in {0, 130}
        said = (tmp_path / "data.log").read_text()
        assert "Traceback" not in said
        assert "leaked" not in said
