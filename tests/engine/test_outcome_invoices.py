"""Outcomes beside everything else on an invoice: minimum, maximum, discounts, an early end, notes, and groups."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.engine.billing import Shops, shops
from tests.engine.dealing import RESOLUTION, all_verify, day, deal, fact, outcome_total, send
from tests.engine.test_contract_changes import change
from valorem.engine.invoices import preview_invoice

DOLLAR = RESOLUTION.replace(
    "  model: graduated\n  tiers: [{up_to: 3, unit: 0.99}, {unit: 0.5}]\n", "  model: per_unit\n  amount: 1\n"
)
PLAN = "plan: bare\nname: Bare\ncurrency: USD\nevery: month\noutcomes: [resolution]\n"


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


def catalog(more: str = "", definition: str = DOLLAR) -> dict[str, str]:
    return {"outcomes/resolution.yaml": definition, "plans/bare.yaml": PLAN + more}


def test_a_plans_minimum_and_maximum_reckon_with_outcomes_and_their_credits(opened: Shops) -> None:
    shop = opened.open(catalog("minimum: {amount: 5, per: invoice}\nmaximum: {amount: 8, per: invoice}\n"))
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"a{n}", day(2)) for n in range(4)))
    shop.go(day(2, month=2))
    first = shop.documents(contract=contract.id)[-1]
    assert [(line.kind, line.amount) for line in first.lines] == [("minimum", 1), ("outcome", 4)]
    # One is taken back: the minimum of January rises by what is credited.
    send(shop, fact("acme", "reopened", "a0", day(3, month=2)))
    send(shop, *(fact("acme", "solved", f"b{n}", day(4, month=2)) for n in range(10)))
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        seen = preview_invoice(tx, contract.id)
    shop.go(day(2, month=3))
    second = shop.documents(contract=contract.id)[-1]
    assert sorted((line.period_index, line.kind, line.amount) for line in second.lines) == [
        (0, "minimum", 1),
        (0, "outcome", -1),
        (1, "maximum", -2),
        (1, "outcome", 10),
    ]
    assert (second.total, seen.projected.total) == (8, 8)
    all_verify(shop, contract)


def test_a_discount_of_the_whole_invoice_takes_its_share_of_outcomes(opened: Shops) -> None:
    shop = opened.open(catalog())
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    change(shop, contract.id, {"kind": "discount", "discount": {"id": "tenth", "percent": "10%"}})
    send(shop, *(fact("acme", "solved", f"a{n}", day(2)) for n in range(20)))
    shop.go(day(2, month=2))
    assert shop.documents(contract=contract.id)[-1].total == 18
    send(shop, *(fact("acme", "reopened", f"a{n}", day(3, month=2)) for n in range(10)))
    shop.go(day(2, month=3))
    assert shop.documents(contract=contract.id)[-1].total == -9
    all_verify(shop, contract)


def test_a_contract_that_ends_early_bills_its_last_outcomes(opened: Shops) -> None:
    shop = opened.open(catalog())
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"a{n}", day(2)) for n in range(3)))
    shop.go(day(2, month=2))
    send(shop, *(fact("acme", "solved", f"b{n}", day(5, month=2)) for n in range(2)))
    shop.go(day(10, month=2))
    change(shop, contract.id, {"kind": "cancel"}, effective="now")
    shop.go(day(15, month=2))
    assert outcome_total(shop, contract) == 5
    all_verify(shop, contract)


def test_an_end_dated_back_gives_back_what_was_billed_after_it(opened: Shops) -> None:
    shop = opened.open(catalog())
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"a{n}", day(2)) for n in range(3)))
    shop.go(day(2, month=2))
    send(shop, *(fact("acme", "solved", f"b{n}", day(5, month=2)) for n in range(2)))
    shop.go(day(2, month=3))
    assert outcome_total(shop, contract) == 5
    change(shop, contract.id, {"kind": "cancel"}, effective=day(1, 0, month=2))
    shop.go(day(5, month=3))
    assert outcome_total(shop, contract) == 3
    all_verify(shop, contract)


def test_late_evidence_stands_on_a_note_where_the_definition_wants_it(opened: Shops) -> None:
    shop = opened.open(catalog("", DOLLAR + "late: note\n"))
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"a{n}", day(2)) for n in range(3)))
    shop.go(day(2, month=2))
    send(shop, fact("acme", "solved", "late", day(20)))  # arrives when January is billed
    send(shop, fact("acme", "reopened", "a0", day(5, month=2)))
    shop.go(day(2, month=3))
    found = [
        (each.kind, [(line.period_index, line.amount) for line in each.lines])
        for each in shop.documents(contract=contract.id)[1:]
    ]
    assert sorted(found) == [("note", [(0, Decimal(1))]), ("period", [(0, Decimal(-1))])]
    shop.go(day(2, month=5))
    assert outcome_total(shop, contract) == 3
    all_verify(shop, contract)


QUALIFIED = DOLLAR.replace("outcome: resolution", "outcome: qualification").replace("solved", "qualified")


@pytest.mark.parametrize(("policy", "total"), [("highest", Decimal("11.5")), ("first", Decimal("3.5"))])
def test_outcomes_of_one_group_are_charged_once_for_each_conversation(
    opened: Shops, policy: str, total: Decimal
) -> None:
    grouped = f"group: conversation\ngroup_picks: {policy}\n"
    files = {
        "outcomes/resolution.yaml": DOLLAR.replace("amount: 1\n", "amount: 1\n  minimum: 0.5\n") + grouped,
        "outcomes/qualification.yaml": QUALIFIED.replace("amount: 1\n", "amount: 9\n") + grouped,
        "plans/bare.yaml": PLAN.replace("[resolution]", "[resolution, qualification]"),
    }
    shop = opened.open(files)
    contract = shop.sell("acme", "bare")
    for outcome in ("resolution", "qualification"):
        deal(shop, contract, "vendor", "customer", outcome=outcome)
    send(shop, *(fact("acme", "solved", key, day(2)) for key in ("c1", "c2", "c3")))
    shop.go(day(2, month=2))
    assert outcome_total(shop, contract) == 3
    # February has no resolution and still its minimum of 0.50. The first conversation is qualified later: by the highest price it is charged as that, and the other taken off.
    send(shop, fact("acme", "qualified", "c1", day(3, month=2)))
    shop.go(day(2, month=3))
    assert outcome_total(shop, contract) == total
    all_verify(shop, contract)
