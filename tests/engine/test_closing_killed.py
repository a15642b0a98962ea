"""A closing run killed at every statement, with changes pending: one invoice and one number for each, as if nothing died."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.engine.billing import JANUARY, Shop, Shops, shops
from tests.engine.test_contract_changes import DAY, HOUR, PLANS, PRO, SEATS, change, everything_proves
from valorem.core.contracts.accounts import Account
from valorem.engine.accounts import set_account
from valorem.engine.closing import close_due
from valorem.store.postgres import workspaces

FEBRUARY = JANUARY + 31 * DAY
#: No transaction of the run has as many statements.
_MOST_STATEMENTS = 400


class KilledError(Exception): ...


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def pending(market: Shops) -> Shop:
    """Three contracts at the end of a month: one to be invoiced for seats at once, one that moves on, one that ends."""
    shop = market.open(PLANS)
    sold = [shop.sell(key, "team") for key in ("ada", "bob", "cleo")]
    with shop.engine.transaction(shop.workspace) as tx:
        set_account(tx, Account("cleo", "bob"))
    access = [{"amount": "50", "start": "2026-01-01T00:00:00Z", "end": "2026-03-01T00:00:00Z"}]
    change(shop, sold[1].id, {"kind": "commitment", "commitment": {"id": "order", "access": access}})
    shop.go(JANUARY + 10 * DAY)
    for key in ("ada", "bob", "cleo"):
        shop.use(key, 40, JANUARY + 9 * DAY)
    change(shop, sold[0].id, SEATS, invoiced="at_once")
    change(shop, sold[1].id, PRO)
    change(shop, sold[2].id, {"kind": "cancel"}, effective=FEBRUARY + 10 * DAY)
    change(shop, sold[0].id, PRO, effective="period_end")
    with shop.engine.transaction(shop.workspace) as tx:
        workspaces.move_clock(tx.connection, shop.workspace, FEBRUARY + HOUR)
    return shop


def state(shop: Shop) -> list[tuple[Any, ...]]:
    with shop.engine.transaction(shop.workspace) as tx:
        rows = tx.connection.execute(
            "SELECT 'contract' AS what, id, next_index::text AS one, thresholds_seq::text AS two FROM contract"
            " UNION ALL SELECT 'invoice', id, status, number FROM invoice ORDER BY 1, 2"
        ).fetchall()
    return [tuple(row.values()) for row in rows]


def said(shop: Shop) -> list[tuple[Any, ...]]:
    """What was billed, whatever the contracts and invoices are called."""
    with shop.engine.transaction(shop.workspace) as tx:
        messages = tx.connection.execute(
            "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM outbox"
        ).fetchone()
    assert messages is not None
    assert messages["n"] == messages["ids"]
    documents = [
        (each.customer, each.kind, each.boundary_index, each.total, tuple(line.amount for line in each.lines))
        for each in shop.documents()
    ]
    return [*sorted(documents), (messages["n"],)]


def test_killed_at_every_statement_it_bills_what_an_undisturbed_run_bills(
    market: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = pending(market)
    close_due(undisturbed.engine, undisturbed.workspace)
    shop = pending(market)
    kills = died_at = count = 0
    armed = False

    def dying(run: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            if armed:
                count += 1
                if count == died_at:
                    raise KilledError
            return run(*args, **kwargs)

        return wrapped

    for name in ("execute", "executemany"):
        monkeypatch.setattr(psycopg.Cursor, name, dying(getattr(psycopg.Cursor, name)))
    before = state(shop)
    while died_at < _MOST_STATEMENTS:
        died_at, count, armed = died_at + 1, 0, True
        try:
            close_due(shop.engine, shop.workspace)
        except KilledError:
            kills += 1
        else:
            break
        finally:
            armed = False
        if (after := state(shop)) != before:
            before, died_at = (
                after,
                0,
            )  # a transaction was committed: the next one dies at each of its statements
    assert kills > 50
    assert said(shop) == said(undisturbed)
    numbers = sorted(each.number or "" for each in shop.headers(status="finalised"))
    assert numbers == [f"INV-{place:06d}" for place in range(1, len(numbers) + 1)]
    assert len({(each.contract, each.index, each.kind) for each in shop.headers()}) == len(shop.headers())
    assert not shop.headers(status="draft")
    everything_proves(shop)
    shop.go(FEBRUARY + 40 * DAY)
    undisturbed.go(FEBRUARY + 40 * DAY)
    assert said(shop) == said(undisturbed)
    assert shop.billed() > Decimal(0)
