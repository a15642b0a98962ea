"""Server time of each page of the console, in the process, with 200 customers and a million events.

``first`` is the first visit after the start, with nothing kept yet; ``p50`` and ``p95`` are of the visits after it.
"""

import json
import os
import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from time import perf_counter, sleep

import httpx

from bench.frame import Fresh, Measurement, percentile
from valorem.app import assemble
from valorem.client.in_process import InProcessTransport
from valorem.engine.audit import Deed
from valorem.engine.catalog import apply_catalog
from valorem.engine.clock import advance_clock
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.export import export_batches
from valorem.engine.ingest import Ingestor
from valorem.engine.people import list_people
from valorem.engine.sessions import begin_session, make_link, set_up, sign, signing_secret
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse

CUSTOMERS = 200
EVENTS = int(os.environ.get("BENCH_PAGES_EVENTS", "1000000"))
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=45)
VISITS = 12
#: Events in a request.
BATCH = 1000


def run(fresh: Fresh) -> Iterator[Measurement]:
    """Fill one workspace, then visit every page."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(fresh())
        engine = Engine(database, lambda: datetime.now(UTC), warehouse=DuckdbWarehouse(Path(folder)))
        ingestor = Ingestor(engine)
        workspace = create_workspace(engine, name="large", kind="sandbox", clock_at=START).id
        try:
            contract = _furnish(engine, ingestor, workspace)
            app = assemble(engine, ingestor)
            with httpx.Client(
                transport=InProcessTransport(app), base_url="http://bench.invalid", timeout=60
            ) as http:
                http.headers["cookie"] = _session(engine)
                yield from _visit(http, contract)
            app.state.draining.set()
        finally:
            ingestor.drain()
            database.close()


def _furnish(engine: Engine, ingestor: Ingestor, workspace: int) -> str:
    root = resources.files("valorem.cli.demo") / "catalog"
    files = {
        f"{folder.name}/{file.name}": file.read_text(encoding="utf-8")
        for folder in root.iterdir()
        for file in folder.iterdir()
    }
    contract = ""
    with engine.transaction(workspace) as tx:
        apply_catalog(tx, files, message="Bench", author="bench")
    with engine.transaction(workspace) as tx:
        for number in range(CUSTOMERS):
            key = f"cust_{number:03d}"
            create_customer(tx, key=key, name=f"Customer {number}", currency="USD")
            plan = "team" if number % 2 else "api"
            seats = {"seat": Decimal(5)} if number % 2 else {}
            contract = create_contract(tx, NewContract(customer=key, plan=plan, start=START, seats=seats)).id
    advance_clock(engine, workspace, to=START + timedelta(days=30))
    half = EVENTS * 2 // 3
    _send(ingestor, workspace, half, START, START + timedelta(days=30), "jan")
    advance_clock(engine, workspace, to=NOW)
    _send(ingestor, workspace, EVENTS - half, START + timedelta(days=31), NOW, "feb")
    while export_batches(engine, workspace).batches:
        continue
    return contract


def _send(ingestor: Ingestor, workspace: int, count: int, start: datetime, end: datetime, name: str) -> None:
    chance = random.Random(name)
    step = (end - start) / count
    for first in range(0, count, BATCH):
        lines = [
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": f"{name}-{number}",
                    "source": "bench",
                    "type": "llm.call",
                    "subject": f"cust_{int(CUSTOMERS * chance.random() ** 2):03d}",
                    "time": (start + number * step).isoformat(),
                    "data": {
                        "model": chance.choice(["gpt-5.4", "gpt-5.4-mini"]),
                        "input_tokens": chance.randrange(4000),
                        "output_tokens": chance.randrange(900),
                        "status": "ok",
                    },
                }
            ).encode()
            for number in range(first, min(first + BATCH, count))
        ]
        ingestor.ingest(workspace, lines)


def _session(engine: Engine) -> str:
    deed = Deed("", "bench", "")
    set_up(engine, make_link(engine, "set_up"), deed, email="a@b.c", name="Bench", password="a long password")
    token = begin_session(engine, list_people(engine)[0], deed).token
    return f"valorem_session={token}.{sign(signing_secret(engine, 'pages'), 'session', token)}"


def _visit(http: httpx.Client, contract: str) -> Iterator[Measurement]:
    number = http.get("/w/large/invoices").text.partition("INV-")[2][:6]
    paths = {
        "home": "/",
        "events": "/events",
        "meters": "/meters",
        "catalog": "/catalog",
        "change": "/catalog/change",
        "customers": "/customers",
        "customer": "/customers/cust_001",
        "contract": f"/contracts/{contract}",
        "invoices": "/invoices",
        "invoice": f"/invoices/INV-{number}",
        "invoice line": f"/invoices/INV-{number}/lines/1",
        "payments": "/payments",
        "reminders": "/dunning",
        "credits": "/credits",
        "revenue": "/revenue",
        "outcomes": "/outcomes",
        "customer limits": "/customers/cust_001/limits",
        "customer credits": "/customers/cust_001/credits",
        "contract change": f"/contracts/{contract}/change",
        "alerts": "/alerts",
        "clock": "/clock",
        "keys": "/settings/keys",
        "audit": "/settings/audit",
    }
    first = {name: _timed(http, path) for name, path in paths.items()}
    sleep(15)  # the standings are added up in the background meanwhile
    for name, path in paths.items():
        times = [_timed(http, path) for _ in range(VISITS)]
        yield Measurement(
            name,
            {
                "first ms": first[name] * 1000,
                "p50 ms": percentile(times, 0.5) * 1000,
                "p95 ms": percentile(times, 0.95) * 1000,
            },
        )


def _timed(http: httpx.Client, path: str) -> float:
    began = perf_counter()
    answer = http.get(f"/w/large{path}")
    assert answer.status_code == 200, (path, answer.status_code)
    return perf_counter() - began
