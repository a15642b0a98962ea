"""Money through a provider that loses answers, takes the wrong amount, repeats itself or dies beside us: taken once."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.engine.billing import JANUARY, Shop, Shops, shops
from tests.integrations.stripe_stand_in import SECRET, StandIn, running, signed
from valorem.core.errors import ConflictError, UnauthorizedError, UnprocessableError, ValoremError
from valorem.core.payments.provider import PaymentProvider
from valorem.engine.collecting import collect
from valorem.engine.credit_notes import NoteRequest, issue_credit_note
from valorem.engine.engine import Engine
from valorem.engine.invoices import get_invoice
from valorem.engine.payments import (
    Received,
    ask_for_payment,
    get_payment,
    list_payments,
    record_payment,
    take_webhook,
)
from valorem.engine.settling import Standing, standings
from valorem.store.postgres.payments import PaymentRow

pytest.importorskip("stripe", reason="needs the extra `payments`")

from valorem.integrations.stripe import StripePayments

HOUR = timedelta(hours=1)
START = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass
class Till:
    """A shop with one open invoice of 100, and Stripe's stand-in."""

    shop: Shop
    engine: Engine
    state: StandIn
    clock: list[datetime]

    def ask(self) -> PaymentRow:
        with self.engine.transaction(self.shop.workspace) as tx:
            return ask_for_payment(tx, "INV-000001", self.engine.payments["stripe"])

    def collect(self, rounds: int = 1) -> None:
        for _ in range(rounds):
            collect(self.engine, self.shop.workspace)
            self.clock[0] += HOUR

    def payment(self) -> PaymentRow:
        with self.engine.transaction(self.shop.workspace) as tx:
            return list_payments(tx, invoice="INV-000001")[-1]

    def stands(self) -> Standing:
        with self.engine.transaction(self.shop.workspace) as tx:
            return standings(tx, [get_invoice(tx, "INV-000001").header])[0]

    def hook(self, object_id: str, event: str) -> str | None:
        body = self.state.event("payment_intent.succeeded", object_id, event)
        headers = signed(body, int(self.clock[0].timestamp()))
        return take_webhook(self.engine, self.shop.workspace, self.engine.payments["stripe"], body, headers)


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


@pytest.fixture
def till(market: Shops) -> Iterator[Till]:
    shop = market.open()
    shop.sell("ada", "team")
    shop.go(JANUARY + HOUR)
    with running() as (state, address):
        clock = [START]
        provider: PaymentProvider = StripePayments("sk_test_1", [SECRET], api_base=address, timeout_s=1)
        engine = replace(shop.engine, payments={"stripe": provider}, real_now=lambda: clock[0])
        yield Till(shop, engine, state, clock)


def taken(till: Till) -> int:
    return sum(charge["amount_received"] for charge in till.state.charges())


@pytest.mark.parametrize(
    "script",
    [
        ["ok", "ok"],
        ["ok", "lost"],
        ["ok", "unheard"],
        ["ok", "broken"],
        ["lost", "unheard", "ok", "broken"],
        ["ok", "pending"],
    ],
    ids=" ".join,
)
def test_whatever_is_lost_the_money_is_taken_once(till: Till, script: list[str]) -> None:
    till.state.script = list(script)
    asked = till.ask()
    till.collect(rounds=8)
    if "pending" in script:
        assert till.stands().life.paid == 0
        for each in till.state.objects.values():
            if each["object"] == "payment_intent":
                each["status"] = "succeeded"
        till.collect(rounds=3)
    row = till.payment()
    assert (row.payment.id, row.payment.state, row.counted) == (asked.payment.id, "succeeded", True)
    assert taken(till) == 10_000
    assert (till.stands().status, till.stands().life.paid) == ("paid", 100)


def test_a_worker_killed_between_the_charge_and_its_record_asks_and_does_not_charge_again(till: Till) -> None:
    class KilledError(BaseException):
        pass

    class Dying:
        """Charges, and the process is gone before it can write that down."""

        def __init__(self, provider: PaymentProvider) -> None:
            self._provider = provider

        def __getattr__(self, name: str) -> object:
            return getattr(self._provider, name)

        def charge(self, charge: object) -> object:
            self._provider.charge(charge)  # type: ignore[arg-type]
            raise KilledError

    till.ask()
    sound = till.engine
    till.engine = replace(sound, payments={"stripe": Dying(sound.payments["stripe"])})  # type: ignore[dict-item]
    with pytest.raises(KilledError):
        till.collect()
    assert (till.payment().payment.state, till.stands().life.paid) == ("pending", 0)
    till.engine = sound
    charges = [path for path, _ in till.state.calls if path == "/v1/payment_intents"]
    till.clock[0] += HOUR
    till.collect(rounds=2)
    assert [path for path, _ in till.state.calls if path == "/v1/payment_intents"] == charges
    assert (till.payment().payment.state, taken(till), till.stands().status) == ("succeeded", 10_000, "paid")


def test_money_that_is_not_what_was_asked_waits_for_a_person(till: Till) -> None:
    till.state.script = ["ok", "short"]
    till.ask()
    till.collect(rounds=3)
    assert (till.payment().payment.state, till.stands().life.paid) == ("parked", 0)
    with pytest.raises(ConflictError):
        till.ask()


def test_a_declined_card_fails_and_may_be_tried_again(till: Till) -> None:
    till.state.script = ["ok", "declined", "ok"]
    till.ask()
    till.collect(rounds=2)
    assert till.payment().payment.state == "failed"
    till.ask()
    till.collect(rounds=2)
    assert (till.stands().status, taken(till)) == ("paid", 10_000)


def test_there_is_one_attempt_at_a_time_and_none_once_nothing_is_owed(till: Till) -> None:
    till.ask()
    with pytest.raises(ConflictError):
        till.ask()
    with till.engine.transaction(till.shop.workspace) as tx:
        record_payment(tx, "INV-000001", Received())
    till.collect(rounds=3)
    assert till.state.charges() == []
    with pytest.raises(UnprocessableError):
        till.ask()


def test_webhooks_come_twice_late_and_in_any_order(till: Till) -> None:
    till.state.script = ["ok", "pending"]
    till.ask()
    till.collect()
    (intent,) = (name for name, each in till.state.objects.items() if each["object"] == "payment_intent")
    till.state.objects[intent]["status"] = "succeeded"
    events = [f"evt_{number}" for number in (1, 2, 3)] * 2
    random.Random(7).shuffle(events)
    assert {till.hook(intent, event) for event in events} == {till.payment().payment.id}
    till.collect(rounds=2)
    assert (till.stands().status, till.stands().life.paid) == ("paid", 100)
    body = json.dumps({"id": "evt", "type": "payment_intent.succeeded"}).encode()
    with pytest.raises(UnauthorizedError):
        take_webhook(
            till.engine,
            till.shop.workspace,
            till.engine.payments["stripe"],
            body,
            signed(body, int(till.clock[0].timestamp()), "whsec_wrong"),
        )


def test_a_note_sends_money_back_once(till: Till) -> None:
    till.ask()
    till.collect(rounds=2)
    with till.engine.transaction(till.shop.workspace) as tx:
        issue_credit_note(tx, "INV-000001", NoteRequest("outage", {"1": Decimal(30)}, Decimal(30)))
        with pytest.raises(ValoremError):
            issue_credit_note(tx, "INV-000001", NoteRequest("more", {"1": Decimal(71)}, Decimal(71)))
    for each in till.state.objects.values():
        each["currency"] = "usd"
    till.state.script = ["lost"]
    till.collect(rounds=1)
    for each in till.state.objects.values():
        each["currency"] = "usd"  # the stand-in knows euros alone
    till.collect(rounds=6)
    refunds = [each for each in till.state.objects.values() if each["object"] == "refund"]
    assert [int(each["amount"]) for each in refunds] == [3000]
    with till.engine.transaction(till.shop.workspace) as tx:
        rows = list_payments(tx, invoice="INV-000001")
    assert [row.payment.state for row in rows if row.payment.refunds] == ["succeeded"]
    assert (till.stands().life.paid, till.stands().life.offset, till.stands().status) == (70, 30, "paid")


def test_two_workers_at_once_take_it_once(till: Till) -> None:
    import threading

    till.ask()
    threads = [threading.Thread(target=collect, args=(till.engine, till.shop.workspace)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    till.collect(rounds=3)
    assert (taken(till), till.stands().life.paid) == (10_000, 100)
    with till.engine.transaction(till.shop.workspace) as tx:
        assert get_payment(tx, till.payment().payment.id).counted
