"""Alerts on credits: what is left, when they run out at the pace of late, and when they end; each told once."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.billing import JANUARY, Shops, shops, void
from tests.engine.crediting import CREDITS, CreditShop, credit_shop
from valorem.engine.alerts import run_alerts
from valorem.engine.customers import create_customer
from valorem.engine.rules import add_rule

ALERTED = {
    **CREDITS,
    "plans/team.yaml": CREDITS["plans/team.yaml"]
    + "alerts: {balance: [20%, 0], depletion: [3 days], credit_expiry: [2 days]}\n",
}


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


@pytest.fixture
def shop(opened: Shops) -> CreditShop:
    return credit_shop(opened, ALERTED)


def day(number: int, hour: int = 0) -> datetime:
    return JANUARY + timedelta(days=number - 1, hours=hour)


def told(shop: CreditShop, topic: str = "alert.crossed") -> list[tuple[str, str]]:
    return [(one["alert"], one["threshold"]) for one in payloads(shop, topic)]


def payloads(shop: CreditShop, topic: str = "alert.crossed") -> list[dict[str, Any]]:
    with shop.engine.transaction(shop.workspace) as tx:
        rows = tx.connection.execute(
            "SELECT payload FROM outbox WHERE topic = %s ORDER BY created_at, payload->>'threshold' DESC",
            (topic,),
        ).fetchall()
    return [row["payload"] for row in rows]


def test_a_balance_that_falls_is_told_in_the_event_s_own_transaction(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.act("acme", "chat", 80, day(1))  # 20 of 100 are left: at the threshold, not below it
    assert told(shop) == []
    shop.act("acme", "chat", 1, day(1))
    assert told(shop) == [("balance:ai", "20%")]
    assert payloads(shop)[0]["level"] == "19"
    assert payloads(shop)[0]["of"] == "100"
    assert "below 20% (19 of 100 left)" in payloads(shop)[0]["text"]
    shop.act("acme", "image", 2, day(1))  # past the last one
    assert told(shop) == [("balance:ai", "20%"), ("balance:ai", "0")]
    shop.act("acme", "chat", 3, day(1))
    assert len(told(shop)) == 2


def test_a_jump_over_both_tells_both_once(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.act("acme", "image", 11, day(1))
    assert sorted(told(shop)) == [("balance:ai", "0"), ("balance:ai", "20%")]


def test_credits_bought_bring_it_back_and_arm_it_again(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.act("acme", "image", 9, day(1), name="img")
    assert told(shop) == [("balance:ai", "20%")]
    shop.buy("acme", "small")
    assert told(shop, "alert.recovered") == [("balance:ai", "20%")]
    shop.act("acme", "image", 20, day(1))
    assert told(shop) == [("balance:ai", "20%")] * 2


def test_a_void_gives_back_what_was_used(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.act("acme", "image", 9, day(1), name="img")
    shop.ingestor.ingest(shop.workspace, [void("img-0", day(1))])
    assert told(shop, "alert.recovered") == [("balance:ai", "20%")]


def test_a_hold_is_no_use_but_its_settling_is(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    shop.hold("acme", "h", 95)
    assert told(shop) == []
    shop.settle("acme", "h", 90)
    assert told(shop) == [("balance:ai", "20%")]


def test_who_has_no_contract_is_told_by_a_rule_of_its_own(shop: CreditShop) -> None:
    with shop.engine.transaction(shop.workspace) as tx:
        create_customer(tx, key="solo", name="Solo", currency="USD")
    shop.give("solo", 50)
    with shop.engine.transaction(shop.workspace) as tx:
        add_rule(tx, "solo", {"kind": "balance", "on": "ai", "at": [10]})
    shop.act("solo", "chat", 40, day(1))
    assert told(shop) == []
    shop.act("solo", "chat", 1, day(1))
    assert told(shop) == [("balance:ai", "10")]


def test_a_grant_that_ends_leaves_nothing(shop: CreditShop) -> None:
    with shop.engine.transaction(shop.workspace) as tx:
        create_customer(tx, key="solo", name="Solo", currency="USD")
        add_rule(tx, "solo", {"kind": "balance", "at": ["10%"]})
        add_rule(tx, "solo", {"kind": "credit_expiry", "before": ["7 days", "1 day"]})
    shop.give("solo", 50, expires=day(20))
    shop.go(day(13, 1))
    assert told(shop) == [("credit_expiry:ai", "7 days")]
    assert payloads(shop)[0]["ends_at"] == "2026-01-20T00:00:00Z"
    assert payloads(shop)[0]["text"] == "50 of ai end in 7 days or less"
    shop.go(day(21))
    assert sorted(told(shop)) == [
        ("balance:ai", "10%"),
        ("credit_expiry:ai", "1 day"),
        ("credit_expiry:ai", "7 days"),
    ]


def test_days_to_depletion_by_the_pace_of_the_last_week(shop: CreditShop) -> None:
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    for number in range(1, 8):
        shop.go(day(number, 1))
        shop.act("acme", "chat", 7, day(number))
    shop.go(day(8))  # 51 left at 7 a day: a week
    run_alerts(shop.engine, shop.workspace)
    assert ("depletion:ai", "3 days") not in told(shop)
    shop.act("acme", "chat", 30, day(8))  # 21 left, 11.3 a day
    shop.go(day(8, 1))
    run_alerts(shop.engine, shop.workspace)
    run_alerts(shop.engine, shop.workspace)
    assert told(shop).count(("depletion:ai", "3 days")) == 1
    shop.buy("acme", "small")
    shop.go(day(8, 2))
    assert told(shop, "alert.recovered") == [("depletion:ai", "3 days")]


def test_the_balance_is_looked_at_only_where_it_may_have_come_near(shop: CreditShop) -> None:
    """The amount that may be used without a look never reaches past a threshold, whatever the events are."""
    shop.sell("acme", "team", seats={"seat": Decimal(1)})
    for number in range(1, 101):
        shop.act("acme", "chat", 1, day(1))
        left = 100 - number
        wanted = [("balance:ai", "20%")] * (left < 20) + [("balance:ai", "0")] * (left == 0)
        assert told(shop) == wanted, json.dumps(left)
