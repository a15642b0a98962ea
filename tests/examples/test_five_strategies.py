"""All five strategies in one contract: used, limited, prompted, upgraded, and billed on one invoice that can be proven."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.engine.dealing import all_verify, day, send
from tests.engine.limiting import Doorkeeper
from tests.examples.test_access_stories import shop
from tests.examples.test_outcome_stories import agree, said
from valorem.engine.invoices import preview_invoice
from valorem.engine.upgrading import Upgrade, upgrade


@pytest.fixture
def door(database_url: str) -> Iterator[Doorkeeper]:
    with shop(database_url, "five_strategies") as opened:
        yield opened


def test_one_contract_mixes_all_five(door: Doorkeeper) -> None:
    opened = door.shop
    contract = opened.sell("acme", "free")
    send(opened, *(said("document.read", day(10), n=n) for n in range(10)))
    denied = door.ask("acme", "documents", 1)
    assert denied.offer is not None
    assert (denied.verdict.allowed, denied.offer.plan) == (False, "studio")
    with opened.engine.transaction(opened.workspace) as tx:
        upgrade(tx, Upgrade("acme", "studio", {"seat": Decimal(3)}), "acme")
    allowed = door.ask("acme", "documents", 1).verdict
    assert (allowed.allowed, allowed.states[0].used) == (True, 10)
    agree(opened, contract, "resolution")
    call = {"status": "ok", "model": "large", "input_tokens": 900_000, "output_tokens": 100_000}
    send(
        opened,
        *(said("llm.call", day(12), n=n, **call) for n in range(4)),
        said("storage.level", day(13), gb=250),
        *(said("agent.acted", day(14), status="ok", action="research", user="ann", n=n) for n in range(160)),
        *(said("ticket.answered", day(15), ticket=f"t{n}", by="agent") for n in range(8)),
        said("ticket.reopened", day(15, 20), ticket="t7"),
    )
    opened.go(day(9, month=2))
    with opened.engine.transaction(opened.workspace, snapshot=True) as tx:
        foreseen = preview_invoice(tx, contract.id)
    opened.go(day(11, month=2))
    first, second = opened.documents()
    assert [(line.key, line.amount) for line in first.lines] == [("platform", 100), ("seat", 90)]
    assert [(line.key, line.quantity, line.amount) for line in second.lines] == [
        ("tokens", 1_600_000, Decimal("4.00")),  # 3.6M in, of which 2M come with the plan
        ("tokens", 400_000, Decimal("6.00")),
        ("storage_gb", 100, 0),
        ("storage_gb", 150, 15),
        ("credits.agent_credits", 100, 2),  # 160 × 10, of which 3 × 500 were granted
        ("platform", 1, 100),
        ("seat", 3, 90),
        ("resolution", 7, Decimal("6.93")),  # of eight, one came back within the day
    ]
    assert second.total == Decimal("223.93")
    assert foreseen.so_far.total == second.total
    all_verify(opened, contract)
