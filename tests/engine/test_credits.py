# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Credits on the store: grants from plans and by hand, usage that burns them, holds, and what stands in the ledger."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from tests.engine.billing import JANUARY, Shops, shops, void
from tests.engine.crediting import CREDITS, CreditShop, credit_shop
from valorem.core.errors import ConflictError, NotFoundError, UnprocessableError
from valorem.engine.catalog import apply_catalog
from valorem.engine.contract_changes import set_seats
from valorem.engine.credits.granting import list_grants


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


@pytest.fixture
def shop(opened: Shops) -> CreditShop:
    return credit_shop(opened)


def day(number: int, hour: int = 0) -> datetime:
    return JANUARY + timedelta(days=number - 1, hours=hour)


def test_a_plan_s_grant_is_there_and_usage_burns_it(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(3)})
    assert shop.balance("acme").available == 300
    shop.act("acme", "chat", 5, day(1))
    shop.act("acme", "image", 2, day(1))
    shop.act("acme", "image", 4, day(1), status="failed")
    found = shop.balance("acme")
    assert (found.available, found.used, found.overage) == (275, 25, 0)
    assert shop.tend("acme") > 0
    assert shop.tend("acme") == 0
    assert shop.problems() == []


def test_a_month_later_there_is_a_new_grant_and_the_old_is_gone(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.act("acme", "chat", 30, day(1))
    shop.tend("acme")
    shop.go(day(32, 1))
    found = shop.balance("acme")
    assert (found.available, len(found.grants)) == (100, 1)
    assert shop.balance("acme", at=day(20)).available == 70
    shop.tend("acme")
    assert shop.problems() == []


def test_editing_the_plan_never_wipes_what_was_granted(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.tend("acme")
    edited = {**CREDITS, "plans/team.yaml": CREDITS["plans/team.yaml"].replace("amount: 100", "amount: 1")}
    with shop.engine.transaction(shop.workspace) as tx:
        apply_catalog(tx, edited, message="less", author="test")
    assert shop.balance("acme").available == 100


def test_seats_that_are_added_bring_their_share(shop: CreditShop) -> None:
    contract = shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.go(day(17))
    with shop.engine.transaction(shop.workspace) as tx:
        set_seats(tx, contract.id, key="seat", quantity=Decimal(2))
    assert shop.balance("acme").available == Decimal("148.39")  # 100 + 100 × 15/31


def test_a_hold_reserves_and_its_rest_is_free_again(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    assert shop.hold("acme", "h1", 60).hold.state == "held"
    assert shop.hold("acme", "h2", 60).hold.state == "refused"
    assert (shop.balance("acme").available, shop.balance("acme").held) == (40, 60)
    assert shop.settle("acme", "h1", 25).available == 75
    assert shop.settle("acme", "h1", 25).available == 75  # a retry changes nothing
    with pytest.raises(ConflictError):
        shop.settle("acme", "h1", 26)
    shop.hold("acme", "h3", 75)
    assert shop.release("acme", "h3").available == 75
    assert shop.problems() == []


def test_a_refused_hold_stays_refused_under_its_id(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 10)
    assert shop.hold("acme", "late", 20).hold.state == "refused"
    shop.give("acme", 100)
    assert shop.hold("acme", "late", 20).hold.state == "refused"
    assert shop.hold("acme", "again", 20).hold.state == "held"
    with pytest.raises(ConflictError):
        shop.hold("acme", "again", 21)


def test_a_hold_ends_with_its_interval_and_late_settlement_is_refused(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    shop.hold("acme", "h", 60, minutes=15)
    shop.go(day(1) + timedelta(minutes=15))
    assert (shop.balance("acme").available, shop.balance("acme").held) == (100, 0)
    with pytest.raises(UnprocessableError):
        shop.settle("acme", "h", 1)
    shop.tend("acme")
    assert shop.problems() == []


def test_what_is_void_cannot_be_used_and_what_was_used_stays(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    grant = shop.give("acme", 100).grant.id
    shop.hold("acme", "h", 30)
    shop.settle("acme", "h", 30)
    voided = shop.void("acme", grant)
    assert (voided.remaining, voided.account.available) == (0, 0)
    assert shop.balance("acme").available == 0
    with pytest.raises(NotFoundError):
        shop.void("acme", "nothing")
    shop.tend("acme")
    assert shop.problems() == []


def test_giving_again_under_the_same_id_gives_nothing_more(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100, id="welcome")
    assert shop.give("acme", 100, id="welcome").account.available == 100
    with pytest.raises(ConflictError):
        shop.give("acme", 200, id="welcome")


def test_a_closed_period_stands_and_late_use_is_drawn_from_the_next(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    shop.go(day(5))
    shop.act("acme", "chat", 30, day(5))
    shop.go(day(33))
    assert shop.closed("acme") == 1
    assert shop.balance("acme").available == 70
    assert shop.tend_all().closed == 0
    shop.act("acme", "chat", 20, day(20))  # late, into the closed month
    shop.act("acme", "chat", 10, day(32))
    found = shop.balance("acme")
    assert (found.available, found.used) == (40, 30)
    assert shop.balance("acme", at=day(31)).available == 70  # what was closed stays as it was
    shop.tend_all()
    assert shop.problems() == []
    shop.go(day(64))
    assert shop.closed("acme") == 2
    assert shop.balance("acme").available == 40
    assert shop.problems() == []


def test_a_correction_after_the_close_gives_back(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    shop.go(day(5))
    shop.act("acme", "chat", 3, day(5), name="wrong")
    shop.go(day(33))
    shop.tend_all()
    shop.ingestor.ingest(shop.workspace, [void("wrong-1", day(33))])
    assert shop.balance("acme").available == 98
    shop.tend_all()
    assert shop.problems() == []


def test_the_job_grants_to_whoever_nobody_looked_at(shop: CreditShop) -> None:
    shop.sell("quiet", "team", seats={"seat": Decimal(2)})
    assert shop.tend_all().entries > 0
    assert shop.tend_all().entries == 0
    with shop.engine.transaction(shop.workspace) as tx:
        assert [grant.amount for grant in list_grants(tx, "quiet", "ai")] == [200]


def test_b10_nobody_changes_or_removes_an_entry(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    shop.tend_all()
    for statement in (
        "UPDATE ledger_entry SET number = number + 1",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation), shop.engine.database.system() as connection:
            connection.execute(statement)
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            shop.engine.transaction(shop.workspace) as tx,
        ):
            tx.connection.execute(statement)


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        (
            "UPDATE ledger_entry SET entry = jsonb_set(entry, '{kind}', '\"voided\"') WHERE number = 1",
            "not what was booked",
        ),
        ("DELETE FROM ledger_entry WHERE number = 1", "is missing"),
        ("DELETE FROM ledger_entry WHERE number = 2", "more was booked"),
        ("UPDATE credit_account SET available = available + 1", "is kept as"),
    ],
)
def test_whatever_is_tampered_with_is_found(shop: CreditShop, tampering: str, told: str) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    shop.tend_all()
    shop.give("acme", 50)
    shop.tend_all()
    assert shop.problems() == []
    with shop.engine.database.system() as connection:
        connection.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
        connection.execute(
            f"{tampering} {'AND' if 'WHERE' in tampering else 'WHERE'} workspace = {shop.workspace}"
        )
        connection.execute("ALTER TABLE ledger_entry ENABLE TRIGGER USER")
    assert any(told in problem for problem in shop.problems())


def test_a_balance_that_gets_low_is_told_once(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    for name, amount in (("a", 85), ("b", 5), ("c", 10)):
        shop.hold("acme", name, amount)
        shop.settle("acme", name, amount)
    assert shop.told() == ["credit.low", "credit.exhausted"]
