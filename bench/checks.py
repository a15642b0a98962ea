"""How long a check takes: in process and over HTTP, idle and while ingest runs at half of what it can.

Every check is answered from the live counters: a monthly and a daily limit on a customer with three models and a month of
use. The load is another process that sends batches of 100 events over HTTP, first as fast as they are answered, then at
half that rate. Each row first asks as fast as one caller can, then at half that rate, which can be kept up: the latencies
are of the second, and one that starts late because the one before it was slow is counted from when it was due.
"""

import http.client
import json
import multiprocessing
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import TypeAlias
from urllib.parse import urlsplit

from bench.frame import Fresh, Measurement, Size, percentile
from valorem.cli.demo.server import running_server
from valorem.client import Client
from valorem.core.entitlements.check import Asked
from valorem.core.time import write_instant
from valorem.engine.checking import Checker
from valorem.engine.engine import Engine
from valorem.engine.workspaces import list_workspaces
from valorem.store.postgres.database import Database

CLOSED_S, PACED_S = 2.0, 6.0
LOAD_S = 4.0
BATCH = 100
CATALOG = {
    "meters/calls.yaml": "meter: calls\nevent: call\naggregate: count\ndimensions: {model: data.model}\n",
    "features/calls.yaml": "feature: calls\nkind: metered\nmeter: calls\n",
    "plans/free.yaml": (
        "plan: free\nname: Free\ncurrency: USD\n"
        "limits: {calls: [{max: 900000, window: day}, {max: 9000000, window: month}]}\n"
    ),
}
Ask: TypeAlias = Callable[[], object]


def run(_fresh: Fresh, _size: Size) -> Iterator[Measurement]:
    with (
        tempfile.TemporaryDirectory(prefix="valorem-bench-") as folder,
        running_server(Path(folder)) as (url, admin),
    ):
        key = _furnish(admin, url)
        ways: dict[str, Callable[[], AbstractContextManager[Ask]]] = {
            "in process": lambda: _in_process(Path(folder) / "data" / "server.json"),
            "over HTTP": lambda: _over_http(url, key),
        }
        for name, opened in ways.items():
            with opened() as ask:
                yield _measured(f"{name}, idle", ask)
        most = _load(url, key, None, LOAD_S)
        for name, opened in ways.items():
            rates: list[float] = []
            loading = threading.Thread(
                target=lambda rates=rates: rates.append(_load(url, key, most / 2, CLOSED_S + PACED_S + 2))
            )
            loading.start()
            sleep(1)  # until the other process sends
            with opened() as ask:
                found = _measured(f"{name}, ingest at half its most", ask)
            loading.join()
            yield Measurement(found.name, {**found.values, "events/s": rates[0], "most events/s": most})


def _measured(name: str, ask: Ask) -> Measurement:
    for _ in range(200):
        ask()
    asked, began = 0, perf_counter()
    while perf_counter() - began < CLOSED_S:
        ask()
        asked += 1
    most = asked / (perf_counter() - began)
    times, took = _paced(ask, most / 2, PACED_S)
    return Measurement(
        name,
        {
            "checks/s": len(times) / took,
            "p50 ms": percentile(times, 0.5) * 1000,
            "p99 ms": percentile(times, 0.99) * 1000,
            "most checks/s": most,
        },
    )


def _paced(ask: Ask, rate: float, for_s: float) -> tuple[list[float], float]:
    """Seconds for each of the calls that fall due at a rate, and for all."""
    times: list[float] = []
    began = perf_counter()
    while (due := began + len(times) / rate) < began + for_s:
        start = due
        if (early := due - perf_counter()) > 0:
            sleep(early)
            start = perf_counter()
        ask()
        times.append(perf_counter() - start)
        if perf_counter() - began > for_s * 2:
            break  # the rate cannot be kept up after all: the one that was reached says so
    return times, perf_counter() - began


@contextmanager
def _in_process(server: Path) -> Iterator[Ask]:
    """Ask from this process, on the database of the server that takes the events."""
    engine = Engine(Database(json.loads(server.read_text())["database"]), lambda: datetime.now(UTC))
    workspace = next(each.id for each in list_workspaces(engine) if each.name == "live")
    checker = Checker(engine)
    try:
        yield lambda: checker.check(workspace, "ada", [Asked("calls")])
    finally:
        checker.close()
        engine.database.close()


def _furnish(admin: Client, url: str) -> str:
    now = datetime.now(UTC)
    admin.apply_catalog(CATALOG, message="bench", author="bench")
    admin.create_customer("ada", "Ada", "USD")
    admin.create_contract("ada", "free", start=now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    admin.send_events(list(_month("ada", now)))
    return admin.create_key("bench", ["read", "events:write"]).key or url


def _month(customer: str, now: datetime) -> Iterator[dict[str, object]]:
    for number in range(3000):
        time = now - timedelta(minutes=number * 6)
        yield {
            "specversion": "1.0",
            "id": f"m{number}",
            "source": "bench",
            "type": "call",
            "subject": customer,
            "time": write_instant(time),
            "data": {"model": "abc"[number % 3]},
        }


@contextmanager
def _over_http(url: str, key: str) -> Iterator[Ask]:
    body = json.dumps({"customer": "ada", "feature": "calls"})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:

        def ask() -> None:
            connection.request("POST", "/v1/check", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text

        yield ask


def _load(url: str, key: str, rate: float | None, for_s: float) -> float:
    """Events a second that another process got acknowledged."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send, args=(url, key, rate, for_s, theirs))
    process.start()
    sent: float = ours.recv()
    process.join()
    return sent


def _send(
    url: str, key: str, rate: float | None, for_s: float, answer: "multiprocessing.connection.Connection"
) -> None:
    headers = {"authorization": f"Bearer {key}", "content-type": "application/x-ndjson"}
    sent, number = 0, 0
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        began = monotonic()
        while monotonic() - began < for_s:
            number += 1
            lines = [
                b'{"specversion":"1.0","id":"%d-%d","source":"load-%d","type":"call","subject":"c%d","data":{"model":"a"}}'
                % (number, one, int(for_s), one % 50)
                for one in range(BATCH)
            ]
            connection.request("POST", "/v1/events", b"\n".join(lines), headers)
            connection.getresponse().read()
            sent += BATCH
            if rate is not None:
                sleep(max(0.0, began + sent / rate - monotonic()))
        answer.send(sent / (monotonic() - began))
