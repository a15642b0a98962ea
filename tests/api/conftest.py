"""The whole API without a network: two workspaces on a fresh database, and keys of every kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from valorem.app import assemble
from valorem.client.in_process import InProcessTransport
from valorem.core.limits import Limits
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.keys import issue_key
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CATALOG = {
    "meters/tokens.yaml": "meter: tokens\nname: Tokens\nevent: llm.call\naggregate: sum\nvalue: data.tokens\n"
    "unit: token\ndimensions: {model: data.model}\n",
    "plans/team.yaml": "plan: team\nname: Team\ncurrency: USD\nevery: month\n"
    "fees: {base: {amount: 20}, seat: {amount: 5, per: seat}}\n"
    "prices:\n  tokens: {model: per_unit, amount: 2, per: 1M}\n",
}


@dataclass
class World:
    """Where the tests of the API live."""

    engine: Engine
    http: httpx.Client
    admin: str
    other: str

    def get(self, path: str, key: str | None = None, **rest: Any) -> httpx.Response:
        return self.http.get(path, headers=bearer(key or self.admin), **rest)

    def post(self, path: str, body: Any = None, key: str | None = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(path, json=body, headers=bearer(key or self.admin) | named)

    def send(self, body: bytes, content_type: str = "application/x-ndjson", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(
            "/v1/events", content=body, headers=bearer(self.admin) | {"content-type": content_type} | named
        )


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@contextmanager
def open_world(database_url: str, folder: Path) -> Iterator[World]:
    """The API on a database, until the block ends."""
    database = Database(database_url)
    limits = Limits(body_bytes=200_000, decompressed_bytes=3_000_000, batch_events=1000)
    engine = Engine(database, lambda: NOW, limits, warehouse=DuckdbWarehouse(folder / "warehouse"))
    ingestor = Ingestor(engine)
    try:
        keys = []
        for name in ("one", "two"):
            workspace = create_workspace(engine, name=name, kind="sandbox", clock_at=NOW)
            keys.append(issue_key(engine, workspace.id, name="test", scopes=["admin"]).key)
        transport = InProcessTransport(assemble(engine, ingestor))
        with httpx.Client(transport=transport, base_url="http://valorem.invalid", timeout=60) as http:
            yield World(engine, http, *keys)
    finally:
        ingestor.drain()
        database.close()


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with open_world(database_url, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared_world(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests of a module that leave nothing behind which another would notice."""
    with open_world(module_database_url, tmp_path_factory.mktemp("world")) as opened:
        yield opened


@pytest.fixture
def furnished(world: World) -> World:
    return furnish(world)


@pytest.fixture(scope="module")
def shared_furnished(shared_world: World) -> World:
    return furnish(shared_world)


def furnish(world: World) -> World:
    """With a catalog, a customer, a contract and some usage."""
    assert (
        world.post("/v1/catalog/apply", {"files": CATALOG, "message": "m", "author": "a"}).status_code == 201
    )
    customer = {"key": "acme", "name": "Acme", "currency": "USD", "aliases": ["org_1"]}
    assert world.post("/v1/customers", customer).status_code == 201
    contract = {"customer": "acme", "plan": "team", "start": "2026-03-01T00:00:00Z", "seats": {"seat": "2"}}
    assert world.post("/v1/contracts", contract).status_code == 201
    assert world.send(event("e1") + b"\n" + event("e2")).json()["accepted"] == 2
    return world


def event(
    name: str = "e1", subject: str = "acme", tokens: str = "1000000", time: str = "2026-03-05T00:00:00Z"
) -> bytes:
    return (
        f'{{"specversion":"1.0","id":"{name}","source":"/t","type":"llm.call","subject":"{subject}",'
        f'"time":"{time}","data":{{"model":"small","tokens":{tokens}}}}}'
    ).encode()
