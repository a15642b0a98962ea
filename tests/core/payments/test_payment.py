"""A payment attempt: no order or repetition of messages changes how it ends, and it is charged at most once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError, UnauthorizedError, UnprocessableError
from valorem.core.payments.built_in import (
    BANK_TRANSFER,
    MANUAL,
    Transfer,
    creditor_reference,
    match_transfers,
    received,
)
from valorem.core.payments.payment import (
    Payment,
    Report,
    after_lookup,
    answer_lost,
    asked,
    heard,
    next_step,
    refundable,
)
from valorem.core.payments.provider import Charge, Payer, PaymentProvider, RefundRequest

D = Decimal
NOW = datetime(2026, 2, 1, tzinfo=UTC)
PAYMENT = Payment("pay_1", "inv_1", "stripe", D("10.00"), "EUR")


def report(
    outcome: str, reference: str = "pi_1", amount: str = "10", currency: str = "EUR", **more: str
) -> Report:
    return Report("pay_1", reference, outcome, D(amount), currency, **more)  # type: ignore[arg-type]


def test_the_way_of_a_payment():
    assert PAYMENT.state == "created"
    sent = asked(PAYMENT, NOW)
    assert sent.state == "pending"
    unknown = answer_lost(sent)
    assert unknown.state == "unknown"
    failed = heard(unknown, [report("pending"), report("failed", reason="no funds")])
    assert (failed.state, failed.failure, failed.reference) == ("failed", "no funds", "pi_1")
    paid = heard(failed, [report("succeeded")])
    assert (paid.state, paid.failure) == ("succeeded", None)
    with pytest.raises(UnprocessableError, match="has succeeded"):
        asked(paid, NOW)
    with pytest.raises(InvalidInputError, match="is not about pay_1"):
        heard(PAYMENT, [Report("pay_2", "pi_2", "failed", D(10), "EUR")])


@pytest.mark.parametrize(
    ("amount", "currency"), [("0", "EUR"), ("-1", "EUR"), ("1.001", "EUR"), ("1.5", "JPY")]
)
def test_an_amount_that_cannot_be_paid(amount, currency):
    with pytest.raises(InvalidInputError, match="cannot be paid"):
        Payment("pay_1", "inv_1", "manual", D(amount), currency)


@pytest.mark.parametrize(
    "success",
    [
        report("succeeded", amount="9.99"),
        report("succeeded", amount="10.01"),
        report("succeeded", currency="USD"),
    ],
)
def test_a_mismatch_is_parked_whatever_else_is_heard(success):
    for order in permutations([success, report("failed"), report("pending")]):
        parked = heard(asked(PAYMENT, NOW), order)
        assert (parked.state, parked.mismatches) == ("parked", (success,))


def test_a_second_success_under_another_reference_is_parked():
    twice = heard(PAYMENT, [report("succeeded", "pi_1"), report("succeeded", "pi_2")])
    assert (twice.state, len(twice.mismatches)) == ("parked", 2)


def test_when_to_ask():
    sent = asked(PAYMENT, NOW)
    assert next_step(PAYMENT, NOW) == "charge"
    assert next_step(sent, NOW + timedelta(seconds=29)) == "wait"
    assert next_step(sent, NOW + timedelta(seconds=30)) == "ask"
    under_way = heard(sent, [report("pending")])
    assert next_step(under_way, NOW + timedelta(minutes=59)) == "wait"
    assert next_step(under_way, NOW + timedelta(hours=1)) == "ask"
    looked = NOW + timedelta(hours=1)
    assert next_step(under_way, NOW + timedelta(hours=1, minutes=30), last_lookup=looked) == "wait"
    assert next_step(under_way, NOW + timedelta(days=14)) == "review"
    assert next_step(heard(sent, [report("failed")]), NOW) == "none"
    assert after_lookup(answer_lost(sent), None)[1] == "charge"
    assert after_lookup(under_way, None)[1] == "wait"
    assert after_lookup(sent, report("succeeded"))[0].state == "succeeded"


def test_no_more_goes_back_than_came():
    paid = heard(PAYMENT, [report("succeeded")])
    first = replace(Payment("ref_1", "inv_1", "stripe", D(4), "EUR"), refunds="pay_1")
    failed = heard(
        Payment("ref_2", "inv_1", "stripe", D(6), "EUR", refunds="pay_1"),
        [Report("ref_2", "re_2", "failed", D(6), "EUR")],
    )
    assert refundable(PAYMENT, []) == 0
    assert refundable(paid, [first, failed]) == D(6)


messages = st.lists(
    st.builds(
        report,
        st.sampled_from(["pending", "failed", "succeeded"]),
        st.sampled_from(["pi_1", "pi_2"]),
        st.sampled_from(["10", "10.00", "9.99"]),
        st.sampled_from(["EUR", "USD"]),
    ),
    max_size=6,
)


@given(told=messages, data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_order_and_repetition_of_messages_ends_the_same(told, data):
    sent = asked(PAYMENT, NOW)
    straight = heard(sent, told)
    again = data.draw(
        st.permutations(
            told + data.draw(st.lists(st.sampled_from(told), max_size=4) if told else st.just([]))
        )
    )
    for message in again:
        sent = heard(sent, [message])
    assert (sent.state, sent.mismatches, sent.reference, sent.failure) == (
        straight.state,
        straight.mismatches,
        straight.reference,
        straight.failure,
    )


class Provider:
    """Charges once for each id, whatever gets lost on the way there or back."""

    def __init__(self, outcome: str) -> None:
        self.outcome = outcome
        self.taken: dict[str, Report] = {}

    def charge(self, payment: Payment) -> Report:
        made = report(self.outcome, f"pi_{len(self.taken) + 1}")
        return self.taken.setdefault(payment.id, made)


@given(
    outcome=st.sampled_from(["failed", "succeeded"]),
    losses=st.lists(st.sampled_from(["there", "back", "none", "crash"]), max_size=8),
    webhooks=st.lists(st.booleans(), max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_lost_there_is_at_most_one_charge_and_it_is_known_in_the_end(outcome, losses, webhooks):
    provider, payment, now = Provider(outcome), PAYMENT, NOW
    fate, told = iter(losses), iter(webhooks)
    for _ in range(len(losses) + 4):
        todo = next_step(payment, now)
        if todo == "ask":
            payment, todo = after_lookup(payment, provider.taken.get(payment.id))
        if todo == "charge":
            payment = asked(payment, now)
            how = next(fate, "none")
            if how in ("back", "none", "crash"):
                answer = provider.charge(payment)
            if how == "none":
                payment = heard(payment, [answer])
            elif how != "crash":
                payment = answer_lost(payment)
        if next(told, False) and payment.id in provider.taken:
            payment = heard(payment, [provider.taken[payment.id]])
        now += timedelta(minutes=1)
    assert payment.state == outcome
    assert len(provider.taken) == 1


# Built in


def test_payments_noted_by_hand_wait_for_a_word():
    provider: PaymentProvider = MANUAL
    assert provider.create_customer(Payer("acme", "Acme")) == "acme"
    told = provider.charge(Charge("pay_1", "INV-1", "acme", None, D(10), "EUR"))
    waiting = heard(asked(PAYMENT, NOW), [told])
    assert waiting.state == "pending"
    assert heard(waiting, [received(waiting, D(10), "EUR", "receipt 7")]).state == "succeeded"
    assert provider.refund(RefundRequest("ref_1", "receipt 7", D(1), "EUR")).outcome == "pending"
    assert provider.lookup("pay_1") is None
    assert provider.lookup_refund(RefundRequest("ref_1", "receipt 7", D(1), "EUR")) is None
    with pytest.raises(UnauthorizedError, match="bank_transfer payments have no webhooks"):
        BANK_TRANSFER.verify_webhook(b"", {}, NOW)


def test_the_reference_of_a_transfer_has_the_standard_check():
    assert creditor_reference("539007547034") == "RF18539007547034"  # the example of ISO 11649
    number = creditor_reference("INV-2026-000042")
    moved = "".join(str(int(letter, 36)) for letter in number[4:] + number[:4])
    assert int(moved) % 97 == 1


def test_transfers_find_their_invoices():
    one, two = PAYMENT, replace(PAYMENT, id="pay_2", amount=D(20))
    waiting = [(one, "INV-1"), (two, "INV-2")]
    first, second = creditor_reference("INV-1"), creditor_reference("INV-2")
    transfers = [
        Transfer("t1", D(10), "EUR", f"Thanks {first[:4]} {first[4:]}"),
        Transfer("t2", D(19), "EUR", second.lower()),
        Transfer("t3", D(5), "EUR", "for lunch"),
        Transfer("t4", D(30), "EUR", f"{first} and {second}"),
    ]
    matched = match_transfers(waiting, [*transfers, transfers[0]])
    assert [each.id for each in matched.unmatched] == ["t3", "t4"]
    reports = {
        name: [each for each in matched.reports if each.payment == name] for name in ("pay_1", "pay_2")
    }
    assert heard(one, reports["pay_1"]).state == "succeeded"
    assert heard(two, reports["pay_2"]).state == "parked"
