"""``track()``: nothing tracked is lost or sent under another id, whoever dies when."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from valorem.client import AsyncClient, Client, SpoolError
from valorem.client.spool import Spool
from valorem.client.tracking import TrackingPolicy

QUICK = TrackingPolicy(batch_events=10, flush_interval_s=0.01, close_timeout_s=0.2)
PATIENT = TrackingPolicy(batch_events=10, flush_interval_s=0.01, close_timeout_s=20)


class Site:
    """A server over real sockets that remembers events by id, and may be told to refuse."""

    def __init__(self, port: int = 0) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.received: list[str] = []
        self.status = 200
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = site.answer(body)
                self.send_response(site.status if answer is None else 200)
                payload = json.dumps(answer or {}).encode()
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, body: bytes) -> dict[str, Any] | None:
        if self.status != 200:
            return None
        items = []
        for line in body.split(b"\n"):
            event = json.loads(line)
            self.received.append(event["id"])
            status = "rejected" if event["data"].get("n") == "bad" else "accepted"
            if status == "accepted":
                status = "duplicate" if event["id"] in self.events else "accepted"
                self.events.setdefault(event["id"], event)
            items.append(
                {"status": status, "reason": "no number"} if status == "rejected" else {"status": status}
            )
        counts = {
            name: sum(item["status"] == name for item in items)
            for name in ("accepted", "duplicate", "conflict", "rejected")
        }
        return {**counts, "items": items}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def site():
    found = Site()
    yield found
    found.close()


def test_events_arrive_in_batches_under_the_ids_that_track_returned(site: Site) -> None:
    with Client(site.url, "k", tracking=PATIENT) as client:
        ids = [client.track("call", "acme", {"n": number}) for number in range(25)]
        assert client.flush(20)
    assert site.received == ids
    assert [site.events[each]["data"]["n"] for each in ids] == list(range(25))
    assert all(
        event["time"].endswith("Z") and event["specversion"] == "1.0" for event in site.events.values()
    )


def test_the_same_from_a_task(site: Site) -> None:
    async def go() -> list[str]:
        async with AsyncClient(site.url, "k", tracking=PATIENT) as client:
            ids = [client.track("call", "acme", {"n": number}) for number in range(25)]
            assert await client.flush(20)
            return ids

    assert asyncio.run(go()) == site.received


def test_a_server_that_comes_back_gets_everything_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.status = 503
    with (
        caplog.at_level(logging.WARNING, "valorem.client"),
        Client(site.url, "k", tracking=PATIENT) as client,
    ):
        ids = [client.track("call", "acme", {"n": number}, id=f"e{number}") for number in range(30)]
        assert not client.flush(0.1)
        site.status = 200
        assert client.flush(20)
    assert list(site.events) == ids
    assert "did not take them" in caplog.text


def test_what_was_refused_for_good_is_told_and_holds_up_nothing(site: Site) -> None:
    told: list[tuple[str, str]] = []

    def on_rejected(event: dict[str, Any], result: Any) -> None:
        told.append((event["id"], result.reason))
        raise RuntimeError("the caller's own mistake")

    with Client(site.url, "k", tracking=PATIENT, on_rejected=on_rejected) as client:
        bad = client.track("call", "acme", {"n": "bad"})
        good = client.track("call", "acme", {"n": 1})
        assert client.flush(20)
    assert told == [(bad, "no number")]
    assert list(site.events) == [good]


def test_memory_is_bounded_and_a_full_buffer_says_so(site: Site) -> None:
    site.status = 503
    policy = TrackingPolicy(buffer_events=20, flush_interval_s=0.01, close_timeout_s=0.05)
    with Client(site.url, "k", tracking=policy) as client:
        for number in range(20):
            client.track("call", "acme", {"n": number})
        with pytest.raises(SpoolError, match="spool"):
            client.track("call", "acme", {"n": 20})


def test_a_spool_outlives_the_client(site: Site, tmp_path: Path) -> None:
    site.status = 503
    with Client(site.url, "k", spool=tmp_path, tracking=QUICK) as client:
        ids = [client.track("call", "acme", {"n": number}) for number in range(30)]
    assert site.events == {}
    site.status = 200
    with Client(site.url, "k", spool=tmp_path, tracking=PATIENT) as client:
        ids.append(client.track("call", "acme", {"n": 30}))
        assert client.flush(20)
    assert sorted(site.events) == sorted(ids)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys
from valorem import Client
from valorem.client.tracking import TrackingPolicy
client = Client(sys.argv[1], "k", spool=sys.argv[2], tracking=TrackingPolicy(batch_events=7, flush_interval_s=0.005))
number = 0
while True:
    print(client.track("call", "acme", {"n": number}), flush=True)
    number += 1
"""


def test_a_killed_process_loses_nothing_it_was_told_is_tracked(site: Site, tmp_path: Path) -> None:
    told: list[str] = []
    for life in range(4):
        site.status = 503 if life % 2 else 200
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, site.url, str(tmp_path)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            told += [process.stdout.readline().strip() for _ in range(100)]
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().split("\n")
        told += [line for line in rest[:-1] if line]
    site.status = 200
    with Client(site.url, "k", spool=tmp_path, tracking=PATIENT) as client:
        client.track("call", "acme", {"n": -1})
        assert client.flush(60)
    assert set(told) <= set(site.events)
    assert list(tmp_path.iterdir()) == []


def test_two_living_processes_share_a_folder_without_taking_each_other_s(site: Site, tmp_path: Path) -> None:
    site.status = 503
    with (
        Client(site.url, "k", spool=tmp_path, tracking=PATIENT) as one,
        Client(site.url, "k", spool=tmp_path, tracking=PATIENT) as two,
    ):
        ids = [client.track("call", "acme", {"n": number}) for number in range(10) for client in (one, two)]
        site.status = 200
        assert one.flush(20)
        assert two.flush(20)
    assert sorted(site.received) == sorted(ids)


def test_half_a_line_at_the_end_was_never_tracked(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000001-1.ndjson").write_bytes(b'{"n":1}\n{"n":2}\n{"n"')
    spool = Spool(tmp_path, most_bytes=10_000, segment_bytes=1000)
    assert spool.count() == 2
    assert spool.peek(10) == [b'{"n":1}', b'{"n":2}']
    spool.drop(2)
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_is_bounded_and_begins_new_segments(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_bytes=100, segment_bytes=30)
    for _ in range(10):
        spool.append(b"123456789")
    assert len(list(tmp_path.iterdir())) == 4
    with pytest.raises(SpoolError):
        spool.append(b"1")
    while lines := spool.peek(2):
        spool.drop(len(lines))
    assert spool.count() == 0
    spool.append(b"1")
    spool.close()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"1\n"]


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        Client("http://127.0.0.1:9", "k", spool=tmp_path / "file" / "x") as client,
        pytest.raises(SpoolError, match="file"),
    ):
        client.track("call", "acme", {})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
