# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Many processes on one account: never is more reserved or used than there is, and a crossing buys once."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from types import SimpleNamespace

import psycopg
import pytest

from tests.engine.billing import JANUARY, Shops, shops
from tests.engine.crediting import CREDITS, CreditShop, credit_shop
from tests.forking import preloaded
from valorem.core.errors import OverloadedError
from valorem.core.ledger.recharge import RechargeRule
from valorem.engine.credits.granting import set_top_up
from valorem.engine.credits.holding import HoldState, place_hold, settle_hold
from valorem.engine.credits.ledger import tend
from valorem.engine.engine import Engine, Transaction
from valorem.engine.retrying import in_snapshot
from valorem.store.postgres import database as store
from valorem.store.postgres.credits import Place
from valorem.store.postgres.database import Database

PROCESSES = 8
BALANCE = 1000


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


def spend(url: str, workspace: int, worker: int, isolation: str) -> int:
    """Hold and settle odd amounts until nothing is left; how much was used."""
    database = Database(url, size=2)
    engine = Engine(database, lambda: datetime.now(JANUARY.tzinfo))
    if isolation == "serializable":
        stricter = SimpleNamespace(REPEATABLE_READ=psycopg.IsolationLevel.SERIALIZABLE)
        setattr(store, "IsolationLevel", stricter)  # noqa: B010 - of this process alone

    def run(verb: Callable[[Transaction], HoldState]) -> HoldState:
        if isolation == "read committed":
            with engine.transaction(workspace) as tx:
                return verb(tx)
        for _ in range(40):
            try:
                return in_snapshot(engine, workspace, verb)
            except OverloadedError:  # nothing was done, so it may be asked for again
                continue
        raise AssertionError("never got a turn")

    used = 0
    try:
        for turn in range(8):
            name, amount = f"{worker}-{turn}", Decimal(17 + (worker * 5 + turn) % 11)
            hold = partial(
                place_hold, customer="acme", credit="ai", id=name, amount=amount, lasts=timedelta(minutes=10)
            )
            held = run(hold)
            assert held.available >= 0
            if held.hold.state == "held":
                run(partial(settle_hold, customer="acme", credit="ai", id=name, used=amount - turn % 3))
                used += int(amount) - turn % 3
    finally:
        database.close()
    return used


def look(url: str, workspace: int) -> int:
    database = Database(url, size=2)
    engine = Engine(database, lambda: datetime.now(JANUARY.tzinfo))
    try:
        with engine.transaction(workspace) as tx:
            return tend(tx, Place(workspace, "acme", "ai"))
    finally:
        database.close()


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(PROCESSES, mp_context=preloaded())


def shop_with(opened: Shops, amount: int) -> CreditShop:
    shop = credit_shop(opened, CREDITS)
    shop.sell("acme", "bare")
    shop.give("acme", amount)
    return shop


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_b1_eight_processes_never_overspend(opened: Shops, isolation: str) -> None:
    shop = shop_with(opened, BALANCE)
    url = shop.engine.database.url
    with pool() as workers:
        futures = [
            workers.submit(spend, url, shop.workspace, worker, isolation) for worker in range(PROCESSES)
        ]
        used = sum(future.result(timeout=120) for future in futures)
    found = shop.balance("acme")
    assert used <= BALANCE
    assert (found.available, found.held, found.overage) == (BALANCE - used, 0, 0)
    assert found.available < 40  # it was really fought over
    assert shop.problems() == []


def test_b16_one_crossing_buys_once_whoever_looks(opened: Shops) -> None:
    shop = shop_with(opened, 100)
    with shop.engine.transaction(shop.workspace) as tx:
        rule = RechargeRule("auto", Decimal(50), target=Decimal(300))
        set_top_up(tx, "acme", "ai", rule)
    shop.act("acme", "chat", 60, JANUARY)
    url = shop.engine.database.url
    with pool() as workers:
        futures = [workers.submit(look, url, shop.workspace) for _ in range(PROCESSES)]
        for future in futures:
            future.result(timeout=120)
    assert shop.balance("acme").available == 300
    assert shop.told().count("credit.topped_up") == 1
    assert shop.problems() == []
