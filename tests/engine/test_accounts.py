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
from valorem.engine.alerts import list_crossings
from valorem.engine.budgets import list_budgets, set_budget
from valorem.engine.closing import close_due
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import create_customer, update_customer
from valorem.engine.invoices import explain_line
from valorem.engine.rules import add_rule

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


def commit(shop: Shop, contract: str, kind: str, amount: str) -> None:
    access = [{"amount": amount, "start": "2026-01-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"}]
    agreed = {"id": "order", "kind": kind, "access": access, "only": ["calls"]}
    change(shop, contract, {"kind": "commitment", "commitment": agreed})


def test_children_that_pay_for_themselves_draw_from_the_parents_commitment_and_never_more(
    market: Shops,
) -> None:
    shop = market.open(PLANS)
    parent = shop.sell("tyrell", "group")
    commit(shop, parent.id, "prepaid", "50")
    labs = {key: shop.sell(key, "group") for key in ("eyes", "owls", "rest")}
    join(shop, "eyes", "tyrell")
    join(shop, "owls", "tyrell", since=day(16))
    join(shop, "rest", "tyrell", commitments="own")
    shop.go(day(20))
    for key in ("tyrell", *labs):
        shop.use(key, 10, day(20))  # 20 each
    closed(shop)
    drawn = {key: lines(shop, labs[key].id).get("order", D(0)) for key in labs}
    # The children below come first, those above last; what began before the accounts shared it is not drawn.
    assert drawn == {"eyes": D(-20), "owls": D(0), "rest": D(0)}
    assert lines(shop, parent.id)["order"] == D(-20)
    shop.go(datetime(2026, 2, 10, tzinfo=UTC))
    for key in ("owls", "eyes"):
        shop.use(key, 10, datetime(2026, 2, 10, tzinfo=UTC))
    shop.go(datetime(2026, 3, 2, tzinfo=UTC))
    everything_proves(shop)
    # 10 were left, for whichever of the two was closed first
    both = sum((lines(shop, labs[key].id).get("order", D(0)) for key in ("eyes", "owls")), D(0))
    assert both + lines(shop, parent.id)["order"] == D(-50)


def test_what_children_used_counts_for_a_postpaid_commitment_they_share(market: Shops) -> None:
    shop = market.open(PLANS)
    parent = shop.sell("weyland", "group", end=datetime(2026, 3, 1, tzinfo=UTC))
    commit(shop, parent.id, "postpaid", "100")
    below = shop.sell("yutani", "group", end=datetime(2026, 3, 1, tzinfo=UTC))
    join(shop, "yutani", "weyland")
    for at in (day(20), datetime(2026, 2, 20, tzinfo=UTC)):
        shop.go(at)
        for key in ("weyland", "yutani"):
            shop.use(key, 10, at)
    shop.go(datetime(2026, 3, 2, tzinfo=UTC))
    everything_proves(shop)
    assert lines(shop, below.id)["calls"] == D(40)
    assert lines(shop, parent.id)["order"] == D(20)  # 100 − 40 − 40


def test_contracts_sent_as_one_draw_one_after_the_other(market: Shops) -> None:
    shop = market.open(PLANS)
    parent = shop.sell("cyberdyne", "group")
    commit(shop, parent.id, "prepaid", "30")
    first = shop.sell("skynet", "group")
    with shop.engine.transaction(shop.workspace) as tx:
        second = create_contract(tx, NewContract(customer="skynet", plan="group"))
        update_customer(tx, "skynet", consolidated=True)
    join(shop, "skynet", "cyberdyne")
    shop.use("skynet", 10, JANUARY)
    closed(shop)
    (invoice,) = (each for each in shop.documents() if each.customer == "skynet")
    drawn = {line.contract: line.amount for line in invoice.lines if line.key == "order"}
    assert drawn == {first.id: D(-20), second.id: D(-10)}


def test_spend_of_accounts_the_parent_pays_for_is_told_to_the_parent(market: Shops) -> None:
    shop = market.open(PLANS)
    shop.sell("stark", "group")
    child(shop, "arc")
    child(shop, "apart")
    join(shop, "arc", "stark", payer="parent")
    join(shop, "apart", "stark", payer="parent", tiers="apart")
    with shop.engine.transaction(shop.workspace) as tx:
        set_budget(tx, "stark", {"amount": 30, "meter": "calls", "at": ["50%", "100%"]})
        add_rule(tx, "stark", {"kind": "spend", "at": [25]})
    shop.use("arc", 6, JANUARY)
    with shop.engine.transaction(shop.workspace) as tx:
        (budget,) = list_budgets(tx, "stark")
        assert budget.spent == D(12)
        assert {(crossing.alert, crossing.threshold) for _, crossing in list_crossings(tx)} == {
            ("spend", "25")
        }
    shop.use("apart", 9, JANUARY)
    with shop.engine.transaction(shop.workspace) as tx:
        (budget,) = list_budgets(tx, "stark")
        assert budget.spent == D(12) + D(18)  # each with tiers of its own
        told = {crossing.threshold for _, crossing in list_crossings(tx, customer="stark")}
        assert {"50%", "100%"} <= told
    closed(shop)


def test_a_spend_threshold_counts_accounts_the_parent_pays_for(market: Shops) -> None:
    plans = {
        **PLANS,
        "plans/quick.yaml": """
plan: quick
name: Billed at 10
currency: USD
every: month
prices:
  calls: {model: per_unit, amount: 2}
thresholds: {fixed: [10]}
""",
    }
    shop = market.open(plans)
    contract = shop.sell("wayne", "quick")
    child(shop, "cave")
    join(shop, "cave", "wayne", payer="parent")
    shop.use("cave", 6, JANUARY)
    close_due(shop.engine, shop.workspace)
    (invoice,) = shop.documents(contract=contract.id)
    assert (invoice.kind, invoice.total) == ("progressive", D(12))
    closed(shop)
    assert lines(shop, contract.id) == {"calls": D(12)}
