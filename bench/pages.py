"""Server time of each page of the console and of the portal, in the process, with 200 customers and many events.

``first`` is the first visit after the start, with nothing kept yet; ``p50`` and ``p95`` are of the visits after it, by the
clock on the wall. ``own`` and ``database`` are what a visit costs in CPU time: of this process, and of the server's
processes where they run on this machine. They stay the same on a machine that is busy with something else.
"""

import json
import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from time import monotonic, perf_counter, process_time, sleep
from urllib.parse import urlsplit

import httpx
import psutil

from bench.frame import Fresh, Measurement, Size, percentile
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
from valorem.engine.invoices import list_invoices
from valorem.engine.people import list_people
from valorem.engine.portal import make_portal_link
from valorem.engine.sessions import begin_session, make_link, set_up, sign, signing_secret
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse

CUSTOMERS = 200
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=45)
VISITS = 12
#: Events in a request: as many as one commit takes.
BATCH = 2000
#: The standings are added up in the background after the first visit; visits are timed once this process is quiet.
_QUIET_S, _QUIET_SHARE, _PATIENCE_S = 2.0, 0.15, 120.0
CONSOLE = {
    "home": "/",
    "events": "/events",
    "meters": "/meters",
    "catalog": "/catalog",
    "change": "/catalog/change",
    "customers": "/customers",
    "customer": "/customers/cust_001",
    "customer limits": "/customers/cust_001/limits",
    "customer credits": "/customers/cust_001/credits",
    "contract": "/contracts/{contract}",
    "contract change": "/contracts/{contract}/change",
    "invoices": "/invoices",
    "invoice": "/invoices/{invoice}",
    "invoice line": "/invoices/{invoice}/lines/1",
    "payments": "/payments",
    "reminders": "/dunning",
    "credits": "/credits",
    "outcomes": "/outcomes",
    "revenue": "/revenue",
    "alerts": "/alerts",
    "search": "/search?q=cust_1",
    "clock": "/clock",
    "keys": "/settings/keys",
    "audit": "/settings/audit",
}
PORTAL = {
    "portal overview": "/",
    "portal usage": "/usage",
    "portal events": "/usage/events",
    "portal credits": "/credits",
    "portal limits": "/limits",
    "portal invoices": "/invoices",
    "portal invoice": "/invoices/{invoice}",
    "portal plan": "/plan",
    "portal calculator": "/plan/calculator",
}


def run(fresh: Fresh, size: Size) -> Iterator[Measurement]:
    """Fill one workspace, then visit every page."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(fresh())
        engine = Engine(database, lambda: datetime.now(UTC), warehouse=DuckdbWarehouse(Path(folder)))
        ingestor = Ingestor(engine)
        workspace = create_workspace(engine, name="large", kind="sandbox", clock_at=START).id
        try:
            contract = _furnish(engine, workspace)
            yield _fill(engine, ingestor, workspace, size.events)
            app = assemble(engine, ingestor)
            with httpx.Client(
                transport=InProcessTransport(app), base_url="http://bench.invalid", timeout=60
            ) as http:
                yield from _visit(http, engine, workspace, contract)
            app.state.draining.set()
        finally:
            ingestor.drain()
            database.close()


def _furnish(engine: Engine, workspace: int) -> str:
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
    return contract


def _fill(engine: Engine, ingestor: Ingestor, workspace: int, events: int) -> Measurement:
    """The events of a month that is over and of half a month, as a customer's program sends them."""
    began = perf_counter()
    advance_clock(engine, workspace, to=START + timedelta(days=30))
    half = events * 2 // 3
    _send(ingestor, workspace, half, START, START + timedelta(days=30), "jan")
    advance_clock(engine, workspace, to=NOW)
    _send(ingestor, workspace, events - half, START + timedelta(days=31), NOW, "feb")
    while export_batches(engine, workspace).batches:
        continue
    took = perf_counter() - began
    return Measurement(f"filling {events:,}", {"seconds": took, "events/s": events / took})


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
        assert {one.status for one in ingestor.ingest(workspace, lines)} == {"accepted"}


def _session(engine: Engine) -> str:
    deed = Deed("", "bench", "")
    set_up(engine, make_link(engine, "set_up"), deed, email="a@b.c", name="Bench", password="a long password")
    token = begin_session(engine, list_people(engine)[0], deed).token
    return f"valorem_session={token}.{sign(signing_secret(engine, 'pages'), 'session', token)}"


def _visit(http: httpx.Client, engine: Engine, workspace: int, contract: str) -> Iterator[Measurement]:
    http.headers["cookie"] = _session(engine)
    number = http.get("/w/large/invoices").text.partition("INV-")[2][:6]
    names = {"contract": contract, "invoice": f"INV-{number}"}
    addresses = {name: "/w/large" + path.format(**names) for name, path in CONSOLE.items()}
    first = {name: _timed(http, address) for name, address in addresses.items()}
    _wait_until_quiet()
    for name, address in addresses.items():
        yield _measured(http, engine, name, address, first[name])
    with engine.transaction(workspace, read_only=True) as tx:
        theirs = list_invoices(tx, customer="cust_001", newest_first=True, limit=1)[0].number
    for name, path in PORTAL.items():
        # A session of its own for each page: somebody who asks this often is asked to wait.
        home = _enter(http, engine, workspace)
        address = home + path.format(invoice=theirs)
        yield _measured(http, engine, name, address, _timed(http, address))


def _enter(http: httpx.Client, engine: Engine, workspace: int) -> str:
    with engine.transaction(workspace) as tx:
        made = make_portal_link(tx, "cust_001", real_now=datetime.now(UTC), by="bench")
    answer = http.get(f"/portal/enter?t={made.token}")
    http.headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]
    return urlsplit(answer.headers["location"]).path.rstrip("/")


def _measured(http: httpx.Client, engine: Engine, name: str, address: str, first: float) -> Measurement:
    own, server = process_time(), _server_time(engine)
    times = [_timed(http, address) for _ in range(VISITS)]
    own = process_time() - own
    values = {
        "first ms": first * 1000,
        "p50 ms": percentile(times, 0.5) * 1000,
        "p95 ms": percentile(times, 0.95) * 1000,
        "own ms": own / VISITS * 1000,
    }
    if server is not None and (after := _server_time(engine)) is not None:
        values["database ms"] = (after - server) / VISITS * 1000
    return Measurement(name, values)


def _server_time(engine: Engine) -> float | None:
    """CPU time of the database's processes in seconds; None where they do not run on this machine."""
    with engine.database.system() as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        ).fetchall()
    try:
        return sum((sum(psutil.Process(row["pid"]).cpu_times()[:2]) for row in rows), 0.0)
    except psutil.Error:
        return None


def _wait_until_quiet() -> None:
    deadline = monotonic() + _PATIENCE_S
    while monotonic() < deadline:
        before = process_time()
        sleep(_QUIET_S)
        if process_time() - before < _QUIET_S * _QUIET_SHARE:
            return


def _timed(http: httpx.Client, address: str) -> float:
    began = perf_counter()
    answer = http.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return perf_counter() - began
