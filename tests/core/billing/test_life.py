"""The life of an invoice, its terms of payment, its reminders and the customer's balance."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valorem.core.billing import life as step
from valorem.core.billing.customer_balance import BalanceEntry, apply_balance, balance_of
from valorem.core.billing.dunning import (
    DEFAULT_DUNNING,
    DunningPolicy,
    Reminder,
    next_reminder_at,
    reminders_due,
)
from valorem.core.billing.life import ALLOWED, Life, check_step, status_of
from valorem.core.billing.payment_terms import PaymentTerms, age_of, aging, overdue_from
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError, ValoremError

D = Decimal
NOW = datetime(2026, 2, 1, 10, tzinfo=UTC)
DUE = date(2026, 3, 3)
LATE = datetime(2026, 3, 4, tzinfo=UTC)


def issued(total: str = "100") -> Life:
    return step.finalise(step.close(Life(), NOW), NOW, total=D(total), due=DUE, zone="UTC")


def test_from_draft_to_paid_in_two_parts():
    life = issued()
    assert (status_of(life, NOW), life.owed) == ("finalised", D(100))
    life = step.pay(life, D(40), NOW)
    assert (status_of(life, NOW), status_of(life, LATE)) == ("partially_paid", "overdue")
    life = step.pay(life, D(70), LATE)
    assert (status_of(life, LATE), life.overpaid) == ("paid", D(10))
    life = step.unpay(life, D(110), LATE)
    assert status_of(life, LATE) == "overdue"


def test_balance_and_notes_lessen_what_is_owed():
    life = step.use_balance(issued(), D(30), NOW)
    life = step.credit(life, D(20), NOW, offset=D(20))
    assert life.owed == D(50)
    with pytest.raises(UnprocessableError, match="more than the 50 owed"):
        step.use_balance(life, D(51), NOW)
    with pytest.raises(UnprocessableError, match="on an invoice of 100"):
        step.credit(life, D(81), NOW)
    assert status_of(step.use_balance(life, D(50), NOW), LATE) == "paid"


def test_an_invoice_of_nothing_is_paid_at_once():
    assert status_of(issued("0"), LATE) == "paid"
    assert status_of(issued("-5"), LATE) == "paid"


def test_a_written_off_invoice_still_takes_money():
    life = step.write_off(issued(), "insolvent", LATE)
    assert status_of(life, LATE) == "uncollectible"
    assert status_of(step.pay(life, D(100), LATE), LATE) == "paid"


def test_void_and_issued_again():
    void = step.void(step.use_balance(issued(), D(10), NOW), "wrong address", NOW)
    assert (status_of(void, LATE), void.owed, void.from_balance) == ("void", D(0), D(10))
    again = step.reissue(void, "INV-1", NOW)
    assert (again.stage, again.replaces) == ("draft", "INV-1")
    for life in (step.pay(issued(), D(1), NOW), step.credit(issued(), D(1), NOW, offset=D(1))):
        with pytest.raises(UnprocessableError) as refused:
            step.void(life, "no", NOW)
        assert refused.value.hint
    with pytest.raises(UnprocessableError, match="cannot pay an invoice that is void"):
        step.pay(void, D(1), NOW)


def test_what_is_final_is_not_edited():
    check_step(Life(), "edit", NOW)
    with pytest.raises(ConflictError) as refused:
        check_step(issued(), "edit", NOW)
    assert "credit note" in (refused.value.hint or "")


STATES = {
    "draft": Life(),
    "closing": step.close(Life(), NOW),
    "finalised": issued(),
    "partially_paid": step.pay(issued(), D(1), NOW),
    "paid": step.pay(issued(), D(100), NOW),
    "overdue": issued(),
    "uncollectible": step.write_off(issued(), "x", NOW),
    "void": step.void(issued(), "x", NOW),
}


@pytest.mark.parametrize("status", STATES)
@pytest.mark.parametrize("name", ALLOWED)
def test_every_step_out_of_turn_is_refused_with_a_way_out(status, name):
    now = LATE if status == "overdue" else NOW
    life = STATES[status]
    assert status_of(life, now) == status
    if status in ALLOWED[name]:
        check_step(life, name, now)
    else:
        with pytest.raises(ValoremError) as refused:
            check_step(life, name, now)
        assert status.replace("_", " ") in refused.value.message
        assert refused.value.hint


# Terms and ages


@pytest.mark.parametrize(
    ("terms", "due"),
    [
        (PaymentTerms(0), "2026-02-01"),
        (PaymentTerms(30), "2026-03-03"),
        (PaymentTerms(0, end_of_month=True), "2026-02-28"),
        (PaymentTerms(15, end_of_month=True), "2026-03-15"),
    ],
)
def test_when_an_invoice_is_due(terms, due):
    assert terms.due_date(NOW, "UTC") == date.fromisoformat(due)


def test_days_are_local():
    midnight = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    assert PaymentTerms(0).due_date(midnight, "Europe/Berlin") == date(2026, 2, 1)
    assert overdue_from(DUE, "America/New_York") == datetime(2026, 3, 4, 5, tzinfo=UTC)
    with pytest.raises(InvalidInputError):
        PaymentTerms(366)


@pytest.mark.parametrize(
    ("days", "age"),
    [
        (-1, "not due"),
        (0, "not due"),
        (1, "1-30"),
        (30, "1-30"),
        (31, "31-60"),
        (90, "61-90"),
        (91, "over 90"),
    ],
)
def test_ages(days, age):
    now = datetime(2026, 3, 3, 12, tzinfo=UTC) + timedelta(days=days)
    assert age_of(DUE, "UTC", now) == age
    table = aging([(DUE, D(7)), (DUE, D(3))], "UTC", now)
    assert table[age] == sum(table.values()) == D(10)


# Reminders


def due(now: datetime, done: tuple[str, ...] = (), owed: str = "10", policy: DunningPolicy = DEFAULT_DUNNING):
    found = reminders_due(policy, due=DUE, zone="UTC", owed=D(owed), now=now, done=done)
    return [(each.reminder.key, each.skipped) for each in found]


def test_each_reminder_once_and_none_once_paid():
    day = datetime(2026, 3, 3, 8, tzinfo=UTC)
    assert due(day - timedelta(days=4)) == []
    assert due(day - timedelta(days=3)) == [("upcoming", False)]
    assert due(day + timedelta(days=3), ("upcoming",)) == [("first", False)]
    assert due(day + timedelta(days=3), ("upcoming", "first")) == []
    assert due(day + timedelta(days=11)) == [("upcoming", True), ("first", True), ("second", False)]
    assert due(day + timedelta(days=40), owed="0") == []
    late = day + timedelta(days=11)
    small = DunningPolicy(DEFAULT_DUNNING.reminders, least=D(5), missed="all")
    assert due(late, owed="4.99", policy=small) == []
    assert due(late, owed="5", policy=small) == [("upcoming", False), ("first", False), ("second", False)]


def test_a_reminder_that_was_overtaken_is_not_sent_later():
    day = datetime(2026, 3, 14, 8, tzinfo=UTC)
    assert due(day, ("second",)) == []


def test_a_worker_knows_until_when_it_may_sleep():
    assert next_reminder_at(DEFAULT_DUNNING, due=DUE, zone="UTC") == datetime(2026, 2, 28, tzinfo=UTC)
    done = ("upcoming", "first", "second", "final")
    assert next_reminder_at(DEFAULT_DUNNING, due=DUE, zone="UTC", done=done) is None


def test_a_sequence_must_be_in_order():
    with pytest.raises(InvalidInputError, match="in order"):
        DunningPolicy((Reminder("a", 3), Reminder("b", 3)))
    with pytest.raises(InvalidInputError, match="same key"):
        DunningPolicy((Reminder("a", 3), Reminder("a", 4)))


@given(visits=st.lists(st.integers(-10, 60), max_size=30), missed=st.sampled_from(["latest", "all"]))
@settings(max_examples=80, deadline=None)
def test_however_often_it_is_looked_at_nothing_is_reminded_twice(visits, missed):
    policy = DunningPolicy(DEFAULT_DUNNING.reminders, missed=missed)
    done: list[str] = []
    for day in sorted(visits):
        now = datetime(2026, 3, 3, 8, tzinfo=UTC) + timedelta(days=day)
        found = reminders_due(policy, due=DUE, zone="UTC", owed=D(1), now=now, done=done)
        assert sum(not each.skipped for each in found) <= (1 if missed == "latest" else 4)
        done.extend(each.reminder.key for each in found)
    assert len(done) == len(set(done))
    reached = [each.key for each in policy.reminders if visits and each.after_days <= max(visits)]
    assert sorted(done) == sorted(reached)


# The customer's balance


def entry(name: str, kind: str, credit: str, amount: str, day: int) -> BalanceEntry:
    return BalanceEntry(name, NOW + timedelta(days=day), kind, credit, D(amount), "ref")  # type: ignore[arg-type]


ENTRIES = (
    entry("1", "credited", "note 1", "10", 1),
    entry("2", "credited", "note 2", "20", 0),
    entry("3", "applied", "note 2", "15", 2),
    entry("4", "restored", "note 2", "5", 3),
)


def test_a_balance_is_the_same_in_any_order_and_however_often_entries_come():
    for order in permutations(ENTRIES):
        balance = balance_of([*order, order[0]])
        assert balance.amount == D(20)
        assert [(credit.id, credit.left) for credit in balance.credits] == [
            ("note 2", D(10)),
            ("note 1", D(10)),
        ]


def test_the_oldest_credit_pays_the_first_invoice():
    applied = apply_balance(balance_of(ENTRIES), [("a", D(4)), ("b", D(12)), ("c", D(-3)), ("d", D(9))])
    assert [(each.credit, each.invoice, each.amount) for each in applied] == [
        ("note 2", "a", D(4)),
        ("note 2", "b", D(6)),
        ("note 1", "b", D(6)),
        ("note 1", "d", D(4)),
    ]


def test_a_balance_cannot_be_overdrawn_or_moved_without_a_credit():
    with pytest.raises(UnprocessableError, match="5 too much"):
        balance_of([*ENTRIES, entry("5", "refunded", "note 2", "15", 4)])
    with pytest.raises(InvalidInputError, match="there is no credit"):
        balance_of([entry("1", "applied", "note 9", "1", 0)])
    with pytest.raises(InvalidInputError, match="an entry of 0"):
        balance_of([entry("1", "credited", "note 9", "0", 0)])


@given(credits_=st.lists(st.integers(1, 500), max_size=6), dues=st.lists(st.integers(-50, 500), max_size=6))
@settings(max_examples=80, deadline=None)
def test_a_balance_pays_as_much_as_it_can_and_never_more(credits_, dues):
    opened = [entry(str(at), "credited", f"note {at}", str(amount), at) for at, amount in enumerate(credits_)]
    applied = apply_balance(balance_of(opened), [(str(at), D(due)) for at, due in enumerate(dues)])
    assert sum(each.amount for each in applied) == min(sum(credits_), sum(max(0, due) for due in dues))
    used = [
        entry(f"use {at}", "applied", each.credit, str(each.amount), 9) for at, each in enumerate(applied)
    ]
    assert balance_of([*opened, *used]).amount == sum(credits_) - sum(each.amount for each in applied)
