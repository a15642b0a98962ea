"""The example catalogs of results, played through real invoices."""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.engine.billing import JANUARY, Shop, Shops, shops
from tests.engine.dealing import all_verify, day, send, signer
from valorem.core.contracts.contract import Contract
from valorem.core.time import write_instant
from valorem.engine.outcome_deals import Proposal, propose, sign_definition
from valorem.engine.outcome_reports import open_outcome
from valorem.engine.outcome_savings import show_savings

EXAMPLES = Path(__file__).parents[2] / "examples/catalogs"


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


def open_shop(opened: Shops, name: str) -> Shop:
    folder = EXAMPLES / name
    files = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.yaml"))
    }
    return opened.open(files)


def agree(shop: Shop, contract: Contract, *outcomes: str) -> None:
    terms: dict[str, Any] = {"effective_from": JANUARY, "retroactive": True, "live_from": JANUARY}
    with shop.engine.transaction(shop.workspace) as tx:
        for outcome in outcomes:
            version = propose(tx, Proposal(contract.id, outcome, **terms), by="key_test")
            for party in ("vendor", "customer"):
                sign_definition(
                    tx, contract.id, outcome, number=1, digest=version.digest, signer=signer(party)
                )


def said(kind: str, at: datetime, /, **data: Any) -> bytes:
    identifier = f"{kind}-{write_instant(at)}-{sorted(data.items())}"
    return json.dumps(
        {
            "specversion": "1.0",
            "id": identifier,
            "source": "/example",
            "type": kind,
            "subject": "acme",
            "time": write_instant(at),
            "data": data,
        }
    ).encode()


def amounts(shop: Shop, contract: Contract) -> list[list[tuple[str, int, Decimal]]]:
    return [
        [(line.key, line.period_index, line.amount) for line in document.lines]
        for document in shop.documents(contract=contract.id)
    ]


def test_seats_and_an_agent_paid_by_the_conversation(opened: Shops) -> None:
    shop = open_shop(opened, "support_agent")
    contract = shop.sell("acme", "desk", seats={"seat": Decimal(3)})
    agree(shop, contract, "resolution", "qualification")
    answered = [
        said("conversation.answered", day(3 + n), conversation=f"c{n}", kind="answer") for n in range(6)
    ]
    send(
        shop,
        said("conversation.answered", day(2), conversation="hello", kind="greeting"),
        *answered,
        said("conversation.answered", day(5, 13), conversation="c0", kind="answer"),  # the same once more
        said("conversation.confirmed", day(4, 13), conversation="c1"),
        said("conversation.rated", day(5, 14), conversation="c2", score=2),
        said("conversation.qualified", day(9), conversation="c3"),
    )
    shop.go(day(2, month=2))
    assert amounts(shop, contract) == [
        [("seat", 0, Decimal(87))],
        [
            ("seat", 1, Decimal(87)),
            ("qualification", 0, Decimal("9.99")),
            ("resolution", 0, Decimal("3.96")),  # c0, c1, c4 and c5
        ],
    ]
    send(shop, said("conversation.returned", day(3, month=2), conversation="c4"))
    shop.go(day(2, month=3))
    assert amounts(shop, contract)[-1] == [("seat", 2, Decimal(87)), ("resolution", 0, Decimal("-0.99"))]
    all_verify(shop, contract)


def test_the_agent_alone_has_a_minimum_of_fifty(opened: Shops) -> None:
    shop = open_shop(opened, "support_agent")
    contract = shop.sell("acme", "agent_only")
    agree(shop, contract, "stand_alone")
    send(
        shop,
        *(said("conversation.answered", day(3), conversation=f"c{n}", kind="answer") for n in range(52)),
    )
    shop.go(day(2, month=2))
    send(shop, *(said("conversation.returned", day(3, month=2), conversation=f"c{n}") for n in range(5)))
    shop.go(day(2, month=3))
    assert amounts(shop, contract) == [
        [("stand_alone", 0, Decimal("51.48"))],
        [("stand_alone", 0, Decimal("-1.98")), ("stand_alone", 1, Decimal("49.50"))],
    ]
    all_verify(shop, contract)


def test_leads_with_returns(opened: Shops) -> None:
    shop = open_shop(opened, "leads")
    contract = shop.sell("acme", "leads")
    agree(shop, contract, "lead")

    def lead(at: datetime, phone: str, trade: str = "plumbing", region: str = "north") -> bytes:
        return said("lead.delivered", at, phone=phone, trade=trade, region=region)

    def back(at: datetime, phone: str, reason: str) -> bytes:
        return said("lead.returned", at, phone=phone, reason=reason)

    send(
        shop,
        lead(day(2), "+49 30 1111111"),
        lead(day(3), "0049 30 1111111"),  # the same number
        lead(day(2), "+49 30 2222222", "roofing"),
        lead(day(2), "+49 30 3333333"),
        lead(day(2), "+49 30 4444444"),
        lead(day(2), "+49 30 5555555", region="overseas"),
        back(day(6), "+49 30 2222222", "did_not_buy"),
        back(day(6), "+49 30 3333333", "invalid_phone"),
        back(day(9), "+49 30 4444444", "invalid_phone"),  # after seven days
    )
    shop.go(day(2, month=2))
    (document,) = shop.documents(contract=contract.id)
    assert sorted(line.amount for line in document.lines) == [Decimal(45), Decimal(50)]
    with shop.engine.transaction(shop.workspace) as tx:
        states = {
            phone: open_outcome(tx, contract.id, "lead", f"+4930{phone}").governed.outcome
            for phone in ("3333333", "4444444", "5555555")
        }
    now = day(2, month=2)
    assert [each.state(now) for each in states.values()] == ["cancelled", "confirmed", "rejected"]
    assert states["5555555"].rejected_by(now) == "in_region"
    assert [each.reason for each in states["4444444"].unheard] == ["after window"]
    all_verify(shop, contract)


def test_a_share_of_approved_orders_with_chargebacks(opened: Shops) -> None:
    shop = open_shop(opened, "payment_approval")
    contract = shop.sell("acme", "approval")
    agree(shop, contract, "approval")

    def reviewed(order: str, value: str, decision: str = "approved") -> bytes:
        return said("order.reviewed", day(10), order=order, value=value, decision=decision)

    send(
        shop,
        reviewed("1", "1000.00"),
        reviewed("2", "250.50"),
        reviewed("3", "80", "declined"),
        reviewed("4", "400"),
    )
    shop.go(day(2, month=2))
    assert amounts(shop, contract) == [[("approval", 0, Decimal("11.55"))]]
    send(
        shop,
        said("order.cancelled", day(5, month=2), order="4", value="400", reason="cancelled"),
        said("order.charged_back", day(6, month=2), order="2", value="250.50", bank_fee="15", reason="fraud"),
        said("order.charged_back", day(7, month=2), order="1", value="1000", bank_fee="15", reason="lost"),
        said("order.cancelled", day(20, month=2), order="1", value="1000"),  # after thirty days
    )
    shop.go(day(2, month=3))
    assert amounts(shop, contract)[-1] == [("approval", 0, Decimal("-4.55"))]
    with shop.engine.transaction(shop.workspace) as tx:
        (result,) = open_outcome(tx, contract.id, "approval", "2").governed.outcome.results
    assert result.pays == Decimal("265.50")
    all_verify(shop, contract)


def test_a_share_of_the_energy_saved(opened: Shops) -> None:
    shop = open_shop(opened, "energy_savings")
    contract = shop.sell("acme", "energy")
    agree(shop, contract, "energy")
    send(
        shop,
        said("energy.billed", day(20), bill="electricity", cost=2900, degree_days=500),
        said("energy.billed", day(25), bill="heating", cost=1700, degree_days=0),
    )
    shop.go(day(2, month=2))
    assert amounts(shop, contract) == []  # bills of January may still come
    send(shop, said("energy.corrected", day(10, month=2), bill="heating", cost=1650))
    shop.go(day(2, month=4))
    with shop.engine.transaction(shop.workspace) as tx:
        first = show_savings(tx, contract.id, "energy").periods[0]
    assert first.fee is not None
    assert first.facts is not None
    assert 4900 < first.fee.baseline < 5100
    assert first.facts.actual == 4550
    assert first.fee.proven < first.fee.savings
    # A quarter of the lower bound is under a tenth of the baseline.
    assert first.billed == round(first.fee.proven / 4, 2) < first.fee.baseline / 10
    assert amounts(shop, contract) == [[("energy", 0, first.billed)]]
    all_verify(shop, contract)
