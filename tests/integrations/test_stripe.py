"""Stripe's SDK against a server that times out, repeats itself, loses answers and takes the wrong amount."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from tests.integrations.stripe_stand_in import SECRET, StandIn, running, signed
from valorem.core.errors import UnauthorizedError
from valorem.core.payments.payment import Payment, after_lookup, answer_lost, asked, heard, next_step
from valorem.core.payments.provider import (
    AnswerLostError,
    Charge,
    Payer,
    PaymentProvider,
    ProviderRefusedError,
    RefundRequest,
)

stripe = pytest.importorskip("stripe", reason="needs the extra `payments`")

from valorem.integrations.stripe import StripePayments  # noqa: E402
from valorem.integrations.stripe.amounts import from_stripe, to_stripe  # noqa: E402

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
D = Decimal


@pytest.fixture
def place():
    with running() as (state, address):
        yield state, StripePayments("sk_test_1", [SECRET], api_base=address, timeout_s=1)


def payment(name: str = "pay_1", amount: str = "120.50") -> Payment:
    return Payment(name, "inv_1", "stripe", D(amount), "EUR")


def charge(of: Payment) -> Charge:
    return Charge(of.id, "INV-1", "cus_1", "pm_1", of.amount, of.currency)


def drive(of: Payment, provider: PaymentProvider, rounds: int = 8) -> Payment:
    """What a worker does: ask, look up what is unknown, ask again under the same id where nothing was found."""
    now = NOW
    for _ in range(rounds):
        step = next_step(of, now)
        if step == "ask":
            of, step = after_lookup(of, provider.lookup(of.id, of.reference))
        if step == "charge":
            of = asked(of, now)
            try:
                of = heard(of, [provider.charge(charge(of))])
            except AnswerLostError:
                of = answer_lost(of)
        now += timedelta(hours=1)
    return of


def test_a_customer_and_a_charge(place):
    state, provider = place
    customer = provider.create_customer(Payer("acme", "Acme", "a@acme.example"))
    assert provider.create_customer(Payer("acme", "Acme", "a@acme.example")) == customer
    paid = drive(payment(), provider)
    assert (paid.state, paid.reference) == ("succeeded", "pi_2")
    (taken,) = state.charges()
    assert (taken["amount"], taken["currency"], taken["metadata"]["valorem_payment"]) == (
        12050,
        "eur",
        "pay_1",
    )
    assert provider.lookup("pay_1") == provider.lookup("pay_1", "pi_2")


@pytest.mark.parametrize(
    "script",
    [
        ["lost"],
        ["slow"],
        ["broken"],
        ["unheard"],
        ["unheard", "lost", "ok"],
        ["unheard", "unheard", "broken"],
    ],
    ids="-".join,
)
def test_whatever_is_lost_the_customer_is_charged_once(place, script):
    state, provider = place
    state.script = list(script)
    first = asked(payment(), NOW)
    with pytest.raises(AnswerLostError):
        provider.charge(charge(first))
    unknown = answer_lost(first)
    assert unknown.state == "unknown"
    assert next_step(unknown, NOW + timedelta(seconds=5)) == "wait"
    paid = drive(unknown, provider)
    assert paid.state == "succeeded"
    assert len(state.charges()) == 1
    assert {key for path, key in state.calls if path == "/v1/payment_intents"} == {"pay_1"}


def test_a_declined_card_has_failed_and_is_not_asked_again(place):
    state, provider = place
    state.script = ["declined"]
    failed = drive(payment(), provider)
    assert (failed.state, failed.failure) == ("failed", "Your card was declined.")
    assert state.charges() == []
    assert len(state.calls) == 1


@pytest.mark.parametrize("how", ["short", "foreign"])
def test_another_amount_or_currency_is_parked(place, how):
    state, provider = place
    state.script = [how]
    parked = drive(payment(), provider)
    assert parked.state == "parked"
    assert next_step(parked, NOW) == "review"
    assert len(parked.mismatches) == 1


def test_the_same_id_for_another_amount_is_refused(place):
    _, provider = place
    provider.charge(charge(payment()))
    with pytest.raises(ProviderRefusedError, match="other parameters"):
        provider.charge(charge(payment(amount="99")))


def test_a_refund_is_made_once_and_found_again(place):
    state, provider = place
    paid = drive(payment(), provider)
    assert paid.reference is not None
    request = RefundRequest("ref_1", paid.reference, D("20.50"), "EUR")
    assert provider.lookup_refund(request) is None
    state.script = ["lost"]
    with pytest.raises(AnswerLostError):
        provider.refund(request)
    found = provider.lookup_refund(request)
    assert found is not None
    assert (found.outcome, found.amount) == ("succeeded", D("20.50"))
    assert provider.refund(request) == found
    assert sum(each["object"] == "refund" for each in state.objects.values()) == 1


def test_webhooks_in_any_order_and_twice_give_one_state(place):
    state, provider = place
    state.script = ["pending"]
    waiting = drive(payment(), provider, rounds=1)
    assert waiting.state == "pending"
    bodies = [state.event("payment_intent.processing", "pi_1", "evt_1")]
    state.objects["pi_1"]["status"] = "requires_payment_method"
    state.objects["pi_1"]["last_payment_error"] = {"message": "first try failed"}
    bodies.append(state.event("payment_intent.payment_failed", "pi_1", "evt_2"))
    state.objects["pi_1"]["status"] = "succeeded"
    bodies.append(state.event("payment_intent.succeeded", "pi_1", "evt_3"))
    for order in permutations([*bodies, bodies[1]]):
        told = waiting
        for body in order:
            message = provider.verify_webhook(body, signed(body, AT), NOW)
            assert message.report is not None
            told = heard(told, [message.report])
        assert (told.state, told.failure) == ("succeeded", None)


def test_a_webhook_must_be_signed_now_and_by_us(place):
    state, provider = place
    drive(payment(), provider)
    body = state.event("payment_intent.succeeded", "pi_1")
    provider.verify_webhook(body, signed(body, AT - 299), NOW)
    refused = [
        (body, signed(body, AT - 301)),
        (body, signed(body, AT + 301)),
        (body, signed(body, AT, "whsec_other")),
        (body.replace(b"12050", b"12051"), signed(body, AT)),
        (body, {"Stripe-Signature": signed(body, AT)["Stripe-Signature"].replace("t=1", "t=2")}),
        (body, {"Stripe-Signature": "nonsense"}),
        (body, {}),
    ]
    for told, headers in refused:
        with pytest.raises(UnauthorizedError):
            provider.verify_webhook(told, headers, NOW)


def test_a_secret_can_be_rotated(place):
    state, provider = place
    drive(payment(), provider)
    body = state.event("payment_intent.succeeded", "pi_1")
    both = StripePayments("sk_test_1", ["whsec_new", SECRET])
    assert both.verify_webhook(body, signed(body, AT, "whsec_new"), NOW) == provider.verify_webhook(
        body, signed(body, AT), NOW
    )


def test_a_message_about_something_else_has_no_report(place):
    _, provider = place
    body = json.dumps(
        {"id": "evt_9", "type": "payout.paid", "data": {"object": {"id": "po_1", "metadata": {}}}}
    ).encode()
    message = provider.verify_webhook(body, signed(body, AT), NOW)
    assert (message.id, message.kind, message.report) == ("evt_9", "payout.paid", None)


@pytest.mark.parametrize(
    ("amount", "currency", "counted"),
    [
        ("12.34", "EUR", 1234),
        ("500", "JPY", 500),
        ("1.230", "KWD", 1230),
        ("500", "ISK", 50000),
        ("7", "MGA", 7),
    ],
)
def test_amounts_as_stripe_counts_them(amount, currency, counted):
    assert to_stripe(D(amount), currency) == counted
    assert from_stripe(counted, currency) == D(amount)


@pytest.mark.parametrize(("amount", "currency"), [("1.234", "KWD"), ("1.50", "MGA"), ("0.001", "EUR")])
def test_what_stripe_cannot_charge_is_refused_before_it_is_asked(amount, currency):
    with pytest.raises(ProviderRefusedError):
        to_stripe(D(amount), currency)


def test_the_stand_in_knows_no_object_by_a_made_up_id(place):
    state, provider = place
    assert isinstance(state, StandIn)
    with pytest.raises(ProviderRefusedError, match="No such object"):
        provider.lookup("pay_1", "pi_404")
