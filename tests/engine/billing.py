"""What the tests of billing share: a sandbox with a catalog, customers and contracts, and its invoices."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from valorem.core.billing.canonical import read_invoice
from valorem.core.billing.invoice import Invoice
from valorem.core.contracts.contract import Contract
from valorem.core.time import write_instant
from valorem.engine.catalog import apply_catalog
from valorem.engine.clock import AdvanceReport, advance_clock
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres import invoices
from valorem.store.postgres.database import Database
from valorem.store.postgres.invoices import InvoiceHeader

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
CATALOG: Mapping[str, str] = {
    "meters/tokens.yaml": """
meter: tokens
event: call
aggregate: sum
value: data.n
dimensions: {model: data.model}
""",
    "meters/peak.yaml": """
meter: peak
event: call
aggregate: max
value: data.n
""",
    "plans/team.yaml": """
plan: team
name: Team
currency: USD
every: month
fees:
  base: {amount: 100}
  seat: {amount: 30, per: seat}
prices:
  tokens:
    model: graduated
    included: 10
    tiers: [{up_to: 100, unit: 2}, {unit: 1}]
  peak: {model: per_unit, amount: 0.5}
""",
    "plans/usage.yaml": """
plan: usage
name: Usage
currency: USD
every: month
prices:
  tokens: {model: matrix, rates: [{model: a, amount: 1}, {model: b, amount: 3}, {model: b, amount: 5, from: 2026-01-15}]}
""",
    "plans/noted.yaml": """
plan: noted
name: Late usage on a note of its own
currency: USD
every: month
prices:
  tokens: {model: per_unit, amount: 1}
policies: {late_events: note}
""",
    **{
        f"plans/{policy}.yaml": f"""
plan: {policy}
name: Late usage is to be {policy}ed
currency: USD
every: month
prices:
  tokens: {{model: per_unit, amount: 1}}
policies: {{late_events: {policy}}}
"""
        for policy in ("absorb", "reject")
    },
}
_names = count(1)


@dataclass
class Shop:
    """A sandbox where something is sold.

    Attributes:
        engine: The engine.
        ingestor: Takes events.
        workspace: The sandbox's id.
    """

    engine: Engine
    ingestor: Ingestor
    workspace: int

    def sell(self, customer: str, plan: str, **terms: Any) -> Contract:
        with self.engine.transaction(self.workspace) as tx:
            create_customer(tx, key=customer, name=customer.title(), currency="USD")
            return create_contract(tx, NewContract(customer=customer, plan=plan, **terms))

    def use(
        self, customer: str, n: object, at: datetime, *, name: str | None = None, model: str = "a"
    ) -> str:
        return self.ingestor.ingest(self.workspace, [call(customer, n, at, name=name, model=model)])[0].status

    def go(self, to: datetime) -> AdvanceReport:
        return advance_clock(self.engine, self.workspace, to=to)

    def headers(self, **chosen: Any) -> list[InvoiceHeader]:
        with self.engine.transaction(self.workspace) as tx:
            return invoices.load_page(tx.connection, self.workspace, limit=10_000, **chosen)

    def documents(self, **chosen: Any) -> list[Invoice]:
        found = []
        with self.engine.transaction(self.workspace) as tx:
            for header in invoices.load_page(tx.connection, self.workspace, limit=10_000, **chosen):
                sealed = invoices.load_document(tx.connection, self.workspace, header.id)
                if sealed is not None:
                    found.append(read_invoice(sealed.document))
        return found

    def billed(self, **chosen: Any) -> Decimal:
        return sum((invoice.total for invoice in self.documents(**chosen)), Decimal(0))


@contextmanager
def shops(url: str) -> Iterator["Shops"]:
    """A database in which shops are opened."""
    database = Database(url)
    engine = Engine(database, lambda: datetime(2026, 6, 1, tzinfo=UTC))
    ingestor = Ingestor(engine)
    try:
        yield Shops(engine, ingestor)
    finally:
        ingestor.drain()
        database.close()


@dataclass
class Shops:
    """Opens shops in one database."""

    engine: Engine
    ingestor: Ingestor

    def open(self, catalog: Mapping[str, str] = CATALOG, at: datetime = JANUARY) -> Shop:
        workspace = create_workspace(self.engine, name=f"shop-{next(_names)}", clock_at=at)
        with self.engine.transaction(workspace.id) as tx:
            apply_catalog(tx, catalog, message="open", author="test")
        return Shop(self.engine, self.ingestor, workspace.id)


def call(
    customer: str,
    n: object,
    at: datetime,
    *,
    name: str | None = None,
    model: str = "a",
    source: str = "/app",
) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": name or f"call-{next(_names)}",
            "source": source,
            "type": "call",
            "subject": customer,
            "time": write_instant(at),
            "data": {"n": n, "model": model},
        }
    ).encode()


def void(target: str, at: datetime, *, source: str = "/app") -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"void-{target}",
            "source": "/fix",
            "type": "valorem.void",
            "time": write_instant(at),
            "data": {"source": source, "id": target},
        }
    ).encode()


def amend(name: str, target: str, at: datetime, *, source: str = "/app", **members: object) -> bytes:
    sent = {
        "specversion": "1.0",
        "id": name,
        "source": "/fix",
        "type": "valorem.amend",
        "time": write_instant(at),
        "data": {"source": source, "id": target, **members},
    }
    return json.dumps(sent).encode()
