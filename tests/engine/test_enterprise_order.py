"""An order of 500,000 over three years: ramped access, uneven invoices, an expansion, a downgrade, a migration."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.engine.billing import CATALOG, Shops, shops
from tests.engine.test_contract_changes import change, everything_proves
from valorem.engine.catalog import apply_catalog
from valorem.engine.migrating import Migration, migrate

SCALE = """
plan: scale
name: Scale
currency: USD
every: month
fees:
  base: {amount: 1000}
prices:
  tokens: {model: per_unit, amount: 2}
"""
PLANS = {
    **CATALOG,
    "plans/scale.yaml": SCALE,
    "plans/basic.yaml": SCALE.replace("scale", "basic").replace("1000", "400"),
}
INSTALMENTS = (
    ("2026-01-01", 100_000),
    ("2026-09-01", 150_000),
    ("2027-06-01", 125_000),
    ("2028-03-01", 125_000),
)
ACCESS = ((2026, 100_000), (2027, 150_000), (2028, 250_000))
#: Tokens used on the 10th of a month; at 2 each, from 2028 on at 1.80.
USED = {(2026, 2): 30_000, (2026, 11): 25_000, (2027, 5): 40_000, (2028, 7): 100_000}


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def test_three_years_reconcile_to_the_cent(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "scale", end=datetime(2029, 1, 1, tzinfo=UTC))
    commitment = {
        "id": "order",
        "name": "Order 2026-17",
        "access": [
            {"amount": str(amount), "start": f"{year}-01-01T00:00:00Z", "end": f"{year + 1}-01-01T00:00:00Z"}
            for year, amount in ACCESS
        ],
    }
    instalments = [
        {
            "id": f"order_{number}",
            "name": "Instalment",
            "amount": str(amount),
            "at": f"{day}T00:00:00Z",
            "commitment": "order",
        }
        for number, (day, amount) in enumerate(INSTALMENTS, 1)
    ]
    change(shop, contract.id, {"kind": "commitment", "commitment": commitment, "instalments": instalments})
    for year, month in [(year, month) for year in (2026, 2027, 2028) for month in range(1, 13)]:
        if (year, month) == (2026, 7):  # the expansion: a higher base, from the middle of the month on
            shop.go(datetime(2026, 7, 11, tzinfo=UTC))
            change(
                shop,
                contract.id,
                {"kind": "override", "override": {"id": "more", "fee": "base", "amount": "1310"}},
            )
        if (year, month) == (2027, 9):  # the downgrade takes away the negotiated base with the next month
            shop.go(datetime(2027, 9, 20, tzinfo=UTC))
            basic = {"kind": "plan", "plan": "basic", "catalog_version": 1}
            change(
                shop,
                contract.id,
                {"kind": "remove", "what": "override", "id": "more"},
                basic,
                effective="period_end",
            )
        if (year, month) == (2027, 12):  # the migration: cheaper tokens from the new year on
            cheaper = {name: text.replace("amount: 2}", "amount: 1.8}") for name, text in PLANS.items()}
            shop.go(datetime(2027, 12, 15, tzinfo=UTC))
            with shop.engine.transaction(shop.workspace) as tx:
                apply_catalog(tx, cheaper, message="cheaper", author="test")
                assert len(migrate(tx, Migration("cheaper", when="period_end"), "test").moved) == 1
        if (year, month) in USED:
            shop.go(datetime(year, month, 11, tzinfo=UTC))
            shop.use("ada", USED[year, month], datetime(year, month, 10, tzinfo=UTC))
    shop.go(datetime(2029, 1, 1, 2, tzinfo=UTC))

    fees = 6 * 1000 + (Decimal(1000 * 10 + 1310 * 21) / 31) + 5 * 1310 + 9 * 1310 + 15 * 400
    fees = fees.quantize(Decimal("0.01"))
    # 2026: 110,000 of usage against 100,000; 2027: 80,000 against 150,000; 2028: 180,000 against 250,000
    overage = Decimal(10_000)
    assert shop.billed() == 500_000 + fees + overage
    drawn = -sum(
        line.amount for invoice in shop.documents() for line in invoice.lines if line.kind == "commitment"
    )
    assert drawn == 100_000 + 80_000 + 180_000
    numbers = [header.number for header in shop.headers()]
    assert numbers == [f"INV-{place:06d}" for place in range(1, 37)]
    everything_proves(shop)
