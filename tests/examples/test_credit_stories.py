"""The examples of prepaid credits: each story must give the balances and invoices that it names."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.billing import Shops, shops
from tests.engine.crediting import CreditShop, credit_shop
from valorem.core.contracts.contract import Contract
from valorem.core.ledger.recharge import RechargeRule
from valorem.core.ledger.scope import Workload
from valorem.core.numbers import plain
from valorem.core.time import parse_instant, write_instant
from valorem.core.units import parse_span
from valorem.engine.catalog import apply_catalog
from valorem.engine.contract_changes import set_seats
from valorem.engine.credits.granting import set_member, set_top_up
from valorem.engine.migrating import Migration, migrate, preview_migrate

STORIES = sorted((Path(__file__).parents[2] / "examples" / "credits").glob("*/story.yaml"))


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


class Telling:
    """Does the steps of one story, and checks what it says."""

    def __init__(self, shop: CreditShop, contract: Contract, credit: str, catalog: Mapping[str, str]) -> None:
        self.shop = shop
        self.contract = contract
        self.customer = contract.customer
        self.catalog = catalog
        self.credit = credit
        self.number = 0

    def use(self, acts: list[dict[str, Any]]) -> None:
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            now = tx.now
        lines = []
        for act in (one for one in acts for _ in range(one.get("times", 1))):
            self.number += 1
            event = {"specversion": "1.0", "id": str(self.number), "source": "/story", "type": "ai.action"}
            data = {"user": "somebody", "status": "ok", **act}
            lines.append(
                json.dumps(
                    {**event, "subject": self.customer, "time": write_instant(now), "data": data}
                ).encode()
            )
        results = self.shop.ingestor.ingest(self.shop.workspace, lines)
        assert {one.status for one in results} == {"accepted"}

    def go(self, to: str) -> None:
        self.shop.go(parse_instant(to))
        self.shop.tend_all()

    def seats(self, wanted: dict[str, int]) -> None:
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            for key, quantity in wanted.items():
                set_seats(tx, self.contract.id, key=key, quantity=Decimal(quantity))

    def member(self, name: str) -> None:
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            set_member(tx, self.customer, name)

    def buy(self, wanted: dict[str, Any]) -> None:
        self.shop.buy(self.customer, wanted["pack"], self.credit)

    def give(self, wanted: dict[str, Any]) -> None:
        self.shop.give(
            self.customer,
            wanted["amount"],
            self.credit,
            cost=Decimal(str(wanted["cost"])),
            lasts=parse_span(wanted["lasts"], "lasts"),
            source=wanted["source"],
        )

    def top_up(self, wanted: dict[str, Any]) -> None:
        numbers: dict[str, Any] = {
            name: Decimal(wanted[name]) for name in ("threshold", "target", "amount") if name in wanted
        }
        lasts = parse_span(wanted["lasts"], "lasts") if "lasts" in wanted else None
        rule = RechargeRule("auto", **numbers)
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            set_top_up(tx, self.customer, self.credit, rule, lasts=lasts, pack=wanted.get("pack"))

    def tend(self, _: bool) -> None:  # noqa: FBT001 - as the story writes it
        self.shop.tend(self.customer, self.credit)

    def hold(self, wanted: dict[str, Any]) -> None:
        work = Workload(member=wanted.get("user"))
        found = self.shop.hold(self.customer, wanted["id"], wanted["amount"], self.credit, work=work)
        assert found.hold.state == wanted["state"]

    def settle(self, wanted: dict[str, Any]) -> None:
        self.shop.settle(self.customer, wanted["id"], wanted["used"], self.credit)

    def publish(self, message: str) -> None:
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            apply_catalog(tx, self.catalog, message=message, author="test")

    def join(self, wanted: dict[str, Any]) -> None:
        seats = {key: Decimal(count) for key, count in wanted["seats"].items()}
        self.contract = self.shop.sell(wanted["customer"], wanted["plan"], seats=seats)
        self.look({"customer": wanted["customer"], "credit": wanted["credit"]})

    def look(self, at: dict[str, str]) -> None:
        self.customer, self.credit = at["customer"], at["credit"]

    def migrate(self, wanted: dict[str, Any]) -> None:
        move = Migration(wanted["id"], plan=wanted["plan"], when=wanted["when"])
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            told = preview_migrate(tx, move, "test")
            assert migrate(tx, move, "test") == told
        assert len(told.moved) == wanted["moved"]

    def balance(self, wanted: dict[str, Any]) -> None:
        found = self.shop.balance(self.customer, self.credit)
        assert {name: plain(getattr(found, name)) for name in wanted} == _texts(wanted)

    def left(self, wanted: dict[str, Any]) -> None:
        sums = dict.fromkeys(wanted, Decimal(0))
        for each in self.shop.balance(self.customer, self.credit).grants:
            sums[each.grant.holder or "pool"] += each.remaining
        assert {name: plain(amount) for name, amount in sums.items()} == _texts(wanted)

    def invoices(self, wanted: list[Any]) -> None:
        issued = sorted(
            (header.number, header.total)
            for header in self.shop.headers(customer=self.customer)
            if header.number
        )
        assert [plain(total) for _, total in issued if total is not None] == [str(total) for total in wanted]


def _texts(wanted: dict[str, Any]) -> dict[str, str]:
    return {name: str(amount) for name, amount in wanted.items()}


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.parent.name)
def test_a_story_comes_true(opened: Shops, path: Path) -> None:
    story = yaml.safe_load(path.read_text())
    folder = path.parent
    catalog = _catalog(folder)
    first = _catalog(folder.parent / story["before"]) if "before" in story else catalog
    shop = credit_shop(opened, first, _instant(story["start"]))
    seats = {key: Decimal(count) for key, count in story.get("seats", {}).items()}
    telling = Telling(shop, shop.sell("acme", story["plan"], seats=seats), story["credit"], catalog)
    for step in story["steps"]:
        for word, said in step.items():
            getattr(telling, word)(write_instant(said) if word == "go" else said)
    shop.tend_all()
    assert shop.problems() == []


def _catalog(folder: Path) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): file.read_text() for file in sorted(folder.glob("*/*.yaml"))}


def _instant(at: Any) -> Any:
    return parse_instant(write_instant(at))


def test_there_are_stories() -> None:
    assert len(STORIES) >= 7
