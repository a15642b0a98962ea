"""Two customers of one workspace and one of another, all with usage, credits, limits, budgets and results to look at."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from tests.api.conftest import bearer
from tests.web.console import Console
from valorem.app import assemble
from valorem.client.in_process import InProcessTransport
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.keys import issue_key
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CATALOG = {
    "meters/tokens.yaml": "meter: tokens\nname: Tokens\nevent: llm.call\naggregate: sum\nunit: token\n"
    "each: {kind: {input: data.input, output: data.output}}\ndimensions: {model: data.model}\n",
    "meters/calls.yaml": "meter: calls\nname: Calls\nevent: llm.call\naggregate: count\nunit: call\n"
    "dimensions: {model: data.model, user: data.user}\n",
    "meters/pages.yaml": "meter: pages\nname: Pages\nevent: page.read\naggregate: sum\nvalue: data.pages\nunit: page\n",
    "features/sso.yaml": "feature: sso\nname: Single sign-on\n",
    "credits/coins.yaml": "credit: coins\nname: coin\nprice: {USD: 0.10}\n"
    "packs: {small: {name: Small pack, amount: 100, price: {USD: 9}}}\nburn: {pages: {model: per_unit, amount: 2}}\n",
    "plans/team.yaml": "plan: team\nname: Team\ncurrency: USD\nevery: month\n"
    "fees: {base: {amount: 20}, seat: {amount: 5, per: seat}}\n"
    "prices:\n  tokens: {model: matrix, rates: [{model: small, kind: input, amount: 2, per: 1M},"
    " {model: small, kind: output, amount: 8, per: 1M}, {model: large, kind: input, amount: 5, per: 1M},"
    " {model: large, kind: output, amount: 25, per: 1M}]}\n"
    "  calls: {model: graduated, included: 5, tiers: [{up_to: 100, unit: 0.01}, {unit: 0.005}]}\n"
    "limits:\n  calls: {max: 1000, window: billing period, kind: hard}\n"
    "grants: {coins: {amount: 100, expires: period end}}\n",
    "plans/business.yaml": "plan: business\nname: Business\ncurrency: USD\nevery: month\n"
    "fees: {base: {amount: 200}, seat: {amount: 4, per: seat}}\n"
    "prices:\n  tokens: {model: per_unit, amount: 1, per: 1M}\n"
    "  calls: {model: per_unit, amount: 0.001}\n"
    "limits:\n  calls: {max: 100000, window: month, kind: soft}\n",
}


@dataclass
class Door:
    """Where the tests of the portal live."""

    engine: Engine
    http: httpx.Client
    admin: str
    other: str
    app: FastAPI
    clock: dict[str, datetime]

    def post(self, path: str, body: Any = None, key: str | None = None) -> Any:
        answer = self.http.post(path, json=body, headers=bearer(key or self.admin))
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str, key: str | None = None) -> Any:
        answer = self.http.get(path, headers=bearer(key or self.admin))
        assert answer.is_success, answer.text
        return answer.json()

    def put(self, path: str, body: Any, key: str | None = None) -> Any:
        answer = self.http.put(path, json=body, headers=bearer(key or self.admin))
        assert answer.is_success, answer.text
        return answer.json()

    def patch(self, path: str, body: Any) -> Any:
        answer = self.http.patch(path, json=body, headers=bearer(self.admin))
        assert answer.is_success, answer.text
        return answer.json()

    def link(self, customer: str, key: str | None = None, **rest: Any) -> str:
        made = self.post("/v1/portal/links", {"customer": customer, **rest}, key)
        return str(made["url"])

    def follow(self, link: str) -> "Portal":
        parts = urlsplit(link)
        looker = Console(self.http, {})
        answer = looker.get(f"!{parts.path}?{parts.query}")
        assert answer.status_code == 303, answer.text
        return Portal(self, looker, str(answer.headers["location"]).rstrip("/"))

    def open(self, customer: str, key: str | None = None, **rest: Any) -> "Portal":
        return self.follow(self.link(customer, key, **rest))

    def use(self, name: str, *, subject: str = "acme", key: str | None = None, **data: Any) -> None:
        event = {
            "specversion": "1.0",
            "id": name,
            "source": "/t",
            "type": data.pop("type", "llm.call"),
            "subject": subject,
            "time": "2026-03-05T00:00:00Z",
            "data": {"model": "small", "user": "ada", "input": 1_000_000, "output": 500_000, **data},
        }
        assert self.post("/v1/events", [event], key)["accepted"] == 1


@dataclass
class Portal:
    """Somebody in front of one customer's portal."""

    door: Door
    looker: Console
    home: str

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.looker.get(f"!{self.home}{path}", **headers)

    def page(self, path: str, **headers: str) -> str:
        answer = self.get(path, **headers)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[-1500:])
        return answer.text

    def submit(self, path: str, form: dict[str, str], page: str = "/") -> httpx.Response:
        token = re.search(r'name="csrf" value="([^"]+)"', self.get(page).text)
        assert token is not None
        return self.looker.post(f"!{self.home}{path}", {"csrf": token[1], **form})


@pytest.fixture(scope="module")
def door(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp("portal")
    database = Database(module_database_url)
    clock = {"now": NOW}
    engine = Engine(database, lambda: clock["now"], warehouse=DuckdbWarehouse(folder))
    ingestor = Ingestor(engine)
    try:
        keys = []
        for name in ("one", "two"):
            workspace = create_workspace(engine, name=name, kind="sandbox", clock_at=NOW)
            keys.append(issue_key(engine, workspace.id, name="test", scopes=["admin"]).key)
        app = assemble(engine, ingestor)
        transport = InProcessTransport(app)
        with httpx.Client(transport=transport, base_url="http://valorem.invalid", timeout=60) as http:
            made = Door(engine, http, keys[0], keys[1], app, clock)
            furnish(made)
            yield made
    finally:
        ingestor.drain()
        database.close()


def furnish(door: Door) -> None:
    for key in (door.admin, door.other):
        door.post("/v1/catalog/apply", {"files": CATALOG, "message": "m", "author": "a"}, key)
        for customer, name in (("acme", "Acme"), ("beta", "Beta")):
            door.post("/v1/customers", {"key": customer, "name": name, "currency": "USD"}, key)
            door.post(
                "/v1/contracts",
                {
                    "customer": customer,
                    "plan": "team",
                    "start": "2026-01-01T00:00:00Z",
                    "seats": {"seat": "2"},
                },
                key,
            )
            for number in range(8):
                door.use(
                    f"{customer}-{number}",
                    subject=customer,
                    key=key,
                    model="large" if number % 3 else "small",
                )
            door.use(f"{customer}-p", subject=customer, key=key, type="page.read", pages=7)
        door.post("/v1/invoices/close", key=key)
        door.put(
            "/v1/settings/portal",
            {
                "name": "Metered",
                "offers": ["team", "business"],
                "support": "help@example.com",
                "origins": ["https://app.example.com"],
            },
            key,
        )


@pytest.fixture
def acme(door: Door) -> Portal:
    """A session of its own for each test: one alone may not ask as fast as all tests together."""
    return door.open("acme")
