"""What the tests of limits and alerts share: a catalog with a free plan and a dearer one, and questions about it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.engine.billing import JANUARY, Shop, shops
from valorem.core.entitlements.check import Asked
from valorem.engine.checking import Checker, CheckResult
from valorem.engine.consuming import Consumed, Consumer, Consumption

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
FREEMIUM: Mapping[str, str] = {
    "meters/jobs.yaml": "meter: jobs\nevent: call\naggregate: count\ndimensions: {model: data.model, user: data.user}\n",
    "meters/tokens.yaml": "meter: tokens\nevent: call\naggregate: sum\nvalue: data.n\nunit: token\n",
    "features/batch_jobs.yaml": "feature: batch_jobs\nkind: metered\nmeter: jobs\n",
    "features/sso.yaml": "feature: sso\n",
    "features/export.yaml": "feature: export\n",
    "features/projects.yaml": "feature: projects\nkind: value\n",
    "plans/free.yaml": """
plan: free
name: Free
currency: USD
features: {projects: 3, export: true}
limits:
  batch_jobs:
    - {max: 10, window: day, prompt: upgrade_to_business}
    - {max: 100, window: month, prompt: upgrade_to_business}
gates: {export: {after: 14 days}}
prompts: {sso_wall: {to: business, text: "{plan} has single sign-on", link: https://example.com/upgrade}}
alerts: {limits: [80%, 100%]}
""",
    "plans/business.yaml": """
plan: business
name: Business
currency: USD
fees: {base: {amount: 100}}
prices: {tokens: {model: per_unit, amount: 2, included: 100}}
features: {projects: 50, sso: true, export: true}
limits: {batch_jobs: {max: 500, window: day}}
alerts: {included: [70%, 90%], spend: [80%, 100%, 400]}
maximum: {amount: 1000, per: invoice}
""",
}


@dataclass
class Doorkeeper:
    """Asks whether a shop's customers may do something."""

    shop: Shop
    checker: Checker
    consumer: Consumer

    def ask(
        self, customer: str, feature: str = "batch_jobs", quantity: object = None, **dimensions: str
    ) -> CheckResult:
        amount = None if quantity is None else Decimal(str(quantity))
        report = self.checker.check(self.shop.workspace, customer, [Asked(feature, amount, dimensions)])
        return report.results[0]

    def consume(
        self, customer: str, name: str, n: int = 1, feature: str = "batch_jobs", **more: Any
    ) -> Consumed:
        event = {
            "id": name,
            "source": "/app",
            "type": "call",
            "subject": customer,
            "data": {"n": n, "model": "a", "user": "ann"},
            **more,
        }
        return self.consumer.consume(self.shop.workspace, Consumption(feature, event))

    def notices(self, topic: str | None = None) -> list[dict[str, Any]]:
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            rows = tx.connection.execute(
                "SELECT topic, object, sequence, payload FROM outbox ORDER BY created_at, payload->>'threshold', object"
            ).fetchall()
        return [row for row in rows if topic in (None, row["topic"])]

    def crossed(self, topic: str = "alert.crossed") -> list[tuple[str, str]]:
        return sorted((row["payload"]["alert"], row["payload"]["threshold"]) for row in self.notices(topic))


@contextmanager
def doorkeepers(url: str, catalog: Mapping[str, str] = FREEMIUM, at: datetime = NOON) -> Iterator[Doorkeeper]:
    """A shop with the freemium catalog whose clock stands still."""
    with shops(url) as opened:
        shop = opened.open(catalog, at=at)
        checker = Checker(shop.engine)
        consumer = Consumer(shop.engine, checker.knowledge)
        try:
            yield Doorkeeper(shop, checker, consumer)
        finally:
            consumer.close()
            checker.close()


__all__ = ("FREEMIUM", "JANUARY", "NOON", "Doorkeeper", "doorkeepers")
