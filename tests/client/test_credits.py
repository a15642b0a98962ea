# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Credits through the client: grants, balances, holds as context managers, the books, in one process over ASGI."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.crediting import CREDITS
from valorem.app import assemble
from valorem.client import ApiError, AsyncClient, Client, NotEnoughCreditsError
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.keys import issue_key
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database

NOW = datetime(2026, 3, 10, 12, 7, tzinfo=UTC)


@pytest.fixture
def served(database_url: str) -> Iterator[tuple[Any, str]]:
    database = Database(database_url)
    engine = Engine(database, lambda: NOW)
    ingestor = Ingestor(engine)
    try:
        workspace = create_workspace(engine, name="one", kind="live")
        key = issue_key(engine, workspace.id, name="test", scopes=["admin"]).key
        yield assemble(engine, ingestor), key
    finally:
        ingestor.drain()
        database.close()


def furnish(client: Client) -> None:
    client.apply_catalog(CREDITS, message="open", author="test")
    client.create_customer("acme", "Acme", "USD")
    client.create_contract("acme", "bare")


def test_credits_from_grant_to_statement(served: tuple[Any, str]) -> None:
    app, key = served
    with Client("http://valorem.invalid", key, app=app) as client:
        furnish(client)
        given = client.give_credits("acme", "ai", 100, id="welcome", lasts="30 days", source="promotional")
        assert (given.remaining, given.available) == (100, 100)
        assert client.give_credits("acme", "ai", 100, id="welcome").available == 100
        seen = client.buy_credits("acme", "ai", pack="small", quantity=2, preview=True)
        assert (seen.total, seen.credits) == (20, 500)
        assert client.list_purchases("acme").items == []
        bought = client.buy_credits("acme", "ai", pack="small", quantity=2)
        assert (bought.credits, bought.total, bought.currency, bought.state) == (500, 20, "USD", "invoiced")
        assert [one.id for one in client.list_purchases("acme").items] == [bought.id]
        with client.hold("acme", "ai", 50, work={"meter": "actions", "member": "ann"}) as hold:
            hold.use(30)
            assert not hold.spend(21)
            assert client.credit_balance("acme").items[0].held == 50
        assert hold.state is not None
        assert (hold.state.state, hold.state.settled, hold.state.available) == ("settled", 30, 570)
        assert [(row.value, row.amount) for row in client.credit_burn("acme", "ai", by="member").rows] == [
            ("ann", 30)
        ]
        statement = client.credit_statement("acme", "ai")
        assert statement.opening + sum(line.change for line in statement.lines) == statement.closing == 570
        client.void_grant("acme", "ai", bought.id)
        assert client.credit_balance("acme", credit="ai").items[0].balance == 70
        assert client.change_grant_expiry(
            "acme", "ai", "welcome", expires=datetime(2026, 5, 1, tzinfo=UTC)
        ).grant.end
        assert client.credit_forecast("acme", "ai").per_day > 0
        assert [check.problems for check in client.verify_ledger().items] == [[]]
        entries = client.ledger_entries("acme", "ai").items
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert client.list_grants("acme", "ai", limit=1).next is not None


def test_a_hold_that_fails_gives_everything_back(served: tuple[Any, str]) -> None:
    app, key = served
    with Client("http://valorem.invalid", key, app=app) as client:
        furnish(client)
        client.give_credits("acme", "ai", 10)
        with pytest.raises(ValueError, match="work broke"), client.hold("acme", "ai", 10):
            raise ValueError("work broke")
        assert client.credit_balance("acme").items[0].available == 10
        with pytest.raises(NotEnoughCreditsError) as caught, client.hold("acme", "ai", 12):
            pass
        assert caught.value.shortfall == 2
        with pytest.raises(ApiError) as unknown:
            client.settle_hold("nothing", "acme", "ai", 1)
        assert unknown.value.status == 404


def test_a_top_up_is_seen_at_once_and_only_once(served: tuple[Any, str]) -> None:
    app, key = served
    with Client("http://valorem.invalid", key, app=app) as client:
        furnish(client)
        client.give_credits("acme", "ai", 100)
        client.set_top_up("acme", "ai", threshold=20, target=200, lasts="1 year", most_per_day=1)
        with client.hold("acme", "ai", 90) as hold:
            hold.use(90)
        assert client.credit_balance("acme").items[0].available == 200
        with client.hold("acme", "ai", 195) as second:
            second.use(195)
        assert client.credit_balance("acme").items[0].available == 5  # the day's purchases are used up


def test_the_awaited_client_holds_too(served: tuple[Any, str]) -> None:
    app, key = served
    with Client("http://valorem.invalid", key, app=app) as client:
        furnish(client)
        client.give_credits("acme", "ai", 10)

    async def work() -> Decimal:
        async with AsyncClient("http://valorem.invalid", key, app=app) as client:
            async with client.hold("acme", "ai", 4) as hold:
                hold.use(3)
            return (await client.credit_balance("acme")).items[0].available

    assert asyncio.run(work()) == 7
