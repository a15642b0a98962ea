"""Usage of periods that are billed already: late, older than the accept window, or not wanted any more."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.engine.billing import JANUARY, Shop, Shops, amend, call, shops, void
from valorem.core.contracts.accounts import Account
from valorem.core.time import write_instant
from valorem.engine.accounts import set_account
from valorem.engine.aliases import attach_alias
from valorem.engine.customers import create_customer
from valorem.engine.invoices import preview_invoice, verify_invoice
from valorem.engine.results import CLOSED, ItemResult

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FEBRUARY, MARCH, APRIL, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4, 5))
HISTORY = "backfill:old-system"


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def ingest(shop: Shop, *raws: bytes) -> list[ItemResult]:
    return shop.ingestor.ingest(shop.workspace, raws)


def totals(shop: Shop, kind: str = "period") -> dict[int, Decimal]:
    """What was billed at each boundary, over all contracts."""
    found: dict[int, Decimal] = {}
    for each in shop.documents():
        if each.kind == kind:
            found[each.boundary_index] = found.get(each.boundary_index, Decimal(0)) + each.total
    return found


def prove_all(shop: Shop) -> None:
    for header in shop.headers(status="finalised"):
        with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
            assert verify_invoice(tx, header.id).same


def test_history_of_billed_periods_is_billed_late_once(market: Shops) -> None:
    shop = market.open()
    contract = shop.sell("ada", "usage")
    shop.use("ada", 7, JANUARY)
    shop.go(APRIL + HOUR)
    assert totals(shop) == {1: 7}
    old = [call("ada", n, JANUARY + n * DAY, source=HISTORY, name=f"old-{n}") for n in (2, 3)]
    assert [one.status for one in ingest(shop, *old)] == ["accepted"] * 2
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        seen = preview_invoice(tx, contract.id).so_far
    assert seen.total == 5
    shop.go(MAY + HOUR)
    assert totals(shop) == {1: 7, 4: 5}
    (line,) = shop.documents()[-1].lines
    assert (line.timing, line.period.start, line.amount) == ("adjustment", JANUARY, 5)
    # Sent again it is known, and the next invoices bill nothing twice.
    assert [one.status for one in ingest(shop, *old)] == ["duplicate"] * 2
    shop.go(MAY + 70 * DAY)
    assert totals(shop) == {1: 7, 4: 5}
    prove_all(shop)


def test_a_correction_of_what_is_older_than_the_window_is_settled(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "usage")
    shop.go(FEBRUARY - DAY)
    shop.use("ada", 40, JANUARY + DAY, name="much")
    shop.use("ada", 2, JANUARY + DAY, name="little")
    # The key of an event is kept longer than its time is accepted: late in March, January is past the window.
    shop.go(datetime(2026, 3, 9, tzinfo=UTC))
    assert totals(shop) == {1: 42}
    assert [one.status for one in ingest(shop, void("much", shop_now(shop)))] == ["accepted"]
    shop.go(APRIL + HOUR)
    assert totals(shop) == {1: 42, 3: -40}
    prove_all(shop)


def shop_now(shop: Shop) -> datetime:
    with shop.engine.transaction(shop.workspace) as tx:
        return tx.now


@pytest.mark.parametrize(
    ("plan", "kind", "expected"),
    [("noted", "note", {4: Decimal(5)}), ("absorb", "period", {1: Decimal(7)})],
)
def test_history_follows_the_policy_for_late_events(
    market: Shops, plan: str, kind: str, expected: dict[int, Decimal]
) -> None:
    shop = market.open()
    shop.sell("ada", plan)
    shop.use("ada", 7, JANUARY)
    shop.go(APRIL + HOUR)
    ingest(shop, call("ada", 5, JANUARY + DAY, source=HISTORY))
    shop.go(MAY + HOUR)
    assert totals(shop, kind) == expected
    prove_all(shop)


def test_what_an_alias_used_long_before_it_was_attached_is_late_usage(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "usage")
    shop.use("ada-laptop", 9, JANUARY)
    shop.go(APRIL + HOUR)
    assert totals(shop) == {}
    with shop.engine.transaction(shop.workspace) as tx:
        attach_alias(tx, "ada", "ada-laptop")
    shop.go(MAY + HOUR)
    assert totals(shop) == {4: 9}
    prove_all(shop)


def test_a_contract_may_refuse_usage_of_billed_periods(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "reject")
    shop.sell("bo", "usage")
    shop.go(FEBRUARY)  # the period has ended; its grace has not
    assert ingest(shop, call("ada", 7, JANUARY + DAY, name="in-grace"))[0].status == "accepted"
    shop.go(FEBRUARY + HOUR)
    late = call("ada", 5, FEBRUARY - HOUR, name="late")
    assert ingest(
        shop,
        late,
        call("ada", 1, FEBRUARY, name="in-time"),
        call("bo", 5, FEBRUARY - HOUR, name="other"),
        call("ada", 7, JANUARY + DAY, name="in-grace"),
        call("ada", 8, JANUARY + DAY, name="in-grace"),
        call("ada", 5, JANUARY + DAY, source=HISTORY),
        late,
    ) == [
        CLOSED,
        ItemResult("accepted"),
        ItemResult("accepted"),
        ItemResult("duplicate"),
        *ingest(shop, call("ada", 8, JANUARY + DAY, name="in-grace")),
        CLOSED,
        CLOSED,
    ]
    shop.go(MARCH + HOUR)
    assert totals(shop) == {1: 7, 2: 1 + 5}  # ada: 7 in January, 1 in February; bo's 5 of January came late
    prove_all(shop)


def test_corrections_and_aliases_leave_closed_usage_alone(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "reject")
    shop.use("ada", 7, JANUARY, name="billed")
    shop.go(FEBRUARY + HOUR)
    now = FEBRUARY + HOUR
    shop.use("ada", 1, FEBRUARY, name="open")
    results = ingest(
        shop,
        void("billed", now),
        amend("more", "billed", now, data={"n": 9, "model": "a"}),
        amend("back", "open", now, time=write_instant(JANUARY + DAY)),
        amend("fine", "open", now, data={"n": 2, "model": "a"}),
        amend("early", "to-come", now, time=write_instant(JANUARY + DAY)),
    )
    assert [one.status for one in results] == ["rejected"] * 3 + ["accepted"] * 2
    assert set(results[:3]) == {CLOSED}
    # The event that an accepted amend would bring into the closed period is refused in its place.
    assert ingest(shop, call("ada", 4, FEBRUARY, name="to-come")) == [CLOSED]
    with shop.engine.transaction(shop.workspace) as tx:
        attach_alias(tx, "ada", "ada-laptop")
    assert ingest(shop, call("ada-laptop", 4, JANUARY + DAY)) == [CLOSED]
    shop.go(MARCH + HOUR)
    assert totals(shop) == {1: 7, 2: 2}
    prove_all(shop)


def test_whoever_a_contract_pays_for_adds_nothing_to_its_billed_periods_either(market: Shops) -> None:
    shop = market.open()
    shop.sell("parent", "reject")
    with shop.engine.transaction(shop.workspace) as tx:
        for child in ("child", "joined-later"):
            create_customer(tx, key=child, name=child, currency="USD")
        set_account(tx, Account("child", parent="parent", payer="parent", tiers="pooled"))
    shop.use("child", 3, JANUARY)
    shop.go(FEBRUARY + HOUR)
    assert totals(shop) == {1: 3}
    assert ingest(shop, call("child", 4, JANUARY + DAY)) == [CLOSED]
    with shop.engine.transaction(shop.workspace) as tx:
        joined = Account("joined-later", parent="parent", payer="parent", tiers="pooled")
        set_account(tx, joined, since=FEBRUARY)
    shop.go(MARCH + HOUR)
    results = ingest(
        shop, call("joined-later", 4, FEBRUARY - HOUR), call("joined-later", 4, FEBRUARY + 20 * DAY)
    )
    assert [one.status for one in results] == ["accepted", "rejected"]


def test_every_accepted_event_is_billed_while_closing_races_with_ingest(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "reject")
    shop.go(FEBRUARY)
    accepted: list[int] = []
    stop = threading.Event()

    def send(first: int) -> None:
        number = first
        while not stop.is_set() and number < first + 2000:
            sent = [call("ada", 1, JANUARY + DAY, name=f"{number + place}") for place in range(5)]
            accepted.append(sum(one.status == "accepted" for one in ingest(shop, *sent)))
            number += 5

    threads = [threading.Thread(target=send, args=(start,)) for start in (0, 10_000, 20_000)]
    for thread in threads:
        thread.start()
    while not accepted:
        pass
    shop.go(FEBRUARY + HOUR)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert totals(shop) == {1: sum(accepted)}
    prove_all(shop)
