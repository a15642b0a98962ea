# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""The invariants of a credit ledger by their names: B1 to B16. B1 and B16 with many processes are in test_credits_at_once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import psycopg
import pytest

from tests.engine.billing import JANUARY, Shops, shops
from tests.engine.crediting import CREDITS, CreditShop, credit_shop
from valorem.core.errors import (
    ConflictError,
    InvalidInputError,
    OverloadedError,
    UnprocessableError,
)
from valorem.core.ledger.account import Facts
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.entries import Entry, Leg, entries_of, lot_balances, trial_balance
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.replay import replay
from valorem.engine.catalog import apply_catalog
from valorem.engine.credits.accounts import read_book
from valorem.engine.credits.granting import NewGrant, give_grant
from valorem.engine.credits.holding import place_hold, settle_hold
from valorem.engine.credits.ledger import tend, verify_ledger
from valorem.engine.credits.reading import balance
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres import ledger
from valorem.store.postgres.credits import Place
from valorem.store.postgres.database import Database

QUARTER = timedelta(minutes=15)


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


@pytest.fixture
def shop(opened: Shops) -> CreditShop:
    found = credit_shop(opened)
    found.sell("acme", "bare")
    return found


def entries(shop: CreditShop) -> list[Entry]:
    with shop.engine.transaction(shop.workspace) as tx:
        tend(tx, Place(shop.workspace, "acme", "ai"))
        return [each.entry for each, _ in ledger.links(tx.connection, Place(shop.workspace, "acme", "ai"))]


def busy(shop: CreditShop) -> None:
    """A little of everything."""
    shop.buy("acme", "small", id="pack")
    shop.give("acme", 100, id="gift", lasts=(3, "day"))
    shop.hold("acme", "one", 30)
    shop.settle("acme", "one", 45)
    shop.hold("acme", "two", 20)
    shop.act("acme", "image", 3, JANUARY)
    shop.release("acme", "two")
    shop.void("acme", "pack")
    shop.go(JANUARY + timedelta(days=4))


def test_b2_debits_are_credits_in_every_unit(shop: CreditShop) -> None:
    busy(shop)
    sums: dict[str, Decimal] = {}
    for (unit, _), amount in trial_balance(entries(shop)).items():
        sums[unit] = sums.get(unit, Decimal(0)) + amount
    assert sums == {"ai": 0, "USD": 0}


def test_b3_the_row_is_the_entries_is_the_grants(shop: CreditShop) -> None:
    busy(shop)
    left = lot_balances(entries(shop), "ai")
    found = shop.balance("acme")
    assert found.balance == sum(left.values()) == sum(one.remaining + one.held for one in found.grants)
    assert shop.problems() == []


def test_b4_a_hold_is_resolved_once_and_expiry_gives_the_rest_back(shop: CreditShop) -> None:
    shop.give("acme", 100)
    shop.hold("acme", "used", 40)
    shop.settle("acme", "used", 10)
    with pytest.raises(ConflictError):
        shop.release("acme", "used")
    shop.hold("acme", "late", 50, minutes=15)
    shop.go(JANUARY + QUARTER)
    assert shop.balance("acme").available == 90
    with pytest.raises(UnprocessableError):
        shop.settle("acme", "late", 1)
    with pytest.raises(UnprocessableError):
        shop.release("acme", "late")


def test_b5_a_refused_hold_is_refused_under_its_id_after_a_top_up_too(shop: CreditShop) -> None:
    first = shop.hold("acme", "h", 10)
    shop.give("acme", 100)
    again = shop.hold("acme", "h", 10)
    assert (first.hold, first.verdict) == (again.hold, again.verdict)
    assert shop.hold("acme", "h2", 10).verdict == "allow"


def test_b6_nothing_is_both_used_and_expired_when_use_meets_the_end(opened: Shops) -> None:
    """Half of the clocks stand a moment before the end, half at it; all go at once."""
    workspace = create_workspace(opened.engine, name="race", kind="live").id
    end = datetime(2026, 6, 1, tzinfo=UTC) + QUARTER
    start = Engine(opened.engine.database, lambda: end - QUARTER)
    with start.transaction(workspace) as tx:
        apply_catalog(tx, CREDITS, message="open", author="test")
        create_customer(tx, key="acme", name="Acme", currency="USD")
        give_grant(tx, NewGrant("acme", "ai", Decimal(100), expires=end))
    barrier = threading.Barrier(8)

    def spend(number: int) -> Decimal:
        now = end if number % 2 else end - timedelta(microseconds=1)
        engine = Engine(opened.engine.database, lambda: now)
        barrier.wait(timeout=30)
        used = Decimal(0)
        for turn in range(4):
            name = f"{number}-{turn}"
            with engine.transaction(workspace) as tx:
                held = place_hold(
                    tx, customer="acme", credit="ai", id=name, amount=Decimal(7), lasts=timedelta(minutes=5)
                )
            if held.hold.state == "held":
                with engine.transaction(workspace) as tx:
                    settle_hold(tx, customer="acme", credit="ai", id=name, used=Decimal(7))
                used += 7
        return used

    with ThreadPoolExecutor(8) as pool:
        used = sum(pool.map(spend, range(8)))
    after = Engine(opened.engine.database, lambda: end + QUARTER)
    with after.transaction(workspace) as tx:
        account = read_book(tx, Place(workspace, "acme", "ai")).account()
    with after.transaction(workspace) as tx:
        assert [problem for check in verify_ledger(tx) for problem in check.problems] == []
    (lot,) = account.lots
    assert lot.consumed + lot.expired == lot.amount == 100
    assert lot.consumed + account.overage == used


def test_b7_the_order_of_use_does_not_depend_on_the_order_of_records() -> None:
    grants = [
        Grant("a", Decimal(5), JANUARY, priority=10),
        Grant("b", Decimal(5), JANUARY, expires=JANUARY + timedelta(days=9)),
        Grant("c", Decimal(5), JANUARY, created_at=JANUARY - QUARTER),
        Grant("d", Decimal(5), JANUARY),
    ]
    burn = (Burn(JANUARY, "use", Decimal(17)),)
    found = {
        tuple(
            each.lot.grant
            for each in replay(Facts(order, burn), JANUARY + QUARTER).of_kind("drawn")
            if each.lot
        )
        for order in permutations(grants)
    }
    assert found == {("a", "b", "c", "d")}


def test_b8_of_a_voided_grant_only_the_rest_goes_and_history_stays(shop: CreditShop) -> None:
    shop.give("acme", 100, id="first", lasts=(30, "day"))
    shop.give("acme", 100, id="other", priority=60)
    shop.hold("acme", "h", 30)
    shop.settle("acme", "h", 30)
    before = entries(shop)
    shop.void("acme", "first")
    after = entries(shop)
    assert after[: len(before)] == before
    assert {one.grant.id: one.remaining for one in shop.balance("acme").grants} == {"other": 100}
    assert shop.problems() == []


def test_b9_what_a_row_keeps_only_saves_work(shop: CreditShop) -> None:
    """A grant dated back, and rows robbed of all they keep: the answer is the full replay's."""
    shop.give("acme", 1, lasts=(1, "day"))
    shop.go(JANUARY + timedelta(days=40))
    shop.give("acme", 50)
    shop.hold("acme", "h", 20)
    with pytest.raises(UnprocessableError):
        shop.give("acme", 5, start=JANUARY + timedelta(days=3))  # that period is closed
    shop.give("acme", 30, id="back", start=JANUARY + timedelta(days=35))
    kept = shop.balance("acme")
    with shop.engine.database.system() as connection:
        connection.execute("UPDATE credit_account SET standing = NULL, steady_until = NULL, counted = ''")
        connection.execute("UPDATE credit_hold SET parts = NULL")
    assert shop.balance("acme") == kept
    assert shop.settle("acme", "h", 5).available == 75
    assert shop.problems() == []


def test_b11_numbers_beyond_the_columns_are_refused_before_anything_is_written(shop: CreditShop) -> None:
    shop.give("acme", 10)
    for _ in range(2):
        with pytest.raises((InvalidInputError, psycopg.DataError)):
            shop.give("acme", Decimal(10) ** 39)
    assert shop.balance("acme").available == 10


def test_b12_an_entry_is_of_one_unit_and_balances() -> None:
    grant = Grant("g", Decimal(10), JANUARY, cost=Decimal(5), currency="USD")
    account = replay(Facts((grant,), (Burn(JANUARY, "use", Decimal(4)),)), JANUARY + QUARTER)
    found = entries_of(account.happenings, "ai")
    assert {entry.unit for entry in found} == {"ai", "USD"}
    with pytest.raises(InvalidInputError):
        Entry(
            JANUARY, "k", "ai", (Leg("available", Decimal(1)), Leg("receivable", Decimal("-0.5"))), "granted"
        )


def test_b13_a_hold_sees_every_event_acknowledged_before_it(shop: CreditShop) -> None:
    shop.give("acme", 100)
    shop.hold("acme", "first", 10)
    shop.settle("acme", "first", 10)  # decided by the row alone
    shop.act("acme", "image", 8, JANUARY)
    assert shop.hold("acme", "second", 11).hold.state == "refused"
    assert shop.hold("acme", "third", 10).hold.state == "held"


def test_b14_without_a_database_nothing_is_promised() -> None:
    database = Database("postgresql://127.0.0.1:1/nothing?connect_timeout=1", size=2, wait_s=0.2)
    try:
        engine = Engine(database, lambda: JANUARY)
        with pytest.raises(OverloadedError), engine.transaction(1) as tx:
            place_hold(
                tx,
                customer="acme",
                credit="ai",
                id="h",
                amount=Decimal(1),
                lasts=timedelta(minutes=1),
            )
    finally:
        database.close()


def test_b15_what_was_bought_is_there_at_once(shop: CreditShop) -> None:
    assert shop.hold("acme", "before", 200).hold.state == "refused"
    shop.buy("acme", "small")
    with shop.engine.transaction(shop.workspace, snapshot=True, read_only=True) as tx:
        assert balance(tx, "acme", "ai").available == 250
    assert shop.hold("acme", "after", 200).hold.state == "held"
