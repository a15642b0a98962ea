# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Top-ups beside others' failures: they wait for a silent tax engine saying why, and are paid by themselves."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.engine.billing import Shops, shops
from tests.engine.crediting import CREDITS, CreditShop, credit_shop
from tests.engine.test_taxing import Clock, TaxHouse, tax_house
from tests.integrations.stripe_stand_in import SECRET, running
from valorem.core.billing.parties import BillingSettings
from valorem.core.errors import OverloadedError
from valorem.core.ledger.recharge import RechargeRule
from valorem.engine.collecting import collect
from valorem.engine.credits.buying import (
    NewPurchase,
    Purchase,
    ask_purchase_taxes,
    charge_purchases,
    list_purchases,
)
from valorem.engine.credits.granting import set_top_up
from valorem.engine.payments import set_payer
from valorem.engine.settings import set_billing_settings
from valorem.integrations.tax_engine import HttpTaxEngine

PAID_FIRST = {
    **CREDITS,
    "credits/ai.yaml": CREDITS["credits/ai.yaml"].replace(
        "{overage: block}", "{overage: block, granted: on payment}"
    ),
}
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


@pytest.fixture
def house() -> Iterator[TaxHouse]:
    with tax_house() as opened:
        yield opened


def topped_up(shop: CreditShop, customer: str) -> None:
    """A customer with 100 credits that buys up to 1,100 more at 20 or less."""
    shop.sell(customer, "bare")
    shop.give(customer, 100)
    with shop.engine.transaction(shop.workspace) as tx:
        set_top_up(tx, customer, "ai", RechargeRule("auto", Decimal(20), target=Decimal(1020)))


def bought(shop: CreditShop, customer: str) -> Purchase:
    with shop.engine.transaction(shop.workspace) as tx:
        (one,) = list_purchases(tx, customer)
    return one


def taxed(market: Shops, house: TaxHouse) -> CreditShop:
    shop = credit_shop(market)
    engine = replace(shop.engine, taxes=HttpTaxEngine(house.url, timeout_s=2), real_now=Clock())
    address = {"lines": ["1 Main St"], "city": "Albany", "region": "NY", "country": "US"}
    written = {"seller": {"name": "Shop", "address": address}, "taxes": "outside"}
    with engine.transaction(shop.workspace) as tx:
        set_billing_settings(tx, BillingSettings.model_validate(written))
    return replace(shop, engine=engine)


def test_a_top_up_waits_for_its_taxes_saying_why_and_is_charged_once(market: Shops, house: TaxHouse) -> None:
    shop = taxed(market, house)
    house.mode = "error"
    for customer in ("acme", "beta"):
        topped_up(shop, customer)
        shop.hold(customer, "h", 90)
    assert charge_purchases(shop.engine, shop.workspace) == 0
    waiting = bought(shop, "acme")
    assert (waiting.row.state, waiting.invoice) == ("due", None)
    assert (waiting.waits or "").startswith("the tax engine cannot tell")
    assert shop.balance("acme").available == 1020  # the credits are there; only their invoice waits
    house.mode = "right"
    assert charge_purchases(shop.engine, shop.workspace) == 2
    assert charge_purchases(shop.engine, shop.workspace) == 0
    done = bought(shop, "acme")
    assert done.invoice is not None
    assert (done.row.state, done.waits, done.invoice.total) == ("invoiced", None, Decimal("10.83"))


def test_what_is_bought_by_hand_is_taxed_before_anything_is_written(market: Shops, house: TaxHouse) -> None:
    shop = taxed(market, house)
    shop.sell("acme", "bare")
    house.mode = "error"
    new = NewPurchase("acme", "ai", pack="small", id="p")
    with pytest.raises(OverloadedError, match="nothing was written"):
        ask_purchase_taxes(shop.engine, shop.workspace, new)
    house.mode = "right"
    ask_purchase_taxes(shop.engine, shop.workspace, new)
    found = shop.buy("acme", "small", id="p")
    assert found.invoice is not None
    assert found.invoice.total == Decimal("10.73")
    asked = len(house.asked)
    ask_purchase_taxes(shop.engine, shop.workspace, new)
    assert len(house.asked) == asked


def test_a_top_up_is_paid_by_itself_and_its_credits_come_with_the_money(market: Shops) -> None:
    pytest.importorskip("stripe", reason="needs the extra `payments`")
    from valorem.integrations.stripe import StripePayments

    shop = credit_shop(market, PAID_FIRST)
    with running() as (state, address):
        clock = [datetime(2026, 6, 1, tzinfo=UTC)]
        provider = StripePayments("sk_test_1", [SECRET], api_base=address, timeout_s=1)
        engine = replace(shop.engine, payments={"stripe": provider}, real_now=lambda: clock[0])
        shop = replace(shop, engine=engine)
        topped_up(shop, "acme")
        with engine.transaction(shop.workspace) as tx:
            set_payer(tx, "acme", provider, "cus_1", "pm_1")
        state.script = ["lost", "ok"]
        shop.hold("acme", "h", 85)
        assert shop.balance("acme").available == 15
        assert charge_purchases(engine, shop.workspace) == 1
        for _ in range(4):
            collect(engine, shop.workspace)
            clock[0] += HOUR
        assert bought(shop, "acme").row.state == "paid"
        assert shop.balance("acme").available == 1020
        assert sum(charge["amount_received"] for charge in state.charges()) == 1005
        assert shop.told().count("credit.topped_up") == 1
