"""What gets in each other's way is done again, and what must be done by one at a time waits for its turn."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from psycopg.errors import DeadlockDetected

from tests.engine.billing import JANUARY, Shops, shops
from valorem.engine.closing import CLOSING
from valorem.engine.contract_changes import set_seats
from valorem.engine.engine import Transaction
from valorem.engine.jobs import JOBS
from valorem.engine.retrying import acting, alone, in_snapshot, in_transaction, until_done
from valorem.engine.sealing import SERIES
from valorem.engine.worker import Worker
from valorem.store.postgres import invoices
from valorem.store.postgres.locks import Lock, turn_for


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def together(*works: Callable[[], object]) -> list[BaseException]:
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures


@pytest.mark.parametrize("run", [in_transaction, in_snapshot])
def test_two_that_lock_the_same_rows_crosswise_both_get_done(market: Shops, run: Callable[..., None]) -> None:
    shop = market.open()
    contracts = [shop.sell(name, "team", seats={"seat": Decimal(1)}).id for name in ("ada", "bo")]
    both_hold_one = threading.Barrier(2)
    tries = {0: 0, 1: 0}

    def work(first: int) -> Callable[[], None]:
        def verb(tx: Transaction) -> None:
            tries[first] += 1
            for place in (first, 1 - first):
                set_seats(tx, contracts[place], key="seat", quantity=Decimal(2 + first))
                if place == first and tries[first] == 1:
                    both_hold_one.wait(30)

        return lambda: run(shop.engine, shop.workspace, verb)

    assert together(work(0), work(1)) == []
    assert sum(tries.values()) >= 3  # at least one of them lost, and was done again


def test_a_block_that_loses_is_done_again_with_the_work_around_it(market: Shops) -> None:
    """As the forms of the pages are: what they wrote is gone, so they begin anew."""
    shop = market.open()
    contracts = [shop.sell(name, "team", seats={"seat": Decimal(1)}).id for name in ("ada", "bo")]
    both_hold_one = threading.Barrier(2)
    tries = {0: 0, 1: 0}

    def work(first: int) -> Callable[[], str]:
        def form() -> str:
            tries[first] += 1
            with acting(shop.engine, shop.workspace) as tx:
                for place in (first, 1 - first):
                    set_seats(tx, contracts[place], key="seat", quantity=Decimal(2 + first))
                    if place == first and tries[first] == 1:
                        both_hold_one.wait(30)
            return "done"

        return lambda: until_done(form)

    assert together(work(0), work(1)) == []
    assert sum(tries.values()) == 3


def test_whoever_takes_numbers_waits_before_the_instant_that_it_sees(market: Shops) -> None:
    """Or it would find them taken since, every time while others write invoices, and give up."""
    shop = market.open()
    turn = turn_for(Lock.NUMBERS, shop.workspace, SERIES)
    taken, tries = threading.Event(), [0]

    def take(tx: Transaction) -> None:
        last = invoices.lock_series(tx.connection, shop.workspace, SERIES)
        invoices.move_series(tx.connection, shop.workspace, SERIES, last + 1)

    def one_off() -> None:
        with shop.engine.transaction(shop.workspace) as tx:
            take(tx)
            taken.set()
            wait_for_another(tx)

    def closing() -> None:
        def verb(tx: Transaction) -> None:
            tries[0] += 1
            take(tx)

        assert taken.wait(60)
        in_snapshot(shop.engine, shop.workspace, verb, turn=turn)

    assert together(one_off, closing) == []
    assert tries == [1]
    with shop.engine.transaction(shop.workspace) as tx:
        assert invoices.lock_series(tx.connection, shop.workspace, SERIES) == 2


def wait_for_another(tx: Transaction) -> None:
    """Until somebody waits for a lock that this transaction holds."""
    for _ in range(1200):
        row = tx.connection.execute(
            "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
        if row is not None and row["n"]:
            return
        time.sleep(0.05)
    raise AssertionError("nobody came to wait")


def test_without_being_done_again_one_of_them_would_have_failed(market: Shops) -> None:
    shop = market.open()
    contracts = [shop.sell(name, "team", seats={"seat": Decimal(1)}).id for name in ("ada", "bo")]
    both_hold_one = threading.Barrier(2)

    def work(first: int) -> Callable[[], None]:
        def verb() -> None:
            with shop.engine.transaction(shop.workspace) as tx:
                set_seats(tx, contracts[first], key="seat", quantity=Decimal(2))
                both_hold_one.wait(30)
                set_seats(tx, contracts[1 - first], key="seat", quantity=Decimal(2))

        return verb

    (failure,) = together(work(0), work(1))
    assert isinstance(failure, DeadlockDetected)


def test_one_at_a_time_and_the_others_wait_or_are_told(market: Shops) -> None:
    shop = market.open()
    inside: list[str] = []

    def held() -> None:
        with alone(shop.engine, "work", shop.workspace, wait_s=30) as mine:
            assert mine
            assert inside == []
            inside.append("here")
            with alone(shop.engine, "work", shop.workspace, wait_s=0) as second:
                assert not second
            with alone(shop.engine, "other work", shop.workspace, wait_s=0) as other:
                assert other
            inside.clear()

    assert together(held, held, held) == []


def test_a_clock_that_is_moved_and_the_worker_close_side_by_side(
    market: Shops, caplog: pytest.LogCaptureFixture
) -> None:
    shop = market.open()
    for number in range(10):
        shop.sell(f"customer-{number}", "team")
    runs: list[tuple[str, bool]] = []
    worker = Worker(
        shop.engine,
        [job for job in JOBS if job.name == CLOSING],
        note=lambda name, done: runs.append((name, done)),
    )
    moved = threading.Event()

    def work() -> None:
        while not moved.is_set():
            worker.run_once()

    def move() -> None:
        try:
            for day in range(0, 91, 15):
                shop.go(JANUARY + timedelta(days=day))
        finally:
            moved.set()

    assert together(move, work) == []
    assert all(done for _, done in runs)
    finals = [each for each in shop.headers() if each.status == "finalised"]
    assert sorted(str(each.number) for each in finals) == [f"INV-{n:06d}" for n in range(1, len(finals) + 1)]
    assert len(finals) == 10 * 3  # at the start, and at the two borders whose grace has ended
