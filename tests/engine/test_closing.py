"""Closing: one boundary gives one invoice with one number, whatever runs beside it or dies in the middle."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.billing import JANUARY, Shop, Shops, amend, call, shops, void
from valorem.engine.closing import CloseReport, close_alone, close_due
from valorem.engine.contract_changes import set_seats
from valorem.engine.engine import Engine
from valorem.engine.invoices import explain_line, get_invoice, preview_invoice, verify_invoice
from valorem.store.postgres import workspaces

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def test_a_month_is_drafted_at_its_end_and_final_after_its_grace(market: Shops) -> None:
    shop = market.open()
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    shop.go(JANUARY + timedelta(days=20))
    shop.use("ada", 50, JANUARY + timedelta(days=3))
    shop.go(FEBRUARY)
    assert [(each.status, each.number) for each in shop.headers()] == [
        ("finalised", "INV-000001"),
        ("draft", None),
    ]
    with shop.engine.transaction(shop.workspace) as tx:
        draft = get_invoice(tx, shop.headers(status="draft")[0].id)
    assert draft.digest is None
    shop.go(FEBRUARY + HOUR)
    final = shop.documents()[-1]
    assert final == draft.invoice
    # 40 tokens past the 10 included at 2, a peak of 50 at 0.5, and February's base and two seats ahead
    assert final.total == 40 * 2 + 25 + 100 + 60
    assert final.contract == contract.id


def test_what_the_preview_says_is_what_the_draft_says(market: Shops) -> None:
    shop = market.open()
    contract = shop.sell("ada", "team")
    shop.go(FEBRUARY - timedelta(minutes=15))
    shop.use("ada", 120, JANUARY + timedelta(days=9))
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        preview = preview_invoice(tx, contract.id)
    shop.go(FEBRUARY + HOUR)
    assert shop.documents()[-1].lines == preview.so_far.lines


def test_while_a_draft_waits_the_next_preview_does_not_show_its_money_again(market: Shops) -> None:
    shop = market.open()
    contract = shop.sell("ada", "team")
    shop.use("ada", 120, JANUARY)
    shop.go(FEBRUARY + timedelta(minutes=15))
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        preview = preview_invoice(tx, contract.id)
    assert preview.so_far.total == 100  # March's base alone


def test_late_usage_is_billed_by_what_it_changes(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "team")
    shop.go(JANUARY + timedelta(days=30))
    shop.use("ada", 100, JANUARY + timedelta(days=2))  # 90 at 2
    shop.go(FEBRUARY + HOUR)
    shop.use("ada", 20, JANUARY + timedelta(days=4))  # fills the first tier, 10 at 2, then 10 at 1
    shop.go(MARCH + HOUR)
    late = [line for line in shop.documents()[-1].lines if line.timing == "adjustment"]
    assert sum(line.amount for line in late) == 10 * 2 + 10 * 1
    assert shop.billed() == 3 * 100 + (100 * 2 + 10 * 1) + Decimal(50)


def test_voiding_what_was_invoiced_gives_the_money_back(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "usage")
    shop.go(JANUARY + timedelta(days=20))
    shop.use("ada", 7, JANUARY + timedelta(days=2), name="mistake", model="b")
    shop.use("ada", 1, JANUARY + timedelta(days=16), model="b")
    shop.go(FEBRUARY + HOUR)
    assert shop.billed() == 7 * 3 + 5
    shop.ingestor.ingest(shop.workspace, [void("mistake", FEBRUARY + HOUR)])
    shop.go(MARCH + HOUR)
    assert shop.billed() == 5
    assert all(_same(shop))


def test_late_usage_may_stand_on_a_note_of_its_own(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "noted")
    shop.use("ada", 5, JANUARY)
    shop.go(FEBRUARY + HOUR)
    shop.use("ada", 2, JANUARY + HOUR)
    shop.go(MARCH + HOUR)
    assert [(each.kind, each.total) for each in shop.headers()] == [
        ("period", Decimal(5)),
        ("note", Decimal(2)),
    ]
    assert all(_same(shop))


def test_seats_changed_at_the_border_are_billed_although_the_fee_ahead_was_not(market: Shops) -> None:
    shop = market.open()
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    shop.go(FEBRUARY + HOUR)
    with shop.engine.transaction(shop.workspace) as tx:
        set_seats(tx, contract.id, key="seat", quantity=Decimal(5), since=FEBRUARY)
    shop.go(MARCH + HOUR)
    assert shop.billed() == 3 * 100 + (2 + 5 + 5) * 30


def test_a_period_in_which_nothing_is_billed_gives_no_invoice_and_takes_no_number(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "usage")
    report = shop.go(MARCH + HOUR).closed
    assert (report.finalised, report.empty) == (0, 3)
    assert shop.headers() == []


def test_an_explanation_leads_to_exactly_the_events_of_the_line(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "usage")
    shop.go(JANUARY + timedelta(days=20))
    for day in range(8):
        shop.use("ada", day + 1, JANUARY + timedelta(days=day), model="b" if day % 2 else "a")
    shop.go(FEBRUARY + HOUR)
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        stored = get_invoice(tx, shop.headers(status="finalised")[0].id)
        for number, line in enumerate(stored.invoice.lines, start=1):
            found, after = Decimal(0), None
            while True:
                page = explain_line(tx, stored.header.id, number, after=after, limit=3).events
                assert page is not None
                found += sum((each.value for each in page.items), Decimal(0))
                if (after := page.next) is None:
                    break
            assert found == line.quantity


def test_an_explanation_names_the_events_that_were_corrected_and_when(market: Shops) -> None:
    shop = market.open()
    shop.sell("ada", "usage")
    shop.go(JANUARY + timedelta(days=20))
    for name, n in [("kept", 1), ("voided", 2), ("amended", 4), ("moved", 8), ("late", 16)]:
        shop.use("ada", n, JANUARY + timedelta(days=1), name=name)
    now = JANUARY + timedelta(days=20)
    corrections = [
        void("voided", now),
        amend("amend-1", "amended", now, data={"n": 5, "model": "a"}, reason="typed wrong"),
        amend("amend-2", "moved", now, data={"n": 8, "model": "b"}),
    ]
    assert {one.status for one in shop.ingestor.ingest(shop.workspace, corrections)} == {"accepted"}
    shop.go(FEBRUARY + HOUR)
    shop.ingestor.ingest(shop.workspace, [void("late", FEBRUARY + HOUR)])
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        stored = get_invoice(tx, shop.headers(status="finalised")[0].id)
        (number,) = [n for n, line in enumerate(stored.invoice.lines, 1) if line.dimensions == {"model": "a"}]
        found = explain_line(tx, stored.header.id, number)
    assert found.events is not None
    # As of the invoice: the event that was voided later is still behind the line, and so the values add up.
    assert {each.event.id: each.value for each in found.events.items} == {"kept": 1, "amended": 5, "late": 16}
    assert sum(each.value for each in found.events.items) == found.line.quantity
    told = {each.sent.id: each for each in found.corrected}
    assert {name: (e.state, e.value_sent, e.value_counted, e.settled) for name, e in told.items()} == {
        "voided": ("voided", 2, 0, True),
        "amended": ("amended", 4, 5, True),
        "moved": ("amended", 8, 0, True),
        "late": ("voided", 16, 0, False),
    }
    assert (told["amended"].by.id, told["amended"].reason) == ("amend-1", "typed wrong")


@pytest.mark.parametrize("close", [close_due, close_alone])
def test_closing_from_many_sides_at_once_gives_one_invoice_and_numbers_without_a_gap(
    market: Shops, close: Callable[[Engine, int], CloseReport]
) -> None:
    shop = market.open()
    for number in range(30):
        shop.sell(f"customer-{number}", "team")
    _set_clock(shop, FEBRUARY + HOUR)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            close(shop.engine, shop.workspace)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    _check_numbers(shop, 60)


USES = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.integers(0, 95),
        st.sampled_from([1, 5, "0.000000000001", "17.25", 60]),
        st.sampled_from(["a", "b"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(uses=USES, data=st.data())
def test_order_splits_and_repeats_of_events_never_change_the_invoice(
    market: Shops, uses: list[tuple[int, int, object, str]], data: st.DataObject
) -> None:
    events = [
        call("ada", n, JANUARY + timedelta(days=day, minutes=15 * quarter), name=f"{place}", model=model)
        for place, (day, quarter, n, model) in enumerate(uses)
    ]
    totals = set()
    for _ in range(2):
        shop = market.open()
        shop.sell("ada", "team")
        _set_clock(shop, FEBRUARY - timedelta(minutes=15))
        order = data.draw(st.permutations([*events, *events[:3]]))
        cut = data.draw(st.integers(0, len(order)))
        for batch in (order[:cut], order[cut:]):
            if batch:
                shop.ingestor.ingest(shop.workspace, batch)
        shop.go(FEBRUARY + HOUR)
        (invoice,) = [each for each in shop.documents() if each.closed is not None]
        totals.add((invoice.total, tuple((line.description, line.amount) for line in invoice.lines)))
        assert all(_same(shop))
    assert len(totals) == 1


def _same(shop: Shop) -> list[bool]:
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        return [verify_invoice(tx, header.id).same for header in shop.headers(status="finalised")]


def _set_clock(shop: Shop, to: datetime) -> None:
    with shop.engine.transaction(shop.workspace) as tx:
        workspaces.move_clock(tx.connection, shop.workspace, to)


def _check_numbers(shop: Shop, expected: int) -> None:
    headers = shop.headers()
    assert len(headers) == len({(each.contract, each.index, each.kind) for each in headers}) == expected
    assert sorted(each.number or "" for each in headers) == [
        f"INV-{number:06d}" for number in range(1, expected + 1)
    ]


BY_EVENT = {
    "meters/latency.yaml": """
meter: latency
event: call
aggregate: percentile
percentile: 95%
value: data.n
""",
    "meters/transfers.yaml": """
meter: transfers
event: call
aggregate: sum
value: data.n
""",
    "plans/events.yaml": """
plan: events
name: What looks at single events
currency: USD
every: month
prices:
  latency: {model: per_unit, amount: 1}
  transfers: {model: percentage, rate: 10%, fixed: 0.5, free_events: 2}
""",
}


def test_what_no_counter_can_keep_is_measured_from_recorded_events(market: Shops) -> None:
    shop = market.open(BY_EVENT)
    shop.sell("ada", "events")
    shop.go(JANUARY + timedelta(days=29))
    for day in range(20):
        shop.use("ada", 100 - day, JANUARY + timedelta(days=day))
    shop.go(FEBRUARY + HOUR)
    (invoice,) = shop.documents()
    amounts = {line.key: Decimal(0) for line in invoice.lines}
    for line in invoice.lines:
        amounts[line.key] += line.amount
    # the 19th smallest of 81 … 100; and all but the first two events (100 and 99) at 10 % and 0.5 each
    assert amounts == {
        "latency": Decimal(99),
        "transfers": sum(range(81, 99)) / Decimal(10) + 18 * Decimal("0.5"),
    }
    assert all(_same(shop))


def test_a_term_renews_by_itself_and_says_so_or_ends_the_contract(market: Shops) -> None:
    shop = market.open()
    runs_on = shop.sell("ada_term", "team", term="1 quarter")
    ends = shop.sell("bob_term", "team", term="1 quarter", renewal="none")
    assert ends.end == datetime(2026, 4, 1, tzinfo=UTC)
    shop.go(datetime(2026, 7, 2, tzinfo=UTC))
    with shop.engine.transaction(shop.workspace) as tx:
        told = tx.connection.execute(
            "SELECT object, payload ->> 'renewed_at' AS at FROM outbox WHERE workspace = %s AND topic = 'contract.renewed'"
            " ORDER BY at",
            (shop.workspace,),
        ).fetchall()
    assert [(row["object"], row["at"][:10]) for row in told] == [
        (runs_on.id, "2026-04-01"),
        (runs_on.id, "2026-07-01"),
    ]
    assert max(each.index for each in shop.headers(contract=ends.id)) == 2  # and no usage to close


def test_c16_a_sandbox_that_is_moved_on_touches_no_other_workspace(market: Shops) -> None:
    moved, beside = market.open(), market.open()
    for shop in (moved, beside):
        shop.sell("ada", "team")
        shop.use("ada", 20, JANUARY)

    def seen(shop: Shop) -> object:
        with shop.engine.transaction(shop.workspace) as tx:
            contracts = tx.connection.execute("SELECT id, next_index, next_at FROM contract").fetchall()
            return tx.now, contracts, shop.headers()

    before, real = seen(beside), beside.engine.real_now()
    moved.go(MARCH + HOUR)
    assert len(moved.headers(status="finalised")) == 3
    assert seen(beside) == before
    assert beside.engine.real_now() == real
