"""One invoice for several contracts of a customer: one number, one total, every part provable."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.engine.billing import JANUARY, Shop, Shops, shops
from tests.engine.test_contract_changes import everything_proves
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import update_customer
from valorem.engine.invoices import explain_line, get_invoice
from valorem.engine.settling import list_standings, reissue, void

D = Decimal


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def together(shop: Shop, customer: str) -> list[str]:
    """A customer with one contract from the 1st of January at noon and one from midnight, sent as one."""
    first = shop.sell(customer, "team")
    with shop.engine.transaction(shop.workspace) as tx:
        update_customer(tx, customer, consolidated=True)
        noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
        more = [
            create_contract(tx, NewContract(customer=customer, plan=plan, start=start))
            for plan, start in (("usage", JANUARY), ("noted", noon))
        ]
    return [first.id, *(each.id for each in more)]


def used(shop: Shop, customer: str) -> None:
    shop.go(datetime(2026, 1, 1, 14, tzinfo=UTC))
    assert shop.use(customer, 20, datetime(2026, 1, 1, 13, tzinfo=UTC)) == "accepted"


def test_the_invoices_of_a_day_are_sent_as_one_and_each_part_goes_on_from_it(market: Shops) -> None:
    shop = market.open()
    contracts = together(shop, "ada")
    used(shop, "ada")
    shop.go(datetime(2026, 2, 1, 6, tzinfo=UTC))
    # the third contract's period ends at noon, so nothing is sent before
    assert [each.kind for each in shop.headers(status="finalised")] == ["period"]
    shop.go(datetime(2026, 3, 3, tzinfo=UTC))
    sent = [each for each in shop.headers(customer="ada") if each.kind == "consolidated"]
    assert [each.issued_at for each in sent] == [datetime(2026, 2, 1, 12, tzinfo=UTC)]
    document = next(each for each in shop.documents() if each.kind == "consolidated")
    assert {line.contract for line in document.lines} == set(contracts)
    # 20 tokens: (20 − 10) × 2 and a peak of 20 × 0.5 and the base fee ahead, 20 × 1, 20 × 1
    assert document.total == D(20) + D(10) + D(100) + D(20) + D(20)
    numbers = sorted(each.number or "" for each in shop.headers(status="finalised"))
    assert numbers == [f"INV-{place:06d}" for place in range(1, len(numbers) + 1)]
    everything_proves(shop)
    with shop.engine.transaction(shop.workspace) as tx:
        for contract in contracts:
            listed = list_standings(tx, contract=contract)
            assert sent[0].id in {each.header.id for each in listed}
        usage = next(i for i, line in enumerate(document.lines, 1) if line.kind == "usage")
        seen = explain_line(tx, sent[0].id, usage)
        assert seen.events is not None
        assert len(seen.events.items) == 1
    # March: nothing of January is billed again
    later = [line for each in shop.documents() if each.issued_at > sent[0].issued_at for line in each.lines]
    assert not [line for line in later if line.kind == "usage" and line.amount]


def test_a_void_one_is_issued_again_whole(market: Shops) -> None:
    shop = market.open()
    together(shop, "bob")
    used(shop, "bob")
    shop.go(datetime(2026, 2, 2, tzinfo=UTC))
    (sent,) = [each for each in shop.headers(customer="bob") if each.kind == "consolidated"]
    with shop.engine.transaction(shop.workspace) as tx:
        void(tx, sent.id, reason="another address")
        reissue(tx, sent.id)
    shop.go(datetime(2026, 2, 3, tzinfo=UTC))
    first, again = [each for each in shop.headers(customer="bob") if each.kind == "consolidated"]
    assert (first.status, again.status, again.total) == ("void", "finalised", sent.total)
    with shop.engine.transaction(shop.workspace) as tx:
        found = get_invoice(tx, again.id)
    assert found.settled is not None
    assert found.settled.replaces == sent.number
    everything_proves(shop)
