"""Closing a month of mixed contracts (10,000 with ``--full``), and previews of single ones before it.

A quarter each: usage by model, hybrid (base fee, seats, included tokens and overage), hybrid with a commitment it draws from,
hybrid with a discount. Every contract has a month of use of two models on eight days. *Bare* reads the rows that a closing
run needs (contracts, drafts, subjects, counters) and writes as many documents and numbers as it wrote, in as few
statements: what the database itself costs. Nothing is computed there. *RSS more* is what the process grew by while it
closed: it does not depend on how many contracts there are.
"""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from time import perf_counter

import psutil
import psycopg

from bench.frame import Fresh, Measurement, Size, percentile
from valorem.core.contracts.agreed import Access, Commitment, Discount
from valorem.core.contracts.edits import AddCommitment, AddDiscount
from valorem.core.time import write_instant
from valorem.engine.catalog import apply_catalog
from valorem.engine.closing import close_due
from valorem.engine.contract_changes import ChangeRequest, change_contract
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.invoices import preview_invoice
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres import workspaces
from valorem.store.postgres.database import Database

PREVIEWS = 400
AT_ONCE = 200
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
CATALOG = {
    "meters/tokens.yaml": (
        "meter: tokens\nevent: call\naggregate: sum\nvalue: data.n\ndimensions: {model: data.model}\n"
    ),
    "meters/calls.yaml": "meter: calls\nevent: call\naggregate: count\n",
    "plans/usage.yaml": """
plan: usage
name: Usage
currency: USD
every: month
prices:
  tokens:
    model: matrix
    rates:
      - {model: large, amount: 2.50, per: 1M}
      - {model: small, amount: 0.15, per: 1M}
  calls: {model: graduated, tiers: [{up_to: 5, unit: 0}, {unit: 0.01}]}
""",
    "plans/team.yaml": """
plan: team
name: Team
currency: USD
every: month
fees:
  base: {amount: 100}
  seat: {amount: 30, per: seat}
prices:
  tokens: {model: graduated, included: 10k, tiers: [{up_to: 1M, unit: 0.002}, {unit: 0.001}]}
  calls: {model: per_unit, amount: 0.01}
""",
}


def run(fresh: Fresh, size: Size) -> Iterator[Measurement]:
    """Previews, the closing run, and what the database alone costs."""
    url = fresh()
    database = Database(url)
    engine = Engine(database, lambda: END)
    try:
        workspace = create_workspace(engine, name="bench", clock_at=START).id
        ids = _sell(engine, workspace, size.contracts)
        _move(engine, workspace, START)
        close_due(engine, workspace)  # the invoices of the start, in advance
        _move(engine, workspace, END - timedelta(days=1))
        _use(engine, workspace, size.contracts)
        yield _previews(engine, workspace, ids)
        _move(engine, workspace, END + timedelta(hours=1))
        closed, documents = _close(engine, workspace, size.contracts)
        yield closed
        yield _bare(url, workspace, documents)
    finally:
        database.close()


def _sell(engine: Engine, workspace: int, contracts: int) -> list[str]:
    with engine.transaction(workspace) as tx:
        apply_catalog(tx, CATALOG, message="bench", author="bench")
    access = Access(amount=Decimal(10_000), start=START, end=START + timedelta(days=365))
    numbers, ids = iter(range(contracts)), []
    while some := list(islice(numbers, AT_ONCE)):
        with engine.transaction(workspace) as tx:
            for number in some:
                create_customer(tx, key=f"c{number}", name=f"Customer {number}", currency="USD")
                plan, seats = ("usage", None) if number % 4 == 0 else ("team", {"seat": Decimal(3)})
                new = NewContract(f"c{number}", plan, start=START, seats=seats)
                contract = create_contract(tx, new).id
                ids.append(contract)
                if number % 4 == 2:
                    added = AddCommitment(
                        commitment=Commitment(id="year", access=(access,), only=("tokens", "calls"))
                    )
                    change_contract(tx, contract, ChangeRequest((added,), START), "bench")
                elif number % 4 == 3:
                    taken = AddDiscount(discount=Discount(id="loyal", percent=Decimal("0.1")))
                    change_contract(tx, contract, ChangeRequest((taken,), START), "bench")
    return ids


def _use(engine: Engine, workspace: int, contracts: int) -> None:
    ingestor = Ingestor(engine)
    try:
        events = (
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": f"{number}.{use}",
                    "source": "/bench",
                    "type": "call",
                    "subject": f"c{number}",
                    "time": write_instant(START + timedelta(days=3 * use, hours=number % 24)),
                    "data": {"n": 40_000 + number, "model": "large" if use % 2 else "small"},
                }
            ).encode()
            for number in range(contracts)
            for use in range(8)
        )
        while some := list(islice(events, 2000)):
            assert {one.status for one in ingestor.ingest(workspace, some)} == {"accepted"}
    finally:
        ingestor.drain()


def _move(engine: Engine, workspace: int, to: datetime) -> None:
    with engine.transaction(workspace) as tx:
        workspaces.move_clock(tx.connection, workspace, to)


def _previews(engine: Engine, workspace: int, ids: list[str]) -> Measurement:
    took: list[float] = []
    for contract in ids[:: max(1, len(ids) // PREVIEWS)]:
        began = perf_counter()
        with engine.transaction(workspace, snapshot=True, read_only=True) as tx:
            preview_invoice(tx, contract)
        took.append((perf_counter() - began) * 1000)
    return Measurement(
        f"preview of one of {len(ids):,}",
        {"p50 ms": percentile(took, 0.5), "p99 ms": percentile(took, 0.99)},
    )


def _close(engine: Engine, workspace: int, contracts: int) -> tuple[Measurement, int]:
    process = psutil.Process()
    most, done = [process.memory_info().rss], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            most.append(process.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    cpu, began = sum(process.cpu_times()[:2]), perf_counter()
    report = close_due(engine, workspace)
    took, cpu = perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
    done.set()
    watching.join()
    measured: dict[str, float | int | str] = {
        "contracts/s": report.finalised / took,
        "seconds": took,
        "own CPU s": cpu,
        "RSS MB": max(most) / 2**20,
        "RSS MB more": (max(most) - most[0]) / 2**20,
    }
    assert report.finalised == contracts
    return Measurement(f"close {report.finalised:,}", measured), report.finalised


def _bare(url: str, workspace: int, documents: int) -> Measurement:
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://")) as connection:
        began = perf_counter()
        for query in (
            "SELECT * FROM contract WHERE workspace = %s",
            "SELECT * FROM invoice WHERE workspace = %s AND status = 'finalised'",
            "SELECT * FROM subject WHERE workspace = %s",
            "SELECT subject, revision, dimensions, sum(n), sum(total) FROM counter WHERE workspace = %s GROUP BY 1, 2, 3",
        ):
            connection.execute(query, (workspace,)).fetchall()
        connection.execute(
            "CREATE TABLE bare_document AS SELECT * FROM invoice_document WHERE workspace = %s LIMIT %s",
            (workspace, documents),
        )
        connection.execute(
            "CREATE TABLE bare_number AS SELECT * FROM invoice_number WHERE workspace = %s LIMIT %s",
            (workspace, documents),
        )
        connection.commit()
        took = perf_counter() - began
    return Measurement("bare reads and writes", {"contracts/s": documents / took, "seconds": took})
