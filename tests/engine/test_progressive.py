"""Spend thresholds bill usage before its period ends, once, and the sum is always the price of the whole."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.engine.billing import CATALOG, Shop, Shops, shops
from valorem.engine.closing import close_due
from valorem.engine.invoices import preview_invoice, verify_invoice
from valorem.engine.progressive import bill_thresholds

D = Decimal
PLANS = {
    **CATALOG,
    "plans/stepped.yaml": """
plan: stepped
name: Stepped
currency: USD
every: month
fees:
  base: {amount: 10}
prices:
  tokens:
    model: volume
    tiers: [{up_to: 100, unit: 2}, {unit: 1}]
thresholds: {fixed: [50], recurring: 100}
""",
}


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


def used(shop: Shop, customer: str, n: int, when: datetime) -> int:
    shop.go(when)
    assert shop.use(customer, n, when - timedelta(minutes=1)) == "accepted"
    return bill_thresholds(shop.engine, shop.workspace)


def test_each_threshold_bills_once_and_the_last_invoice_brings_the_sum_to_the_price(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "stepped")
    assert used(shop, "ada", 20, at(3)) == 0  # 40 of 50
    assert used(shop, "ada", 10, at(5)) == 1  # 60
    assert bill_thresholds(shop.engine, shop.workspace) == 0
    assert used(shop, "ada", 30, at(8)) == 0  # 120: the step after 50 is 150
    assert used(shop, "ada", 20, at(9)) == 1  # 160
    assert used(shop, "ada", 60, at(20)) == 0  # a volume tier: 140 in all, less than was billed
    with shop.engine.transaction(shop.workspace) as tx:
        seen = preview_invoice(tx, contract.id)
    assert seen.threshold is not None
    assert (seen.threshold.amount, seen.threshold.spent) == (D(250), D(140))
    shop.go(datetime(2026, 2, 2, tzinfo=UTC))
    found = shop.documents(contract=contract.id)
    assert [each.total for each in found if each.kind == "progressive"] == [D(60), D(100)]
    lines = [line for each in found for line in each.lines if line.kind == "usage"]
    assert sum(line.amount for line in lines) == D(140)
    assert [line.description for line in lines if line.amount > 0][1].endswith("(since the last invoice)")
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        for header in shop.headers(contract=contract.id, status="finalised"):
            assert verify_invoice(tx, header.number or "").same


def test_two_workers_at_once_give_one_invoice(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("bob", "stepped")
    shop.go(at(3))
    shop.use("bob", 40, at(2))
    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(lambda _: close_due(shop.engine, shop.workspace).progressive, range(4)))
    assert sum(counts) == 1
    assert [each.total for each in shop.documents(contract=contract.id)] == [D(10), D(80)]


def test_a_contract_of_its_own_thresholds_and_prepaid_usage_that_passes_none(market: Shops) -> None:
    from tests.engine.test_contract_changes import change

    shop = market.open(PLANS)
    contract = shop.sell("cyd", "usage")
    access = [{"amount": "100", "start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}]
    change(
        shop,
        contract.id,
        {"kind": "thresholds", "thresholds": {"fixed": ["30"]}},
        {"kind": "commitment", "commitment": {"id": "paid", "access": access}},
    )
    assert used(shop, "cyd", 90, at(3)) == 0  # all of it is prepaid
    assert used(shop, "cyd", 45, at(4)) == 1  # 35 is not
    assert [each.total for each in shop.documents(contract=contract.id)] == [D(35)]
    shop.go(datetime(2026, 2, 2, tzinfo=UTC))
    assert shop.billed(contract=contract.id) == D(35)
