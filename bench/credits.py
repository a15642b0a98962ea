"""Credits: holds and settlements a second on one hot account and on 1,000, beside the bare conditional UPDATE.

All run in the same database one after the other, six seconds each, with as many connections as the row beside. *By replay*
is the same with the row's own decision switched off, as after every event of the account; *members* is one account whose
members each have a cap; *rich* one with two hundred grants that run and ten thousand that have ended. The last rows read
balances: at rest, while events of other customers come in at half of what the machine takes, and of the rich account.
Beside the rates stand the statements, begin and commit among them, and the processor time of this process for each.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import psycopg

from bench.frame import Fresh, Measurement, Size, percentile
from bench.ingest import METERS, requests
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.scope import UNSPECIFIED, Workload
from valorem.engine.catalog import apply_catalog
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.credits import holding
from valorem.engine.credits.closing import tend_credits
from valorem.engine.credits.granting import NewGrant, give_grant
from valorem.engine.credits.holding import place_hold, settle_hold
from valorem.engine.credits.reading import balance
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.meters import activate
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import Place
from valorem.store.postgres.database import Database

CATALOG = {
    "meters/acts.yaml": "meter: acts\nevent: act\naggregate: count\ndimensions: {user: data.user}\n",
    "credits/ai.yaml": "credit: ai\npolicies: {overage: block}\n",
    "credits/shared.yaml": "credit: shared\nmember: user\nburn: {acts: {model: per_unit, amount: 1}}\n"
    "policies: {overage: block}\ncaps: {share: {amount: 1000000, every: day, per: member, of: pool}}\n",
    "plans/bare.yaml": "plan: bare\nname: Bare\ncurrency: USD\nevery: month\nfees: {base: {amount: 1}}\n",
}
ACCOUNTS = 1000
SECONDS = 6.0
THREADS = 4
PAST_GRANTS = 10_000
RUNNING_GRANTS = 200
MEMBERS = 40


def run(fresh: Fresh, _size: Size) -> Iterator[Measurement]:
    """Every case on one fresh database."""
    url = fresh()
    database = Database(url, size=THREADS + 6)
    engine = Engine(database, lambda: datetime.now(UTC))
    try:
        workspace = create_workspace(engine, name="bench", kind="live").id
        _furnish(engine, workspace)
        _prepare_bare(url)
        for threads, accounts in ((1, 1), (THREADS, 1), (THREADS, ACCOUNTS)):
            said = f"{accounts:,} account{'s' if accounts > 1 else ''}, {threads} connection{'s' if threads > 1 else ''}"
            yield _bare(url, f"bare UPDATE: {said}", threads, accounts)
            yield _holds(engine, workspace, f"hold, settle: {said}", threads=threads, accounts=accounts)
        with (
            patch.object(holding, "quick", lambda *_: None),
            patch.object(holding, "quick_hold", lambda *_: None),
        ):
            yield _holds(engine, workspace, "by replay: 1 account, 1 connection", 1, 1)
            yield _holds(engine, workspace, "by replay: 1,000 accounts, 4 connections", THREADS, ACCOUNTS)
        yield _holds(engine, workspace, "members: 1 account, 4 connections", THREADS, 1, credit="shared")
        yield _reads(engine, workspace, "balance read", _any_account)
        yield from _reads_while_events_come(engine, workspace)
        _give_a_past(engine, workspace, "old", 0)
        yield _reads(engine, workspace, f"balance read, {PAST_GRANTS:,} grants behind it", lambda _: "old")
        _give_a_past(engine, workspace, "rich", RUNNING_GRANTS)
        yield _holds(engine, workspace, "rich: 1 account, 4 connections", THREADS, 1, customer="rich")
        yield _reads(engine, workspace, f"balance read, {RUNNING_GRANTS} running grants", lambda _: "rich")
    finally:
        database.close()


def _furnish(engine: Engine, workspace: int) -> None:
    with engine.transaction(workspace) as tx:
        apply_catalog(tx, CATALOG, message="bench", author="bench")
        activate(tx, METERS)
    for number in range(ACCOUNTS):
        _customer(engine, workspace, f"c{number}")


def _customer(engine: Engine, workspace: int, key: str) -> None:
    with engine.transaction(workspace) as tx:
        create_customer(tx, key=key, name="c", currency="USD")
        create_contract(tx, NewContract(customer=key, plan="bare"))
        give_grant(tx, NewGrant(key, "ai", Decimal(10**9)))
        if key == "c0":
            give_grant(tx, NewGrant(key, "shared", Decimal(10**9)))


def _give_a_past(engine: Engine, workspace: int, customer: str, running: int) -> None:
    """Grants that ended in the year before, recorded as they would have been, in periods that are closed."""
    _customer(engine, workspace, customer)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    place = Place(workspace, customer, "ai")
    ended = (now - timedelta(days=40 + number % 330) for number in range(PAST_GRANTS))
    grants = [
        Grant(f"past-{number:05}", Decimal(100), at - timedelta(days=30), at)
        for number, at in enumerate(ended)
    ]
    new = [Grant(f"now-{number:03}", Decimal(10**6), now) for number in range(running)]
    with engine.transaction(workspace) as tx:
        store.record_grants(tx.connection, place, [*grants, *new], now)
        store.wake(tx.connection, workspace, customer, now)
    tend_credits(engine, workspace)


def _holds(
    engine: Engine,
    workspace: int,
    name: str,
    threads: int,
    accounts: int,
    *,
    credit: str = "ai",
    customer: str | None = None,
) -> Measurement:
    def pair(thread: int, turn: int) -> None:
        number = turn * threads + thread
        whose, hold = customer or f"c{number % accounts}", f"{name}-{thread}-{turn}"
        with engine.transaction(workspace) as tx:
            place_hold(
                tx,
                customer=whose,
                credit=credit,
                id=hold,
                amount=Decimal(5),
                lasts=timedelta(minutes=5),
                work=Workload(member=f"m{number % MEMBERS}") if credit == "shared" else UNSPECIFIED,
            )
        with engine.transaction(workspace) as tx:
            settle_hold(tx, customer=whose, credit=credit, id=hold, used=Decimal(3))

    with _counted() as asked:
        began = time.process_time()
        took = _measured(pair, threads)
        used_s = time.process_time() - began
    own = {
        "statements": round(asked[0] / (2 * len(took)) + 2, 1),
        "own_cpu_us": round(used_s / (2 * len(took)) * 1e6),
    }
    return Measurement(name, {**_figures(took, 2), **own})


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Counts statements; those that begin and end a transaction are not among them."""
    asked = [0]
    execute = psycopg.Connection.execute

    def counting(connection: Any, *arguments: Any, **options: Any) -> Any:
        asked[0] += 1
        return execute(connection, *arguments, **options)

    with patch.object(psycopg.Connection, "execute", counting):
        yield asked


def _any_account(turn: int) -> str:
    return f"c{turn % ACCOUNTS}"


def _reads(engine: Engine, workspace: int, name: str, whose: Callable[[int], str]) -> Measurement:
    def read(_thread: int, turn: int) -> None:
        with engine.transaction(workspace, snapshot=True, read_only=True) as tx:
            balance(tx, whose(turn), "ai")

    return Measurement(name, _figures(_measured(read, 1), 1))


def _reads_while_events_come(engine: Engine, workspace: int) -> Iterator[Measurement]:
    ingestor = Ingestor(engine)
    try:
        batches = iter(requests(1000, 400_000, now=datetime.now(UTC), prefix="most"))
        began, sent = time.perf_counter(), 0
        while time.perf_counter() - began < SECONDS:
            ingestor.ingest(workspace, next(batches))
            sent += 1000
        most = sent / (time.perf_counter() - began)
        over = threading.Event()

        def half() -> None:
            paced = iter(requests(1000, 400_000, now=datetime.now(UTC), prefix="half"))
            due = time.perf_counter()
            while not over.is_set():
                ingestor.ingest(workspace, next(paced))
                due += 2000 / most
                over.wait(max(0.0, due - time.perf_counter()))

        other = threading.Thread(target=half)
        other.start()
        try:
            yield _reads(engine, workspace, f"the same, beside {most / 2:,.0f} events/s", _any_account)
        finally:
            over.set()
            other.join()
    finally:
        ingestor.drain()


def _prepare_bare(url: str) -> None:
    with _connection(url) as connection:
        connection.execute("CREATE TABLE bare (id integer PRIMARY KEY, available numeric NOT NULL)")
        connection.execute(
            "INSERT INTO bare SELECT number, 1000000000 FROM generate_series(0, %s) AS number",
            (ACCOUNTS - 1,),
        )


def _bare(url: str, name: str, threads: int, accounts: int) -> Measurement:
    """What Postgres itself does of two conditional updates, each a transaction of its own."""
    connections = [_connection(url) for _ in range(threads)]

    def pair(thread: int, turn: int) -> None:
        for _ in range(2):
            connections[thread].execute(
                "UPDATE bare SET available = available - 3 WHERE id = %s AND available >= 3",
                ((turn * threads + thread) % accounts,),
            )

    try:
        return Measurement(name, _figures(_measured(pair, threads), 2))
    finally:
        for connection in connections:
            connection.close()


def _connection(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def _measured(act: Callable[[int, int], None], threads: int) -> list[float]:
    ends = time.perf_counter() + SECONDS

    def loop(thread: int) -> list[float]:
        took, turn = [], 0
        while (began := time.perf_counter()) < ends:
            act(thread, turn)
            took.append(time.perf_counter() - began)
            turn += 1
        return took

    with ThreadPoolExecutor(threads) as pool:
        return [one for found in pool.map(loop, range(threads)) for one in found]


def _figures(took: list[float], operations: int) -> dict[str, float | int | str]:
    return {
        "per_s": round(len(took) * operations / SECONDS),
        "p50_ms": round(percentile(took, 0.5) * 1000 / operations, 2),
        "p99_ms": round(percentile(took, 0.99) * 1000 / operations, 2),
    }
