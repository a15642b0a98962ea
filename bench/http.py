"""The whole server over HTTP: events a second with client and server on the same machine, previews, closing, memory.

The server is ``valorem up`` in a process of its own; this process is the client, which writes requests made beforehand
to plain sockets, so that little of what is measured is its own work. *Bare* replays on as many connections the very
statements and bytes of such a run on a fresh database of the same PostgreSQL.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import psutil
import uvloop

from bench import ingest
from bench.frame import Fresh, Measurement, Size, percentile
from valorem.client import ApiError, Client, ConnectionFailedError

#: Events in a request, requests at a time, events in all.
CASES = ((1, 64, 12_000), (100, 8, 100_000), (1000, 4, 240_000))
WARM_UP = 20_000
PREVIEWS = 200
CONTRACTS = 2_000
CATALOG = {
    "meters/calls.yaml": "meter: calls\nevent: llm.call\naggregate: count\ndimensions: {model: data.model}\n",
    "meters/tokens.yaml": "meter: tokens\nevent: llm.call\naggregate: sum\n"
    "value: data.input_tokens + data.output_tokens\ndimensions: {model: data.model}\n",
    "plans/team.yaml": "plan: team\nname: Team\ncurrency: USD\nevery: month\nfees: {base: {amount: 100}}\n"
    "prices:\n  calls: {model: per_unit, amount: 0.001}\n"
    "  tokens: {model: graduated, included: 2M, tiers: [{up_to: 100M, unit: 0.000002}, {unit: 0.000001}]}\n",
}


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    key: str
    process: psutil.Process

    def memory_mb(self) -> float:
        """Resident memory of the server itself; its database's processes have their own."""
        return float(self.process.memory_info().rss) / 2**20

    def computed_s(self) -> float:
        """Processor time it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


def run(fresh: Fresh, _size: Size) -> Iterator[Measurement]:
    """Measure each batch size beside the bare database, then previews, closing and memory."""
    now = datetime.now(UTC)
    for size, clients, total in CASES:
        sent = ingest.requests(size, total, now)
        replayed = ingest.replay(fresh(), ingest.statements(fresh(), sent, clients, now))
        with server(fresh()) as running:
            idle_mb = running.memory_mb()
            _send(running, ingest.requests(size, min(WARM_UP, total // 2), now, prefix="w"), clients)
            computed = running.computed_s()
            took, acks = _send(running, sent, clients)
            yield Measurement(
                f"batch {size}, {clients} clients",
                {
                    "events/s": total / took,
                    "bare events/s": total / replayed,
                    "ratio": replayed / took,
                    "server µs/event": (running.computed_s() - computed) / total * 1e6,
                    "ack p50 ms": percentile(acks, 0.5) * 1000,
                    "ack p99 ms": percentile(acks, 0.99) * 1000,
                    "idle MB": idle_mb,
                    "loaded MB": running.memory_mb(),
                },
            )
            if size == max(size for size, _, _ in CASES):
                yield from _previews(running)
    with server(fresh()) as running:
        yield from _closing(running)


@contextmanager
def server(url: str) -> Iterator[Server]:
    """``valorem up`` on a database, with the catalog applied."""
    with tempfile.TemporaryDirectory(prefix="valorem-bench-") as name:
        folder = Path(name)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("VALOREM_")}
        environment |= {"VALOREM_DATA": name, "VALOREM_DATABASE_URL": url, "VALOREM_LOG_LEVEL": "warning"}
        process = subprocess.Popen(
            [sys.executable, "-m", "valorem", "up", "--port", "0"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            address = _address(folder, process)
            key = (folder / "admin.key").read_text().strip()
            with Client(address, key) as client:
                client.apply_catalog(CATALOG, message="bench", author="bench")
            yield Server(address, key, psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def _address(folder: Path, process: "subprocess.Popen[bytes]") -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            address = str(json.loads((folder / "server.json").read_text())["url"])
            with Client(address, retries=0) as client:
                client.ready()
        except (OSError, ValueError, ConnectionFailedError, ApiError):
            time.sleep(0.05)
        else:
            return address
    raise RuntimeError("the server did not start")


def _send(running: Server, requests: list[list[bytes]], clients: int) -> tuple[float, list[float]]:
    """Seconds for everything, and for each answer."""
    host, port = running.url.removeprefix("http://").split(":")
    written = [_request(running.key, raws) for raws in requests]
    waiting = iter(written)
    accepted = b'"accepted":%d,' % len(requests[0])
    acks: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for request in waiting:
            began = perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            acks.append(perf_counter() - began)
            assert accepted in body, (head, body[:300])
        writer.close()

    async def together() -> float:
        began = perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        return perf_counter() - began

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(together()), acks


def _request(key: str, raws: list[bytes]) -> bytes:
    kind, body = b"cloudevents+json", raws[0]
    if len(raws) > 1:
        kind, body = b"cloudevents-batch+json", b"[" + b",".join(raws) + b"]"
    return (
        b"POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %b\r\n"
        b"Content-Type: application/%b\r\nContent-Length: %d\r\n\r\n%b"
        % (key.encode(), kind, len(body), body)
    )


def _previews(running: Server) -> Iterator[Measurement]:
    """The next invoice of customers that have just been sent events."""
    start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    took = []
    with Client(running.url, running.key) as client:
        contracts = []
        for number in range(20):
            customer = f"customer-{number}"
            client.create_customer(customer, customer, "USD")
            contracts.append(client.create_contract(customer, "team", start=start).id)
        for number in range(PREVIEWS):
            began = perf_counter()
            preview = client.preview_invoice(contracts[number % len(contracts)])
            took.append(perf_counter() - began)
            assert preview is not None
    yield Measurement(
        "preview", {"p50 ms": percentile(took, 0.5) * 1000, "p99 ms": percentile(took, 0.99) * 1000}
    )


def _closing(running: Server) -> Iterator[Measurement]:
    """A month of contracts that end their period at once, in a sandbox."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    chance = random.Random(7)
    with Client(running.url, running.key) as operator:
        made = operator.create_workspace("closing", clock_at=start)
    with Client(running.url, made.admin_key.key, timeout_s=600) as client:
        client.apply_catalog(CATALOG, message="bench", author="bench")
        for number in range(CONTRACTS):
            client.create_customer(f"c{number}", "Customer", "USD")
            client.create_contract(f"c{number}", "team", start=start)
        client.advance_clock(to=start + timedelta(days=10))
        events = [
            {
                "specversion": "1.0",
                "id": f"{number}",
                "source": "bench",
                "type": "llm.call",
                "subject": f"c{number % CONTRACTS}",
                "time": (start + timedelta(hours=chance.randrange(240))).isoformat(),
                "data": {
                    "model": chance.choice("abc"),
                    "input_tokens": chance.randrange(10**6),
                    "output_tokens": 1,
                },
            }
            for number in range(CONTRACTS * 10)
        ]
        for first in range(0, len(events), 1000):
            client.send_events(events[first : first + 1000])
        began = perf_counter()
        client.advance_clock(to=start + timedelta(days=35))
        took = perf_counter() - began
        report = client.list_invoices(limit=1)
        assert report.items
    yield Measurement(
        f"close {CONTRACTS:,} contracts",
        {
            "contracts/s": CONTRACTS / took,
            "seconds for 10,000": 10_000 * took / CONTRACTS,
            "loaded MB": running.memory_mb(),
        },
    )
