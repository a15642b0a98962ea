"""What the tests of credits share: a shop that sells credits, and short words for its verbs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from tests.engine.billing import JANUARY, Shop, Shops
from valorem.core.time import write_instant
from valorem.engine.credits.buying import NewPurchase, Purchase, buy_credits
from valorem.engine.credits.closing import CreditsReport, tend_credits
from valorem.engine.credits.granting import GrantState, NewGrant, give_grant, void_grant
from valorem.engine.credits.holding import HoldState, place_hold, release_hold, settle_hold
from valorem.engine.credits.ledger import tend, verify_ledger
from valorem.engine.credits.reading import Balance, balance
from valorem.store.postgres.credits import Place, closed_periods

CREDITS: Mapping[str, str] = {
    "meters/actions.yaml": """
meter: actions
event: action
aggregate: count
filter: {data.status: ok}
dimensions: {kind: data.kind, user: data.user}
""",
    "credits/ai.yaml": """
credit: ai
name: AI credits
price: {USD: 0.01}
member: user
burn:
  actions: {model: matrix, rates: [{kind: chat, amount: 1}, {kind: image, amount: 10}]}
packs:
  small: {amount: 250, price: {USD: 10}}
policies: {overage: block}
""",
    "plans/team.yaml": """
plan: team
name: Team
currency: USD
every: month
fees: {seat: {amount: 20, per: seat}}
grants:
  ai: {amount: 100, per: seat}
""",
    "plans/bare.yaml": """
plan: bare
name: Bare
currency: USD
every: month
fees: {base: {amount: 1}}
""",
}
_numbers = count(1)


@dataclass
class CreditShop(Shop):
    """A shop whose customers have credits."""

    def act(
        self,
        customer: str,
        kind: str,
        times: int,
        at: datetime,
        *,
        user: str = "ann",
        status: str = "ok",
        name: str | None = None,
    ) -> None:
        lines = [
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": f"{name}-{number}" if name else f"act-{next(_numbers)}",
                    "source": "/app",
                    "type": "action",
                    "subject": customer,
                    "time": write_instant(at),
                    "data": {"kind": kind, "user": user, "status": status},
                }
            ).encode()
            for number in range(times)
        ]
        results = self.ingestor.ingest(self.workspace, lines)
        assert {one.status for one in results} == {"accepted"}

    def give(self, customer: str, amount: object, credit: str = "ai", **terms: Any) -> GrantState:
        with self.engine.transaction(self.workspace) as tx:
            return give_grant(tx, NewGrant(customer, credit, Decimal(str(amount)), **terms))

    def buy(self, customer: str, pack: str | None = None, credit: str = "ai", **terms: Any) -> Purchase:
        with self.engine.transaction(self.workspace) as tx:
            return buy_credits(tx, NewPurchase(customer, credit, pack=pack, **terms))

    def void(self, customer: str, grant: str, credit: str = "ai") -> GrantState:
        with self.engine.transaction(self.workspace) as tx:
            return void_grant(tx, customer, credit, grant)

    def hold(
        self, customer: str, name: str, amount: object, credit: str = "ai", minutes: int = 10, **terms: Any
    ) -> HoldState:
        with self.engine.transaction(self.workspace) as tx:
            return place_hold(
                tx,
                customer=customer,
                credit=credit,
                id=name,
                amount=Decimal(str(amount)),
                lasts=timedelta(minutes=minutes),
                **terms,
            )

    def settle(self, customer: str, name: str, used: object, credit: str = "ai") -> HoldState:
        with self.engine.transaction(self.workspace) as tx:
            return settle_hold(tx, customer=customer, credit=credit, id=name, used=Decimal(str(used)))

    def release(self, customer: str, name: str, credit: str = "ai") -> HoldState:
        with self.engine.transaction(self.workspace) as tx:
            return release_hold(tx, customer=customer, credit=credit, id=name)

    def balance(self, customer: str, credit: str = "ai", at: datetime | None = None) -> Balance:
        with self.engine.transaction(self.workspace, snapshot=True, read_only=True) as tx:
            return balance(tx, customer, credit, at=at)

    def tend(self, customer: str, credit: str = "ai") -> int:
        with self.engine.transaction(self.workspace) as tx:
            return tend(tx, Place(self.workspace, customer, credit))

    def tend_all(self) -> CreditsReport:
        return tend_credits(self.engine, self.workspace)

    def closed(self, customer: str, credit: str = "ai") -> int:
        """How many periods of an account are closed."""
        with self.engine.transaction(self.workspace) as tx:
            return len(closed_periods(tx.connection, Place(self.workspace, customer, credit)))

    def told(self) -> list[str]:
        """The topics about credits in the outbox, in order."""
        with self.engine.transaction(self.workspace) as tx:
            rows = tx.connection.execute(
                "SELECT topic FROM outbox WHERE topic LIKE 'credit.%%' ORDER BY sequence"
            )
            return [row["topic"] for row in rows]

    def problems(self) -> list[str]:
        with self.engine.transaction(self.workspace) as tx:
            return [problem for check in verify_ledger(tx) for problem in check.problems]


def credit_shop(shops: Shops, catalog: Mapping[str, str] = CREDITS, at: datetime = JANUARY) -> CreditShop:
    """Open a shop that sells credits."""
    shop = shops.open(catalog, at)
    return CreditShop(shop.engine, shop.ingestor, shop.workspace)
