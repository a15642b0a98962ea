"""Final invoices to their end: taxes, payments, notes, voiding; each number once, however many ask at once."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.billing import CATALOG, JANUARY, Shop, Shops, shops
from valorem.core.billing.parties import BillingDetails, BillingSettings
from valorem.core.errors import ConflictError, UnprocessableError, ValoremError
from valorem.core.payments.payment import Report
from valorem.engine import payments
from valorem.engine.collecting import charge_open
from valorem.engine.credit_notes import (
    NoteRequest,
    issue_credit_note,
    list_credit_notes,
    preview_credit_note,
)
from valorem.engine.customer_balances import get_balances, pay_from_balance
from valorem.engine.customers import update_customer
from valorem.engine.dunning import send_reminders
from valorem.engine.invoices import get_invoice, verify_invoice
from valorem.engine.one_off import WrittenInvoice, WrittenLine, write_invoice
from valorem.engine.payments import Received, list_payments, note_outcome, record_payment
from valorem.engine.settings import set_billing_settings
from valorem.engine.settling import (
    Standing,
    list_standings,
    reissue,
    standings,
    take_back,
    void,
    write_off,
)
from valorem.store.postgres import workspaces

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TAXED = {
    **CATALOG,
    "taxes/vat.yaml": """
tax: vat
name: VAT
rates:
  - {country: DE, share: 0.19}
  - {country: DE, product: books, share: 0.07}
  - {country: FR, share: 0.20}
""",
    "plans/team.yaml": CATALOG["plans/team.yaml"] + "terms: {net_days: 14}\ntax: {codes: {seat: books}}\n",
}
BERLIN = {"lines": ["Hauptstraße 1"], "postcode": "10115", "city": "Berlin", "country": "DE"}
SELLER = BillingSettings.model_validate(
    {"seller": {"name": "Metered GmbH", "address": BERLIN, "tax_id": "DE123456789"}}
)


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


def taxed_shop(market: Shops, **billing: Any) -> Shop:
    """A shop in Berlin whose customer ada has one invoice of January: a base of 100 and two seats at 30."""
    shop = market.open(TAXED)
    with shop.engine.transaction(shop.workspace) as tx:
        set_billing_settings(tx, SELLER)
    shop.sell("ada", "team", seats={"seat": Decimal(2)})
    with shop.engine.transaction(shop.workspace) as tx:
        update_customer(tx, "ada", billing=BillingDetails.model_validate(billing))
    shop.go(JANUARY + HOUR)
    return shop


def stands(shop: Shop, number: str = "INV-000001") -> Standing:
    with shop.engine.transaction(shop.workspace) as tx:
        return standings(tx, [get_invoice(tx, number).header])[0]


def balance(shop: Shop) -> Decimal:
    with shop.engine.transaction(shop.workspace) as tx:
        return sum((each.amount for each in get_balances(tx, "ada")), Decimal(0))


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """What each of several threads got, an error included."""
    results: list[object] = [None] * count
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = act(number)
        except ValoremError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_an_invoice_carries_its_taxes_and_its_due_date_and_proves_itself(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        stored = get_invoice(tx, "INV-000001")
        assert verify_invoice(tx, "INV-000001").same
    assert stored.settled is not None
    settlement = stored.settled.settlement
    assert [(str(each.rate.share), each.base, each.amount) for each in settlement.taxed.totals] == [
        ("0.19", 100, Decimal("19.00")),
        ("0.07", 60, Decimal("4.20")),
    ]
    assert stored.header.total == settlement.total == Decimal("183.20")
    assert stored.settled.due_on.isoformat() == "2026-01-15"
    assert sum(line.amount for line in stored.invoice.lines) + settlement.taxed.tax == stored.header.total


def test_a_business_abroad_owes_the_tax_itself_and_an_exempt_one_none(market: Shops) -> None:
    paris = {"lines": ["1 Rue A"], "postcode": "75001", "city": "Paris", "country": "FR"}
    for billing, reason in (
        ({"address": paris, "tax_id": "FR12345678901"}, "Reverse charge"),
        ({"exempt_reason": "certificate 7"}, "certificate 7"),
    ):
        shop = taxed_shop(market, **billing)
        with shop.engine.transaction(shop.workspace) as tx:
            settled = get_invoice(tx, "INV-000001").settled
        assert settled is not None
        assert settled.settlement.taxed.tax == 0
        assert {each.rate.reason for each in settled.settlement.taxed.totals} == {reason}


def test_rates_that_change_later_leave_the_proof_as_it_was(market: Shops) -> None:
    shop = taxed_shop(market)
    from valorem.engine.catalog import apply_catalog

    dearer = {**TAXED, "taxes/vat.yaml": TAXED["taxes/vat.yaml"].replace("0.19", "0.25")}
    with shop.engine.transaction(shop.workspace) as tx:
        apply_catalog(tx, dearer, message="m", author="a")
        update_customer(tx, "ada", billing=BillingDetails(legal_name="Ada Ltd"))
        assert verify_invoice(tx, "INV-000001").same


def test_what_is_final_cannot_be_changed_by_the_app(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        issue_credit_note(tx, "INV-000001", NoteRequest("goodwill", {"1": Decimal(10)}))
    for statement in (
        "UPDATE invoice SET total = 1 WHERE number = 'INV-000001'",
        "UPDATE invoice SET number = 'X' WHERE number = 'INV-000001'",
        "UPDATE invoice SET status = 'draft' WHERE number = 'INV-000001'",
        "UPDATE invoice SET credited = 1000000 WHERE number = 'INV-000001'",
        "DELETE FROM invoice WHERE number = 'INV-000001'",
        "UPDATE invoice_document SET number = 'X'",
        "DELETE FROM invoice_document",
        "UPDATE credit_note SET total = 1",
        "DELETE FROM credit_note",
        "UPDATE balance_entry SET amount = 1",
        "DELETE FROM balance_entry",
        "UPDATE payment_report SET amount = 1",
        "DELETE FROM reminder",
    ):
        with pytest.raises(psycopg.Error), shop.engine.transaction(shop.workspace) as tx:
            tx.connection.execute(statement)


def test_it_is_open_then_overdue_then_paid(market: Shops) -> None:
    shop = taxed_shop(market)
    assert stands(shop).status == "finalised"
    with shop.engine.transaction(shop.workspace) as tx:
        record_payment(tx, "INV-000001", Received(Decimal(100), "bank_transfer", "T1"))
        with pytest.raises(ConflictError):
            record_payment(tx, "INV-000001", Received(Decimal(100), "bank_transfer", "T1"))
    assert stands(shop).status == "partially_paid"
    shop.go(datetime(2026, 1, 16, tzinfo=UTC))
    assert stands(shop).status == "overdue"
    with shop.engine.transaction(shop.workspace) as tx:
        assert [each.header.number for each in list_standings(tx, status="overdue")] == ["INV-000001"]
        record_payment(tx, "INV-000001", Received())
        assert list_standings(tx, status="overdue") == []
        with pytest.raises(UnprocessableError):
            record_payment(tx, "INV-000001", Received(Decimal(1)))
    assert (stands(shop).status, stands(shop).life.paid) == ("paid", Decimal("183.20"))


def test_who_pays_too_much_has_the_rest_on_the_next_invoice(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        record_payment(tx, "INV-000001", Received(Decimal(200)))
    assert balance(shop) == Decimal("16.80")
    shop.go(FEBRUARY + HOUR)
    assert balance(shop) == 0
    second = stands(shop, "INV-000002")
    assert (second.life.from_balance, second.life.owed) == (Decimal("16.80"), Decimal("166.40"))
    with shop.engine.transaction(shop.workspace) as tx:
        assert verify_invoice(tx, "INV-000002").same


def test_of_many_payments_at_once_one_counts(market: Shops) -> None:
    shop = taxed_shop(market)

    def pay(_: int) -> object:
        with shop.engine.transaction(shop.workspace) as tx:
            return record_payment(tx, "INV-000001", Received())

    results = at_once(8, pay)
    assert sum(not isinstance(each, ValoremError) for each in results) == 1
    assert stands(shop).life.paid == Decimal("183.20")
    assert balance(shop) == 0


def test_notes_written_at_once_never_exceed_the_invoice(market: Shops) -> None:
    shop = taxed_shop(market)

    def credit(_: int) -> object:
        with shop.engine.transaction(shop.workspace) as tx:
            return issue_credit_note(tx, "INV-000001", NoteRequest("late", {"1": Decimal(30)}))

    results = at_once(6, credit)
    assert sum(not isinstance(each, ValoremError) for each in results) == 3  # of 100 on the line
    with shop.engine.transaction(shop.workspace) as tx:
        rest = issue_credit_note(tx, "INV-000001", NoteRequest("the rest"))
        notes = list_credit_notes(tx, invoice="INV-000001")
        with pytest.raises(UnprocessableError):
            issue_credit_note(tx, "INV-000001", NoteRequest("more"))
    assert rest.note.total == Decimal("183.20") - 3 * Decimal("35.70")
    assert sum(each.note.total for each in notes) == stands(shop).life.credited == Decimal("183.20")
    assert sorted(each.row.number for each in notes) == [f"CRN-00000{n}" for n in range(1, 5)]
    assert stands(shop).status == "paid"


def test_a_note_is_previewed_as_it_is_issued_and_its_money_goes_where_it_belongs(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        record_payment(tx, "INV-000001", Received())
        asked = NoteRequest("outage", {"1": Decimal(50)}, refund=Decimal(20))
        preview = preview_credit_note(tx, "INV-000001", asked)
        assert list_credit_notes(tx, invoice="INV-000001") == []
        issued = issue_credit_note(tx, "INV-000001", asked)
        assert issued.note == preview
        refund = next(row for row in list_payments(tx, invoice="INV-000001") if row.payment.refunds)
        note_outcome(tx, refund.payment.id, "succeeded", "bank 7")
        note_outcome(tx, refund.payment.id, "succeeded", "bank 7")
    assert (preview.total, preview.refund, preview.to_balance) == (Decimal("59.50"), 20, Decimal("39.50"))
    assert balance(shop) == Decimal("39.50")
    assert stands(shop).life.paid == Decimal("163.20")
    assert stands(shop).status == "paid"


def test_a_void_invoice_owes_nothing_and_its_reissue_takes_its_place(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        void(tx, "INV-000001", reason="wrong address")
        update_customer(tx, "ada", billing=BillingDetails(legal_name="Ada Ltd"))
        draft = reissue(tx, "INV-000001")
        with pytest.raises(ConflictError):
            reissue(tx, "INV-000001")
        with pytest.raises(UnprocessableError):
            record_payment(tx, "INV-000001", Received())
    assert stands(shop).status == "void"
    shop.go(JANUARY + 2 * HOUR)
    again = stands(shop, "INV-000002")
    assert (again.header.id, again.life.replaces, again.life.total) == (
        draft.id,
        "INV-000001",
        Decimal("183.20"),
    )
    with shop.engine.transaction(shop.workspace) as tx:
        settled = get_invoice(tx, "INV-000002").settled
        assert settled is not None
        assert (settled.buyer_name, settled.replaces) == ("Ada Ltd", "INV-000001")
        assert verify_invoice(tx, "INV-000001").same
        assert verify_invoice(tx, "INV-000002").same
    shop.go(FEBRUARY + HOUR)
    assert sum(each.life.total for each in _live(shop)) == 2 * Decimal("183.20")


def _live(shop: Shop) -> list[Standing]:
    with shop.engine.transaction(shop.workspace) as tx:
        return [each for each in list_standings(tx, limit=1000) if each.status != "void"]


def test_money_that_comes_after_a_write_off_still_counts(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        assert write_off(tx, "INV-000001", reason="insolvent").status == "uncollectible"
        record_payment(tx, "INV-000001", Received())
    assert stands(shop).status == "paid"


def test_an_invoice_by_hand_is_final_taxed_and_proves_itself(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        lines = [
            WrittenLine("Workshop", Decimal("950.50"), Decimal(2)),
            WrittenLine("Book", Decimal(10), tax_code="books"),
        ]
        header = write_invoice(tx, WrittenInvoice("ada", lines, purchase_order="PO 7"))
        stored = get_invoice(tx, header.id)
        assert verify_invoice(tx, header.id).same
    assert header.total == Decimal("1911.00") + Decimal("361.19") + Decimal("0.70")
    assert stored.invoice.purchase_order == "PO 7"
    assert header.number == "INV-000002"


def test_the_balance_pays_an_invoice_that_was_final_before(market: Shops) -> None:
    shop = taxed_shop(market)
    with shop.engine.transaction(shop.workspace) as tx:
        second = write_invoice(tx, WrittenInvoice("ada", [WrittenLine("Setup", Decimal(10))]))
        record_payment(tx, "INV-000001", Received(Decimal("193.20")))
        assert second.number is not None
        pay_from_balance(tx, second.number)
    assert balance(shop) == 0
    assert stands(shop, "INV-000002").life.owed == Decimal("1.90")


def test_each_reminder_goes_out_once_and_none_when_nothing_is_owed(market: Shops) -> None:
    shop = taxed_shop(market)
    sent = []
    for day in (12, 18, 19, 25):
        with shop.engine.transaction(shop.workspace) as tx:  # the time alone: nothing is done on the way
            workspaces.move_clock(tx.connection, shop.workspace, datetime(2026, 1, day, tzinfo=UTC))
        sent.append(sum(at_once(3, lambda _: send_reminders(shop.engine, shop.workspace))))  # type: ignore[arg-type]
    assert sent == [1, 1, 0, 1]
    with shop.engine.transaction(shop.workspace) as tx:
        record_payment(tx, "INV-000001", Received())
        rows = tx.connection.execute(
            "SELECT payload ->> 'reminder' AS key FROM outbox WHERE topic = 'invoice.reminder' ORDER BY created_at"
        ).fetchall()
    assert [row["key"] for row in rows] == ["upcoming", "first", "second"]
    shop.go(datetime(2026, 1, 31, tzinfo=UTC))
    assert send_reminders(shop.engine, shop.workspace) == 0


def test_a_clock_that_is_moved_far_stops_for_every_reminder_and_what_it_does(market: Shops) -> None:
    shop = taxed_shop(market)
    steps: list[dict[str, Any]] = [
        {"key": "early", "after_days": -3},
        {"key": "late", "after_days": 5},
        {"key": "given_up", "after_days": 30, "action": "write_off"},
    ]
    with shop.engine.transaction(shop.workspace) as tx:
        seller = SELLER.model_dump(mode="json") | {"dunning": {"reminders": steps}}
        set_billing_settings(tx, BillingSettings.model_validate(seller))
        due = stands(shop).life.due
    assert due is not None
    shop.go(datetime(2026, 3, 1, tzinfo=UTC))
    with shop.engine.transaction(shop.workspace) as tx:
        rows = tx.connection.execute(
            "SELECT payload ->> 'reminder' AS key, created_at FROM outbox WHERE topic = 'invoice.reminder'"
            " AND payload ->> 'number' = 'INV-000001' ORDER BY created_at"
        ).fetchall()
    berlin = ZoneInfo("Europe/Berlin")
    assert [(row["key"], row["created_at"].astimezone(berlin).date()) for row in rows] == [
        (each["key"], due + timedelta(days=each["after_days"])) for each in steps
    ]
    assert stands(shop).status == "uncollectible"


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["pay", "note", "refund", "balance", "void", "write_off"]), st.integers(1, 12000)
        ),
        max_size=8,
    )
)
def test_whatever_happens_the_books_balance(  # noqa: C901 - one branch for each thing that can happen
    market: Shops, steps: list[tuple[str, int]]
) -> None:
    """Money in = what invoices hold + what the customer is owed + what went back."""
    shop = taxed_shop(market)
    received = Decimal(0)
    for step, cents in steps:
        amount = Decimal(cents) / 100
        try:
            with shop.engine.transaction(shop.workspace) as tx:
                match step:
                    case "pay":
                        record_payment(tx, "INV-000001", Received(amount))
                        received += amount
                    case "note":
                        issue_credit_note(tx, "INV-000001", NoteRequest("n", {"1": amount}))
                    case "refund":
                        issue_credit_note(tx, "INV-000001", NoteRequest("n", {"2": amount}, refund=amount))
                        for row in list_payments(tx, invoice="INV-000001"):
                            if row.payment.refunds and row.payment.state == "created":
                                note_outcome(tx, row.payment.id, "succeeded", None)
                                received -= row.payment.amount
                    case "balance":
                        pay_from_balance(tx, "INV-000001")
                    case "void":
                        void(tx, "INV-000001", reason="r")
                    case "write_off":
                        write_off(tx, "INV-000001", reason="r")
        except ValoremError:
            continue
    life = stands(shop).life
    with shop.engine.transaction(shop.workspace) as tx:
        noted = sum((each.note.total for each in list_credit_notes(tx, invoice="INV-000001")), Decimal(0))
    assert noted == life.credited <= life.total == Decimal("183.20")
    assert life.offset <= life.credited
    assert life.paid == received
    assert balance(shop) >= 0
    if life.stage != "void":
        # every cent is owed, paid or credited; what was paid or credited twice is the customer's
        to_balance = life.paid + life.from_balance + life.credited - life.total + max(Decimal(0), life.owed)
        assert balance(shop) + life.from_balance == to_balance


def test_a_void_invoice_is_billed_again_unless_it_is_given_up(market: Shops) -> None:
    shop = market.open()
    contract = shop.sell("void_ada", "team")
    shop.go(JANUARY)
    (first,) = shop.headers(contract=contract.id)
    with shop.engine.transaction(shop.workspace) as tx:
        take_back(tx, first.id, reason="wrong address")
    shop.go(JANUARY)
    again = shop.headers(contract=contract.id)[1]
    assert (again.status, again.total) == ("finalised", first.total)
    with shop.engine.transaction(shop.workspace) as tx:
        take_back(tx, again.id, reason="a gift", then="forgive")
    shop.go(datetime(2026, 2, 2, tzinfo=UTC))
    kinds = [each.status for each in shop.headers(contract=contract.id)]
    assert kinds == ["void", "void", "finalised"]


def test_reminders_pause_for_a_customer_and_go_on_with_the_latest(market: Shops) -> None:
    shop = market.open()
    shop.sell("late_ada", "team")
    shop.go(JANUARY)
    paused = BillingDetails(reminders="paused")
    with shop.engine.transaction(shop.workspace) as tx:
        update_customer(tx, "late_ada", billing=paused)
    shop.go(datetime(2026, 3, 20, tzinfo=UTC))
    assert send_reminders(shop.engine, shop.workspace) == 0
    with shop.engine.transaction(shop.workspace) as tx:
        update_customer(tx, "late_ada", billing=BillingDetails())
    assert send_reminders(shop.engine, shop.workspace) > 0


def test_an_invoice_is_charged_by_itself_once_and_a_parked_payment_is_resolved(market: Shops) -> None:
    class Card:
        name = "card"

    shop = market.open()
    contract = shop.sell("auto_ada", "team")
    engine = replace(shop.engine, payments={"card": Card()})  # type: ignore[dict-item]  # asked by nobody here
    with engine.transaction(shop.workspace) as tx:
        update_customer(tx, "auto_ada", billing=BillingDetails(charge="card"))
    shop.go(JANUARY)
    assert charge_open(engine, shop.workspace) == 1
    assert charge_open(engine, shop.workspace) == 0
    with engine.transaction(shop.workspace) as tx:
        (asked,) = payments.list_payments(tx, customer="auto_ada")
        report = Report(asked.payment.id, "ch_1", "succeeded", Decimal(90), "USD")
        payments.hear(tx, asked.payment.id, [report])
    with engine.transaction(shop.workspace) as tx:
        (parked,) = payments.list_payments(tx, parked=True)
        payments.resolve(tx, parked.payment.id, accept=True, reason="the bank kept ten")
        assert payments.list_payments(tx, parked=True) == []
        (invoice,) = list_standings(tx, contract=contract.id)
    assert (invoice.life.paid, invoice.life.owed) == (Decimal(90), Decimal(10))
