"""Credits: holds and settlements a second on one hot account and on 1,000, beside the bare conditional UPDATE."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg

from bench.frame import Fresh, Measurement, percentile
from valorem.engine.catalog import apply_catalog
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.credits.granting import NewGrant, give_grant
from valorem.engine.credits.holding import place_hold, settle_hold
from valorem.engine.credits.reading import balance
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database

CATALOG = {
    "credits/ai.yaml": "credit: ai\npolicies: {overage: block}\n",
    "plans/bare.yaml": "plan: bare\nname: Bare\ncurrency: USD\nevery: month\nfees: {base: {amount: 1}}\n",
}
ACCOUNTS = 1000
SECONDS = 6.0
THREADS = 8


def run(fresh: Fresh) -> Iterator[Measurement]:
    """Every case on one fresh database."""
    url = fresh()
    yield _bare(url)
    database = Database(url, size=THREADS + 4)
    engine = Engine(database, lambda: datetime.now(UTC))
    try:
        workspace = create_workspace(engine, name="bench", kind="live").id
        _furnish(engine, workspace)
        yield _holds(engine, workspace, "1 hot account, 1 thread", threads=1, accounts=1)
        yield _holds(
            engine, workspace, f"1,000 accounts, {THREADS} threads", threads=THREADS, accounts=ACCOUNTS
        )
        yield _reads(engine, workspace)
    finally:
        database.close()


def _furnish(engine: Engine, workspace: int) -> None:
    with engine.transaction(workspace) as tx:
        apply_catalog(tx, CATALOG, message="bench", author="bench")
    for number in range(ACCOUNTS):
        with engine.transaction(workspace) as tx:
            create_customer(tx, key=f"c{number}", name="c", currency="USD")
            create_contract(tx, NewContract(customer=f"c{number}", plan="bare"))
            give_grant(tx, NewGrant(f"c{number}", "ai", Decimal(10**9)))


def _holds(engine: Engine, workspace: int, name: str, *, threads: int, accounts: int) -> Measurement:
    def pair(thread: int, turn: int) -> None:
        customer, hold = f"c{(turn * threads + thread) % accounts}", f"{name}-{thread}-{turn}"
        with engine.transaction(workspace) as tx:
            place_hold(
                tx, customer=customer, credit="ai", id=hold, amount=Decimal(5), lasts=timedelta(minutes=5)
            )
        with engine.transaction(workspace) as tx:
            settle_hold(tx, customer=customer, credit="ai", id=hold, used=Decimal(3))

    took = _measured(pair, threads)
    return Measurement(name, _figures(took, 2))


def _reads(engine: Engine, workspace: int) -> Measurement:
    def read(thread: int, turn: int) -> None:
        with engine.transaction(workspace, snapshot=True, read_only=True) as tx:
            balance(tx, f"c{(turn + thread) % ACCOUNTS}", "ai")

    return Measurement("balance read, 1 thread", _figures(_measured(read, 1), 1))


def _bare(url: str) -> Measurement:
    """What Postgres itself does of two conditional updates, each a transaction of its own."""
    with psycopg.connect(
        url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True
    ) as connection:
        connection.execute("CREATE TABLE bare (id integer PRIMARY KEY, available numeric NOT NULL)")
        connection.execute("INSERT INTO bare VALUES (1, 1000000000)")

        def pair(_thread: int, _turn: int) -> None:
            for _ in range(2):
                connection.execute(
                    "UPDATE bare SET available = available - 3 WHERE id = 1 AND available >= 3"
                )

        return Measurement("bare conditional UPDATE, 1 connection", _figures(_measured(pair, 1), 2))


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
