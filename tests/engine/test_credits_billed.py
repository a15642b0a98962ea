# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Credits and money: what is bought is invoiced, what is used beyond it is billed, and money credits pay invoices."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.engine.billing import JANUARY, Shops, shops
from tests.engine.crediting import CREDITS, CreditShop, credit_shop
from valorem.core.billing.invoice import Invoice
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.core.ledger.recharge import RechargeRule
from valorem.engine.credits.buying import NewPurchase, buy_credits, list_purchases, preview_purchase
from valorem.engine.credits.granting import remove_top_up, set_top_up
from valorem.engine.credits.ledger import revenue_by_day
from valorem.engine.credits.ordering import CreditOrder, Stretch, order_credits, preview_order
from valorem.engine.credits.reading import credit_statement
from valorem.engine.invoices import preview_invoice, verify_invoice
from valorem.engine.payments import Received, record_payment
from valorem.engine.settling import standings, void

BILLED: Mapping[str, str] = {
    **CREDITS,
    "credits/ai.yaml": CREDITS["credits/ai.yaml"]
    .replace("policies: {overage: block}", "policies: {overage: bill}")
    .replace("price: {USD: 0.01}", "price: [{USD: 0.01}, {USD: 0.02, from: 2026-01-15}]"),
    "credits/gift.yaml": "credit: gift\nname: Gift balance\nmoney: USD\n",
    "credits/later.yaml": "credit: later\nmoney: USD\npolicies: {applied: after tax, granted: on payment}\n",
}


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


@pytest.fixture
def shop(opened: Shops) -> CreditShop:
    return credit_shop(opened, BILLED)


def day(number: int, hour: int = 0) -> datetime:
    return JANUARY + timedelta(days=number - 1, hours=hour)


def lines_of(invoice: Invoice) -> list[tuple[str, Decimal, Decimal | None]]:
    return [(line.key, line.amount, line.quantity) for line in invoice.lines]


def verified(shop: CreditShop) -> bool:
    with shop.engine.transaction(shop.workspace) as tx:
        ids = [header.id for header in shop.headers() if header.status != "draft"]
        return bool(ids) and all(verify_invoice(tx, each).same for each in ids)


def test_what_no_grant_paid_for_is_billed_at_the_price_of_its_day(shop: CreditShop) -> None:
    contract = shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.go(day(5))
    shop.act("acme", "chat", 130, day(5))
    shop.go(day(20))
    shop.act("acme", "image", 5, day(20))
    with shop.engine.transaction(shop.workspace, snapshot=True, read_only=True) as tx:
        seen = preview_invoice(tx, contract.id)
    over = [line for line in seen.so_far.lines if line.key == "credits.ai"]
    assert [(line.quantity, line.amount) for line in over] == [(30, Decimal("0.3")), (50, 1)]
    assert seen.projected.total > seen.so_far.total  # use goes on as it did, and nothing is left for it
    shop.go(day(32, 2))
    closing = shop.documents()[-1]
    assert lines_of(closing)[:2] == [("credits.ai", Decimal("0.30"), 30), ("credits.ai", 1, 50)]
    assert verified(shop)
    assert shop.problems() == []


def test_late_use_is_billed_once_wherever_it_falls(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.go(day(5))
    shop.act("acme", "chat", 110, day(5))
    shop.go(day(32, 2))
    shop.act("acme", "chat", 7, day(6), name="late")  # January is closed: it is drawn from February's grant
    shop.act("acme", "chat", 100, day(32))
    shop.go(day(60, 2))
    over = [
        (line.amount, line.quantity)
        for invoice in shop.documents()
        for line in invoice.lines
        if line.key == "credits.ai"
    ]
    assert over == [(Decimal("0.10"), 10), (Decimal("0.14"), 7)]
    assert verified(shop)
    assert shop.problems() == []


def test_usage_that_is_sold_in_another_way_burns_nothing_on_an_invoice(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.go(day(5))
    shop.act("acme", "chat", 50, day(5))
    shop.go(day(32, 2))
    assert all(line.key != "credits.ai" for invoice in shop.documents() for line in invoice.lines)


def test_a_pack_is_invoiced_and_given_at_once_and_taken_back_with_a_void_invoice(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    with shop.engine.transaction(shop.workspace) as tx:
        seen = preview_purchase(tx, NewPurchase("acme", "ai", pack="small", quantity=Decimal(2)))
    assert seen.invoice is not None
    assert (seen.invoice.total, shop.balance("acme").available) == (20, 0)
    bought = shop.buy("acme", "small", id="p1", quantity=Decimal(2))
    assert bought.invoice is not None
    assert (bought.row.state, bought.invoice.total, bought.available) == ("invoiced", 20, 500)
    assert shop.buy("acme", "small", id="p1", quantity=Decimal(2)).invoice == bought.invoice
    with pytest.raises(ConflictError):
        shop.buy("acme", "small", id="p1", quantity=Decimal(3))
    with pytest.raises(InvalidInputError):
        shop.buy("acme", "small", quantity=Decimal("0.5"))
    shop.hold("acme", "h", 40)
    shop.settle("acme", "h", 40)
    with shop.engine.transaction(shop.workspace) as tx:
        void(tx, bought.invoice.id, reason="ordered by mistake")
    assert shop.balance("acme").available == 0
    with shop.engine.transaction(shop.workspace) as tx:
        assert [one.row.state for one in list_purchases(tx, "acme")] == ["void"]
    assert shop.problems() == []


def test_credits_that_wait_for_their_payment_come_with_it_once(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    bought = shop.buy("acme", "small", on_payment=True)
    assert bought.invoice is not None
    assert shop.balance("acme").available == 0
    with shop.engine.transaction(shop.workspace) as tx:
        record_payment(tx, bought.invoice.id, Received(Decimal(4)))
    assert shop.balance("acme").available == 0
    with shop.engine.transaction(shop.workspace) as tx:
        record_payment(tx, bought.invoice.id, Received())
        assert [one.row.state for one in list_purchases(tx, "acme")] == ["paid"]
    assert shop.balance("acme").available == 250
    assert shop.told() == ["credit.bought"]


def test_a_top_up_makes_one_invoice_for_a_crossing_and_stops_when_it_is_removed(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    with shop.engine.transaction(shop.workspace) as tx:
        set_top_up(tx, "acme", "ai", RechargeRule("auto", Decimal(20), target=Decimal(120)))
    shop.act("acme", "chat", 90, day(1))
    report = shop.tend_all()
    assert (report.charged, shop.tend_all().charged) == (1, 0)
    assert [str(header.total) for header in shop.headers() if header.kind == "one_off"] == ["1.100000000000"]
    with shop.engine.transaction(shop.workspace) as tx:
        (one,) = list_purchases(tx, "acme")
        assert (one.sale.automatic, one.row.state, one.sale.grant.amount) == (True, "invoiced", 110)
        remove_top_up(tx, "acme", "ai", "auto")
    shop.act("acme", "chat", 115, day(1))
    assert shop.tend_all().charged == 0
    assert shop.balance("acme").available == 5


def test_a_top_up_that_is_due_comes_before_a_hold_is_refused(opened: Shops) -> None:
    shop = credit_shop(opened)
    shop.sell("acme", "bare")
    shop.give("acme", 100)
    with shop.engine.transaction(shop.workspace) as tx:
        set_top_up(tx, "acme", "ai", RechargeRule("auto", Decimal(20), target=Decimal(120)))
    shop.act("acme", "chat", 95, day(1))
    asked = shop.hold("acme", "h", 60)
    assert (asked.hold.state, asked.available) == ("held", 60)
    assert shop.problems() == []


@pytest.mark.parametrize("credit", ["gift", "later"])
def test_money_credits_pay_invoices_and_come_back_with_a_void_one(shop: CreditShop, credit: str) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.give("acme", 50, credit, source="promotional")
    shop.go(day(2))
    (first,) = [header for header in shop.headers() if header.number]
    with shop.engine.transaction(shop.workspace) as tx:
        (standing,) = standings(tx, [first])
    assert standing.life.owed == 0  # 20 for the seat
    assert shop.balance("acme", credit).available == 30
    shop.go(day(62))
    assert shop.balance("acme", credit).available == 0
    owed = []
    with shop.engine.transaction(shop.workspace) as tx:
        owed = [one.life.owed for one in standings(tx, [each for each in shop.headers() if each.number])]
    assert sorted(owed) == [0, 0, 10]
    assert verified(shop)
    last = max((each for each in shop.headers() if each.number), key=lambda each: each.number or "")
    with shop.engine.transaction(shop.workspace) as tx:
        void(tx, last.id, reason="wrong")
    assert shop.balance("acme", credit).available == 10
    assert shop.problems() == []


def test_what_is_bought_never_pays_for_itself(shop: CreditShop) -> None:
    shop.sell("acme", "bare")
    shop.give("acme", 50, "gift")
    bought = shop.buy("acme", "small")
    assert bought.invoice is not None
    assert (bought.invoice.total, shop.balance("acme", "gift").available) == (10, 50)


def order(contract: str, **changes: object) -> CreditOrder:
    values = {
        "contract": contract,
        "credit": "ai",
        "id": "year",
        "name": "AI credits 2026",
        "stretches": [
            Stretch(Decimal(1000), day(1), day(182)),
            Stretch(Decimal(2000), day(182), day(366)),
        ],
        "price": Decimal("100.01"),
        "invoiced_at": [day(1), day(91), day(182), day(274)],
    }
    return CreditOrder(**{**values, **changes})  # type: ignore[arg-type]  # of the types of the fields


def test_an_order_is_paid_on_one_schedule_and_used_on_another_and_every_cent_is_found_again(
    shop: CreditShop,
) -> None:
    contract = shop.sell("acme", "bare")
    with shop.engine.transaction(shop.workspace) as tx:
        seen = preview_order(tx, order(contract.id), "test")
        assert shop.balance("acme").available == 0
        taken = order_credits(tx, order(contract.id), "test")
        assert order_credits(tx, order(contract.id), "test").grants == taken.grants == seen.grants
        with pytest.raises(ConflictError):
            order_credits(tx, order(contract.id, price=Decimal(200)), "test")
    assert sum(grant.cost for grant in taken.grants) == Decimal("100.01")
    assert shop.balance("acme").available == 1000
    shop.go(day(10))
    shop.act("acme", "image", 40, day(10))
    shop.go(day(200))
    assert shop.balance("acme").available == 2000
    shop.act("acme", "image", 30, day(200))
    shop.go(day(370))
    paid = sum(
        line.amount for invoice in shop.documents() for line in invoice.lines if line.key.startswith("year_")
    )
    with shop.engine.transaction(shop.workspace) as tx:
        rows = revenue_by_day(tx, date(2026, 1, 1), date(2027, 1, 10), customer="acme")
    sold = sum(row.recognised.sold for row in rows)
    earned = sum(row.recognised.revenue + row.recognised.breakage for row in rows)
    assert paid == sold == earned == Decimal("100.01")
    drawn = {row.day: row.recognised.revenue for row in rows if row.recognised.revenue}
    assert list(drawn) == [date(2026, 1, 10), date(2026, 7, 19)]
    assert shop.problems() == []
    assert verified(shop)


def test_an_order_refuses_what_contradicts_itself(shop: CreditShop) -> None:
    contract = shop.sell("acme", "bare")
    with shop.engine.transaction(shop.workspace) as tx:
        wrongs: tuple[dict[str, object], ...] = (
            {"stretches": []},
            {"price": Decimal("1.001")},
            {"stretches": [Stretch(Decimal(5), day(9), day(3))]},
            {"invoiced_at": []},
        )
        for wrong in wrongs:
            with pytest.raises((InvalidInputError, UnprocessableError)):
                order_credits(tx, order(contract.id, **wrong), "test")


def test_money_in_equals_money_earned_owed_and_taken_back(shop: CreditShop) -> None:
    """Packs, a top-up, a void and an expiry: invoices = revenue + breakage + refunds + what is still owed as work."""
    shop.sell("acme", "bare")
    shop.buy("acme", "small", id="one")
    voided = shop.buy("acme", "small", id="two")
    with shop.engine.transaction(shop.workspace) as tx:
        buy_credits(tx, NewPurchase("acme", "ai", amount=Decimal(33), lasts=(10, "day")))
    shop.hold("acme", "h", 100)
    shop.settle("acme", "h", 77)
    assert voided.invoice is not None
    with shop.engine.transaction(shop.workspace) as tx:
        void(tx, voided.invoice.id, reason="twice")
    shop.go(day(15))
    assert shop.problems() == []
    invoiced = sum(header.total or 0 for header in shop.headers() if header.kind == "one_off")
    with shop.engine.transaction(shop.workspace) as tx:
        rows = [row.recognised for row in revenue_by_day(tx, date(2026, 1, 1), date(2026, 1, 31))]
        left = credit_statement(tx, "acme", "ai").closing
    gone = sum(row.revenue + row.breakage + row.refunded for row in rows)
    assert invoiced == sum(row.sold for row in rows) == Decimal("20.33")
    assert invoiced - gone == left * Decimal("0.04")  # the rest of the first pack
