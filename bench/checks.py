"""How long a check takes: in process and over HTTP, idle and while ingest runs at half of what it can.

Every check is answered from the live counters: a monthly and a daily limit on a customer with three models and a month of
use. The load is another process that sends batches of 100 events over HTTP, first as fast as they are answered, then at
half that rate.
"""

import http.client
import json
import multiprocessing
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter, sleep
from urllib.parse import urlsplit

from bench.frame import Fresh, Measurement, Size, percentile
from valorem.cli.demo.server import running_server
from valorem.client import Client
from valorem.core.entitlements.check import Asked
from valorem.core.time import write_instant
from valorem.engine.catalog import apply_catalog
from valorem.engine.checking import Checker
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database

CHECKS = 3000
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


def run(fresh: Fresh, _size: Size) -> Iterator[Measurement]:
    yield from _in_process(fresh())
    with (
        tempfile.TemporaryDirectory(prefix="valorem-bench-") as folder,
        running_server(Path(folder)) as (url, admin),
    ):
        key = _furnish(admin, url)
        idle = _over_http(url, key, CHECKS)
        yield _measurement("over HTTP, idle", *idle)
        most = _load(url, key, None, LOAD_S)
        rates: list[float] = []
        loading = threading.Thread(target=lambda: rates.append(_load(url, key, most / 2, LOAD_S * 3)))
        loading.start()
        sleep(0.5)
        busy = _over_http(url, key, CHECKS, until=monotonic() + LOAD_S * 2)
        loading.join()
        yield _measurement(
            "over HTTP, ingest at half its most", *busy, {"events/s": rates[0], "most events/s": most}
        )


def _in_process(url: str) -> Iterator[Measurement]:
    now = datetime(2026, 3, 20, 12, tzinfo=UTC)
    engine = Engine(Database(url), lambda: now)
    workspace = create_workspace(engine, name="live", kind="live").id
    ingestor = Ingestor(engine)
    with engine.transaction(workspace) as tx:
        apply_catalog(tx, CATALOG, message="bench", author="bench")
        create_customer(tx, key="ada", name="Ada", currency="USD")
        create_contract(tx, NewContract("ada", "free", start=datetime(2026, 3, 1, tzinfo=UTC)))
    ingestor.ingest(workspace, [json.dumps(each).encode() for each in _month("ada", now)])
    checker = Checker(engine)
    for _ in range(100):
        checker.check(workspace, "ada", [Asked("calls")])
    times = []
    began = perf_counter()
    for _ in range(CHECKS):
        start = perf_counter()
        checker.check(workspace, "ada", [Asked("calls")])
        times.append(perf_counter() - start)
    yield _measurement("in process, idle", times, perf_counter() - began)
    checker.close()
    ingestor.drain()
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


def _over_http(url: str, key: str, count: int, until: float | None = None) -> tuple[list[float], float]:
    body = json.dumps({"customer": "ada", "feature": "calls"})
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    times = []
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        began = perf_counter()
        for number in range(count + 50):
            start = perf_counter()
            connection.request("POST", "/v1/check", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text
            if number >= 50:
                times.append(perf_counter() - start)
            if until is not None and monotonic() > until:
                break
        return times, perf_counter() - began


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


def _measurement(
    name: str, times: list[float], took: float, more: dict[str, float] | None = None
) -> Measurement:
    return Measurement(
        name,
        {
            "checks/s": len(times) / took,
            "p50 ms": percentile(times, 0.5) * 1000,
            "p99 ms": percentile(times, 0.99) * 1000,
            **(more or {}),
        },
    )
