"""Accounts: usage of children billed to the parent or themselves, counted together or apart, handed over on a date."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.engine.billing import CATALOG, JANUARY, Shop, Shops, shops
from tests.engine.test_contract_changes import change, everything_proves
from valorem.core.contracts.accounts import Account
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.engine.accounts import get_family, set_account
from valorem.engine.customers import create_customer
from valorem.engine.invoices import explain_line

D = Decimal
PLANS = {
    **CATALOG,
    "meters/level.yaml": """
meter: level
event: store
aggregate: time_weighted_sum
value: data.n
convert: {divide: 86400}
""",
    "meters/calls.yaml": """
meter: calls
event: call
aggregate: sum
value: data.n
""",
    "plans/group.yaml": """
plan: group
name: Group
currency: USD
every: month
prices:
  calls: {model: graduated, tiers: [{up_to: 10, unit: 2}, {unit: 1}]}
  peak: {model: per_unit, amount: 100}
""",
}


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def join(shop: Shop, customer: str, parent: str | None, since: datetime | None = None, **how: str) -> None:
    with shop.engine.transaction(shop.workspace) as tx:
        set_account(tx, Account(customer, parent, **how), since=since)  # type: ignore[arg-type]


def child(shop: Shop, key: str, currency: str = "USD") -> None:
    with shop.engine.transaction(shop.workspace) as tx:
        create_customer(tx, key=key, name=key, currency=currency)


def lines(shop: Shop, contract: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for invoice in shop.documents(contract=contract):
        for line in invoice.lines:
            name = f"{line.key}/{line.customer}" if line.customer else line.key
            found[name] = found.get(name, D(0)) + line.amount
    return found


def closed(shop: Shop) -> None:
    shop.go(datetime(2026, 2, 2, tzinfo=UTC))
    everything_proves(shop)


def test_pooled_children_share_tiers_and_apart_ones_begin_anew(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("globex", "group")
    for key in ("east", "west", "north"):
        child(shop, key)
    join(shop, "east", "globex", payer="parent")
    join(shop, "west", "globex", payer="parent", tiers="apart")
    join(shop, "north", "globex")
    for key in ("globex", "east", "west", "north"):
        shop.use(key, 8, day(1))
    closed(shop)
    # 16 together: 10 × 2 + 6 × 1; the one apart 8 × 2; the one that pays for itself nothing here
    assert lines(shop, contract.id) == {
        "calls": D(26),
        "calls/west": D(16),
        "peak": D(800),
        "peak/west": D(800),
    }
    invoice = next(each for each in shop.headers(contract=contract.id))
    with shop.engine.transaction(shop.workspace) as tx:
        named = next(i for i, line in enumerate(shop.documents()[0].lines, 1) if line.customer == "west")
        seen = explain_line(tx, invoice.id, named)
        assert seen.events is not None
        assert {each.event.subject for each in seen.events.items} == {"west"}
        family = get_family(tx, "globex")
    assert [each.customer for each in family.children] == ["east", "north", "west"]


def test_a_child_changes_hands_on_a_date(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("initech", "group")
    own = shop.sell("labs", "group")
    shop.use("labs", 4, JANUARY)
    shop.go(day(11))
    join(shop, "labs", "initech", day(11), payer="parent")
    shop.use("labs", 6, day(11))
    shop.use("initech", 5, day(11))
    closed(shop)
    assert lines(shop, own.id) == {"calls": D(8), "peak": D(400)}
    assert lines(shop, contract.id) == {"calls": D(21), "peak": D(600)}
    with pytest.raises(UnprocessableError, match="is billed until"):
        join(shop, "labs", None, day(20))


def test_commitments_cover_children_that_share_them_and_no_others(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("umbrella", "group")
    for key in ("hive", "lab"):
        child(shop, key)
    join(shop, "hive", "umbrella", payer="parent", tiers="apart")
    join(shop, "lab", "umbrella", payer="parent", tiers="apart", commitments="own")
    access = [{"amount": "1000", "start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}]
    change(
        shop,
        contract.id,
        {"kind": "commitment", "commitment": {"id": "order", "access": access, "only": ["calls"]}},
    )
    for key in ("umbrella", "hive", "lab"):
        shop.use(key, 3, JANUARY)
    closed(shop)
    assert lines(shop, contract.id)["order"] == D(-12)


def test_what_cannot_be_billed_together_is_refused(market: Shops) -> None:
    shop = market.open(PLANS)
    for key, currency in (("alpha", "USD"), ("beta", "EUR"), ("gamma", "USD")):
        child(shop, key, currency)
    with pytest.raises(UnprocessableError, match="never converted") as caught:
        join(shop, "beta", "alpha", payer="parent")
    assert caught.value.field == "parent"
    join(shop, "beta", "alpha")
    join(shop, "gamma", "alpha", payer="parent")
    with pytest.raises(InvalidInputError, match="above itself"):
        join(shop, "alpha", "gamma")
    with pytest.raises(InvalidInputError, match="counted together"):
        join(shop, "gamma", "alpha", payer="parent", commitments="own")
