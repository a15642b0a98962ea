"""Changes of contracts: what they come to, what the preview said, how the history tells it, and what parks them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.billing import CATALOG, JANUARY, Shop, Shops, shops
from valorem.core.billing.invoice import Invoice
from valorem.core.contracts.written import read_edit
from valorem.core.errors import ConflictError, InvalidInputError, NotFoundError, UnprocessableError
from valorem.engine.catalog import apply_catalog
from valorem.engine.contract_changes import (
    Changed,
    ChangeRequest,
    change_contract,
    contract_history,
    list_parked,
)
from valorem.engine.contracts import get_contract
from valorem.engine.foretelling import ChangePreview, preview_change
from valorem.engine.invoices import get_invoice, verify_invoice
from valorem.engine.migrating import Migration, migrate, preview_migrate, undo_migration

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PLANS = {
    **CATALOG,
    "plans/pro.yaml": """
plan: pro
name: Pro
currency: USD
every: month
fees:
  base: {amount: 310}
  seat: {amount: 20, per: seat}
prices:
  tokens: {model: per_unit, amount: 1}
""",
}


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def request(*changes: dict[str, Any], **said: Any) -> ChangeRequest:
    edit = read_edit(
        {"id": "x", "effective": JANUARY, "recorded": JANUARY, "author": "x", "changes": list(changes)}
    )
    return ChangeRequest(edit.changes, **said)


def change(shop: Shop, contract: str, *changes: dict[str, Any], **said: Any) -> Changed:
    with shop.engine.transaction(shop.workspace) as tx:
        return change_contract(tx, contract, request(*changes, **said), "ada@shop")


def preview(shop: Shop, contract: str, *changes: dict[str, Any], **said: Any) -> ChangePreview:
    with shop.engine.transaction(shop.workspace) as tx:
        return preview_change(tx, contract, request(*changes, **said), "ada@shop")


def sums(invoices: Any) -> list[tuple[Any, ...]]:
    return [tuple((line.charge, line.amount) for line in each.lines) for each in invoices]


def everything_proves(shop: Shop) -> None:
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        for header in shop.headers(status="finalised"):
            assert verify_invoice(tx, header.id).same, header


SEATS = {"kind": "seats", "key": "seat", "quantity": "5"}
PRO = {"kind": "plan", "plan": "pro", "catalog_version": 1}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([SEATS], {}),
        ([SEATS], {"invoiced": "at_once"}),
        ([SEATS], {"effective": JANUARY + 20 * DAY}),
        ([PRO], {}),
        ([PRO], {"invoiced": "at_once"}),
        ([PRO], {"effective": "period_end"}),
        ([PRO, SEATS], {"effective": JANUARY + 5 * DAY}),
        ([{"kind": "pause"}], {}),
        ([{"kind": "pause"}], {"invoiced": "at_once"}),
        ([{"kind": "cancel"}], {}),
        ([{"kind": "cancel"}], {"effective": "now"}),
        ([{"kind": "cancel"}], {"effective": JANUARY + 3 * DAY}),
        ([{"kind": "override", "override": {"id": "o", "fee": "base", "amount": "80"}}], {}),
        ([{"kind": "override", "override": {"id": "o", "meter": "tokens", "multiplier": "0.5"}}], {}),
        ([{"kind": "discount", "discount": {"id": "d", "percent": "10%"}}], {}),
        ([{"kind": "discount", "discount": {"id": "d", "amount": "500", "lasts": "once"}}], {}),
        (
            [
                {
                    "kind": "charge",
                    "charge": {
                        "id": "setup",
                        "name": "Set-up",
                        "amount": "250",
                        "at": "2026-01-20T00:00:00Z",
                    },
                }
            ],
            {},
        ),
        (
            [
                {
                    "kind": "commitment",
                    "commitment": {
                        "id": "c",
                        "access": [
                            {"amount": "60", "start": "2026-01-01T00:00:00Z", "end": "2026-07-01T00:00:00Z"}
                        ],
                    },
                }
            ],
            {},
        ),
        ([{"kind": "bounds", "minimum": {"amount": "1000", "per": "invoice"}}], {}),
    ],
)
def test_what_the_preview_says_then_happens(
    market: Shops, changes: list[dict[str, Any]], said: dict[str, Any]
) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    shop.go(JANUARY + 12 * DAY)
    shop.use("ada", 50, JANUARY + 3 * DAY)
    told = preview(shop, contract.id, *changes, **said)
    with shop.engine.transaction(shop.workspace) as tx:
        assert get_contract(tx, contract.id).contract == contract, "a preview writes nothing"
        assert not contract_history(tx, contract.id).edits
    before = len(shop.documents())
    change(shop, contract.id, *changes, **said)
    shop.go(FEBRUARY + 2 * HOUR)
    happened = shop.documents()[before:]
    assert sums(happened) == sums(told.after)
    assert [each.total for each in happened] == [each.total for each in told.after]
    everything_proves(shop)


def test_seats_added_in_the_middle_are_charged_by_the_day(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    shop.go(JANUARY + 10 * DAY)
    change(shop, contract.id, SEATS, invoiced="at_once")
    shop.go(JANUARY + 11 * DAY)
    first, second = shop.documents()
    assert first.total == 160
    assert (second.kind, second.total) == ("change", (Decimal(3 * 30 * 21) / 31).quantize(Decimal("0.01")))
    assert [header.kind for header in shop.headers()] == ["period", "change:1"]
    shop.go(FEBRUARY + 2 * HOUR)
    assert shop.documents()[-1].total == 250, "February ahead alone: January's difference is billed"


def test_an_upgrade_begins_at_once_and_a_downgrade_waits(market: Shops) -> None:
    shop = market.open(PLANS)
    up = shop.sell("ada", "team")
    shop.go(JANUARY + 10 * DAY)
    changed = change(shop, up.id, PRO)
    assert changed.edit.effective == JANUARY + 10 * DAY
    back = change(shop, up.id, {**PRO, "plan": "team"})
    assert back.edit.effective == FEBRUARY
    shop.go(FEBRUARY + 2 * HOUR)
    january = Decimal(210 * 21) / 31
    assert shop.billed() == 100 + january.quantize(Decimal("0.01")) + 100


def test_a_change_dated_back_is_carried_by_the_next_invoice(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    shop.go(MARCH + 10 * DAY)
    assert shop.billed() == 3 * 160
    told = preview(shop, contract.id, SEATS, effective=JANUARY)
    assert told.difference == 3 * 90 + 90
    change(shop, contract.id, SEATS, effective=JANUARY)
    shop.go(APRIL + 2 * HOUR)
    assert shop.billed() == 4 * 250
    everything_proves(shop)


def test_an_end_dated_back_over_a_border_gives_the_money_back_at_once(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team")
    shop.go(MARCH + 10 * DAY)
    told = preview(shop, contract.id, {"kind": "cancel"}, effective=FEBRUARY + 14 * DAY)
    assert [each.total for each in told.after] == [-150]
    change(shop, contract.id, {"kind": "cancel"}, effective=FEBRUARY + 14 * DAY)
    shop.go(APRIL + 2 * HOUR)
    assert shop.billed() == 100 + 50
    assert sums(shop.documents()[-1:]) == sums(told.after)
    everything_proves(shop)
    change(shop, contract.id, {"kind": "renew"})
    shop.go(datetime(2026, 5, 1, 2, tzinfo=UTC))
    assert shop.billed() == 5 * 100, "it runs on as if it had never ended"
    everything_proves(shop)


def test_a_change_while_a_draft_waits_is_invoiced_after_it(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    shop.go(FEBRUARY + HOUR / 2)
    told = preview(shop, contract.id, SEATS, invoiced="at_once")
    change(shop, contract.id, SEATS, invoiced="at_once")
    shop.go(FEBRUARY + 2 * HOUR)
    assert [(str(each.kind), each.total) for each in shop.documents()] == [
        ("period", Decimal(160)),
        ("period", Decimal(160)),
        ("change", Decimal(90)),
    ]
    shop.go(MARCH + 2 * HOUR)
    assert sums(shop.documents()[1:]) == sums(told.after)
    assert shop.billed() == 160 + 250 + 250
    everything_proves(shop)


def test_a_hundred_changes_in_a_day_park_and_a_release_bills_them(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team", seats={"seat": Decimal(1)})
    other = shop.sell("bo", "team")
    shop.go(JANUARY + 10 * DAY)
    for count in range(100):
        changed = change(shop, contract.id, {**SEATS, "quantity": str(count % 7)}, invoiced="at_once")
    assert changed.parked is not None
    assert "changes" in changed.parked.reason
    shop.go(FEBRUARY + 2 * HOUR)
    with shop.engine.transaction(shop.workspace) as tx:
        assert [each.contract for each in list_parked(tx)] == [contract.id]
    assert len(shop.documents(contract=contract.id)) == 1
    assert len(shop.documents(contract=other.id)) == 2, "others are billed as ever"
    released = change(shop, contract.id, {"kind": "release"}, reason="a sync ran wild")
    assert released.parked is None
    shop.go(FEBRUARY + 3 * HOUR)
    shop.go(MARCH + 3 * HOUR)
    # 100 changes within the 10th's quarter hour: the last one, 99 % 7 = 1 seat, stands
    assert shop.billed(contract=contract.id) == 3 * 130
    everything_proves(shop)


def test_history_tells_how_it_stood(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team")
    shop.go(JANUARY + 10 * DAY)
    change(shop, contract.id, PRO, id="up", reason="they grew")
    shop.go(JANUARY + 12 * DAY)
    change(shop, contract.id, {"kind": "cancel"}, id="bye")
    with shop.engine.transaction(shop.workspace) as tx:
        now = contract_history(tx, contract.id)
        then = contract_history(tx, contract.id, as_of=JANUARY + 11 * DAY)
        first = contract_history(tx, contract.id, as_of=JANUARY + 9 * DAY)
    assert [(each.edit.id, each.edit.author, each.edit.reason) for each in now.edits] == [
        ("up", "ada@shop", "they grew"),
        ("bye", "ada@shop", ""),
    ]
    assert (now.contract.end, then.contract.end) == (FEBRUARY, None)
    assert then.contract.standing_at(JANUARY + 11 * DAY).plan == "pro"
    assert (first.contract.agreed, first.contract.end) == (contract.agreed, None)
    assert not first.edits
    change(shop, contract.id, {"kind": "withdraw", "edit": "bye"})
    with shop.engine.transaction(shop.workspace) as tx:
        after = contract_history(tx, contract.id)
    assert (after.contract.end, after.withdrawn) == (None, frozenset({"bye"}))


def test_edits_that_do_not_fit_are_refused_whole(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team")
    shop.go(FEBRUARY + 10 * DAY)
    before = shop.headers()
    with pytest.raises(NotFoundError):
        change(shop, contract.id, SEATS, {**PRO, "plan": "nowhere"})
    with pytest.raises(InvalidInputError, match="no fee"):
        change(shop, contract.id, {"kind": "override", "override": {"id": "o", "fee": "none", "amount": "1"}})
    with pytest.raises(InvalidInputError, match="not paused"):
        change(shop, contract.id, {"kind": "resume"})
    long = {"model": "percentage", "rate": "2%", "minimum_per_event": "1"}
    with pytest.raises(InvalidInputError, match="single events"):
        change(
            shop, contract.id, {"kind": "override", "override": {"id": "o", "meter": "tokens", "price": long}}
        )
    with pytest.raises(UnprocessableError, match="anew"):
        change(shop, contract.id, {**PRO, "every": "1 year"}, effective=JANUARY + DAY)
    change(shop, contract.id, SEATS, id="same")
    change(shop, contract.id, SEATS, id="same")
    with pytest.raises(ConflictError):
        change(shop, contract.id, {**SEATS, "quantity": "6"}, id="same")
    with shop.engine.transaction(shop.workspace) as tx:
        assert len(contract_history(tx, contract.id).edits) == 1
    assert shop.headers() == before


def test_a_pinned_contract_stays_on_its_version(market: Shops) -> None:
    shop = market.open(PLANS)
    old = shop.sell("ada", "team")
    dearer = {**PLANS, "plans/team.yaml": PLANS["plans/team.yaml"].replace("amount: 100}", "amount: 150}")}
    with shop.engine.transaction(shop.workspace) as tx:
        apply_catalog(tx, dearer, message="dearer", author="test")
    new = shop.sell("bo", "team")
    shop.go(MARCH + 2 * HOUR)
    assert shop.billed(contract=old.id) == 300
    assert shop.billed(contract=new.id) == 450


def test_a_draft_of_a_change_is_read_as_what_it_will_be(market: Shops) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team")
    shop.go(JANUARY + 10 * DAY)
    change(shop, contract.id, PRO, invoiced="at_once")
    draft = next(header for header in shop.headers() if header.status == "draft")
    with shop.engine.transaction(shop.workspace) as tx:
        read: Invoice = get_invoice(tx, draft.id).invoice
    shop.go(JANUARY + 11 * DAY)
    assert shop.documents()[-1] == read


def test_a_migration_says_who_pays_more_and_can_be_taken_back_in_time(market: Shops) -> None:
    shop = market.open(PLANS)
    light, heavy = shop.sell("ada", "team"), shop.sell("bo", "team")
    other = shop.sell("cy", "pro")
    shop.go(JANUARY + 2 * DAY)
    shop.use("ada", 20, JANUARY + DAY)
    shop.use("bo", 110, JANUARY + DAY)
    shop.go(FEBRUARY + 2 * HOUR)
    flat = {
        **PLANS,
        "plans/team.yaml": PLANS["plans/team.yaml"]
        .replace("amount: 100}", "amount: 110}")
        .replace("tiers: [{up_to: 100, unit: 2}, {unit: 1}]", "tiers: [{unit: 1}]"),
    }
    with shop.engine.transaction(shop.workspace) as tx:
        apply_catalog(tx, flat, message="flat", author="test")
    move = Migration("flat-2026", plan="team", when="period_end")
    with shop.engine.transaction(shop.workspace) as tx:
        told = preview_migrate(tx, move, "ada@shop")
    assert [(each.contract, each.difference) for each in told.effects] == [(light.id, 0), (heavy.id, -90)]
    assert told.difference == -90
    with shop.engine.transaction(shop.workspace) as tx:
        assert migrate(tx, move, "ada@shop") == told
        assert not migrate(tx, move, "ada@shop").moved, "the same again moves nothing twice"
    change(shop, heavy.id, {"kind": "withdraw", "edit": "flat-2026"})
    shop.go(MARCH + 2 * HOUR)
    with shop.engine.transaction(shop.workspace) as tx:
        late = undo_migration(tx, "flat-2026", "ada@shop")
    assert not late.moved
    assert {each.contract for each in late.stayed} == {light.id, heavy.id}
    assert [shop.documents(contract=each.id)[-1].total for each in (light, heavy, other)] == [110, 100, 310]
    everything_proves(shop)
