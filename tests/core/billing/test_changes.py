"""Whatever changes: periods tile, nothing is charged twice, previews come true, and the sum is what the terms say."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.changing import START, UNIT, Account, at, catalog, made, small
from tests.core.billing.ledger import Use, usage_of
from tests.core.billing.make import seats, utc
from valorem.core.billing.changes import draft_change, draft_end, preview_edit, reopened
from valorem.core.billing.charges import period_charges
from valorem.core.billing.draft import draft_invoice
from valorem.core.billing.invoice import Invoice
from valorem.core.billing.safety import guarded
from valorem.core.billing.schedule import contract_period, final_boundary, period_index_at
from valorem.core.contracts.agreed import Override
from valorem.core.contracts.edits import (
    AddOverride,
    Cancel,
    Pause,
    Renew,
    Resume,
    SetPlan,
    SetSeats,
    Withdraw,
)
from valorem.core.contracts.history import History
from valorem.core.contracts.parking import Parked, parked
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError

D = Decimal
DAY = 96
END = at(140 * DAY)


def to(plan: str, **more: str) -> SetPlan:
    return SetPlan(plan=plan, catalog_version=1, **more)


def half(number: int) -> AddOverride:
    return AddOverride(override=Override(id=f"half_{number}", multiplier=D("0.5")))


CHANGES = st.one_of(
    st.sampled_from([*UNIT]).map(to),
    st.integers(0, 9).map(lambda n: SetSeats(key="seat", quantity=D(n))),
    st.sampled_from([Pause(), Resume()]),
    st.integers(0, 2).map(half),
)
#: (recorded on, effective that many quarter hours later or earlier, what)
STEPS = st.lists(
    st.tuples(st.integers(0, 120 * DAY), st.integers(-40 * DAY, 40 * DAY), CHANGES), max_size=8
).map(lambda steps: sorted(steps, key=lambda step: step[0]))
USES = st.lists(st.tuples(st.integers(0, 140 * DAY - 1), st.integers(1, 50)), max_size=12)


def lived(steps, uses, *, intervals: bool = False, **policies: str) -> Account:
    """An account edited as time goes by, ended after 140 days and billed to its end."""
    history = History(small(seats={"seat": seats(("2026-01-01", 2))}))
    account = Account(history, catalog(**policies), [Use("calls", at(when), D(2 * n)) for when, n in uses])
    for number, (recorded, delay, change) in enumerate(steps):
        account.close_due(at(recorded))
        step = change
        if intervals and isinstance(change, SetPlan):
            step = to(change.plan, every="2 weeks" if number % 2 else "1 quarter", anchor="change")
        effective = max(at(recorded + delay), START)
        try:
            account.edit(made(effective, step, recorded=at(recorded), name=str(number)))
        except (InvalidInputError, UnprocessableError):
            continue  # it contradicts what is there: nothing of it holds
    account.close_due(END - timedelta(hours=1))
    account.edit(made(END, Cancel(), recorded=END - timedelta(hours=1), name="end"))
    account.close_due(END)
    return account


@settings(max_examples=60, deadline=None)
@given(STEPS, USES, st.booleans(), st.sampled_from(["day", "second"]))
def test_periods_tile_and_the_sum_is_what_the_final_terms_say(steps, uses, intervals, proration):
    account = lived(steps, uses, intervals=intervals, proration=proration)
    closed = [invoice.closed for invoice in account.biller.invoices if invoice.closed is not None]
    assert closed[0].start == START
    assert closed[-1].end == END
    assert all(one.end == other.start for one, other in pairwise(closed))
    whole = D(0)
    for index in range(final_boundary(account.terms.contract) or 0):
        period = contract_period(account.terms.contract, index)
        assert period is not None
        charges = period_charges(account.terms, period, usage_of(account.terms, index, account.uses))
        whole += sum((line.amount for line in charges.lines), D(0))
    assert account.total() == whole


@settings(max_examples=60, deadline=None)
@given(STEPS, USES)
def test_usage_costs_what_the_terms_said_when_it_happened(steps, uses):
    account = lived(steps, uses)
    expected = D(0)
    contract = account.history.contract()
    for when, n in uses:
        standing = contract.standing_at(at(when))
        factor = D("0.5") if standing.overrides else D(1)
        expected += 2 * n * UNIT[standing.plan] * factor
    assert account.total("usage") == expected


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_fees_add_up_to_what_each_day_ended_on(steps):
    """An independent count: by day, a day costs a share of its month on the terms it ended on."""
    account = lived(steps, [])
    contract = account.history.contract()
    expected = D(0)
    for day in range(140):
        evening = at((day + 1) * DAY - 1)
        standing = contract.standing_at(evening)
        period = contract_period(contract, period_index_at(contract, evening))
        assert period is not None
        if standing.paused:
            continue
        fees = 30 + 10 * contract.seats_at("seat", evening) + (0 if standing.plan == "small" else 15)
        factor = D("0.5") if standing.overrides else D(1)
        expected += fees * UNIT[standing.plan] * factor / (period.full.end - period.full.start).days
    billed = sum(
        (
            line.exact_amount
            for index in range(final_boundary(contract) or 0)
            for line in period_charges(
                account.terms,
                contract_period(contract, index),  # type: ignore[arg-type]
                usage_of(account.terms, index, []),
            ).lines
        ),
        D(0),
    )
    assert abs(billed - expected) < D("1e-20")


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60 * DAY), st.integers(-20 * DAY, 20 * DAY), CHANGES, USES, st.booleans())
def test_a_preview_is_what_then_happens(recorded, delay, change, uses, at_once):
    account = lived_until(recorded, uses)
    now, effective = at(recorded), max(at(recorded + delay), START)
    edit = made(effective, change, recorded=now)
    try:
        longer = account.history.with_edit(edit, account.billed_until)
    except InvalidInputError:
        return
    after = Account(longer, account.offers).terms
    border = period_index_at(after.contract, now) + 1
    usage = [
        {index: usage_of(terms, index, account.uses) for index in range(border)}
        for terms in (account.terms, after)
    ]
    shown = preview_edit(account.terms, after, now, usage[0], usage[1], account.biller.lines, at_once=at_once)
    account.edit(edit)
    if at_once and shown.at_once is not None:
        account.biller.invoices.append(shown.at_once)
    again = draft_invoice(account.terms, border, usage[1], account.biller.lines)
    assert shown.after == again
    paid_at_once = shown.at_once.total if shown.at_once else D(0)
    whole = draft_invoice(after, border, usage[1], lived_until(recorded, uses).biller.lines)
    assert paid_at_once + again.total == whole.total  # what is invoiced at once is not invoiced again


def lived_until(recorded: int, uses) -> Account:
    history = History(small(seats={"seat": seats(("2026-01-01", 2))}))
    account = Account(history, catalog(), [Use("calls", at(when), D(2 * n)) for when, n in uses])
    account.close_due(at(recorded))
    return account


def test_an_upgrade_in_the_middle_gives_credit_and_charge_for_the_rest():
    account = lived_until(0, [])
    account.edit(made(utc("2026-01-11T09:30"), to("large"), recorded=utc("2026-01-11T09:30")))
    invoice = draft_change(account.terms, utc("2026-01-11T09:30"), account.biller.lines)
    assert invoice is not None
    assert {line.charge: line.amount for line in invoice.lines} == {
        "fee:base@2026-01-11T00:00:00Z:ends": D("-20.32"),  # 30 × 21 of 31 days
        "fee:base@2026-01-11T00:00:00Z": D("81.29"),
        "fee:seat@2026-01-11T00:00:00Z:ends": D("-13.55"),
        "fee:seat@2026-01-11T00:00:00Z": D("54.19"),
    }
    account.biller.invoices.append(invoice)
    assert draft_change(account.terms, utc("2026-01-12"), account.biller.lines) is None


@pytest.mark.parametrize(("policy", "credit"), [("at_once", D(-10)), ("next_period", D(0))])
def test_decreases_follow_their_policy(policy, credit):
    history = History(small(seats={"seat": seats(("2026-01-01", 2))}, end=utc("2026-03-01")))
    account = Account(history, catalog(decreases=policy))
    account.edit(made(utc("2026-01-01"), to("small"), SetSeats(key="seat", quantity=D(2))))
    account.close_due(utc("2026-01-01"))
    account.edit(made(utc("2026-01-16T12:00"), SetSeats(key="seat", quantity=D(0))))
    account.close_due(utc("2026-02-01"))
    second = account.biller.invoices[-1]
    given = sum((line.amount for line in second.lines if line.period_index == 0), D(0))
    assert given == (credit * 16 * 2 / 31).quantize(D("0.01"))
    assert not [line for line in second.lines if line.key == "seat" and line.period_index == 1]


def test_a_pause_stops_fees_and_bills_usage_unless_it_is_free():
    for policy, usage in (("billed", D(40)), ("free", D(0))):
        account = Account(
            History(small()), catalog(paused_usage=policy), [Use("calls", utc("2026-02-10"), D(40))]
        )
        account.close_due(START)
        account.edit(made(utc("2026-02-01"), Pause()))
        account.edit(made(utc("2026-03-01"), Resume()))
        account.close_due(utc("2026-03-01"))
        february = [line for line in account.biller.lines if line.period_index == 1]
        assert sum((line.amount for line in february), D(0)) == usage
        assert sum((line.amount for line in account.biller.lines if line.period_index == 2), D(0)) == D(30)


def test_a_change_dated_back_is_settled_with_the_next_invoice():
    account = lived_until(40 * DAY, [(10 * DAY, 5)])
    before = account.terms
    account.edit(made(START, to("middle"), recorded=at(40 * DAY)))
    assert reopened(before, account.terms, START, 1) == range(1)
    account.close_due(utc("2026-03-01"))
    back = [line for line in account.biller.invoices[-1].lines if line.period_index == 0]
    assert {line.key: line.amount for line in back} == {
        "base": D(30),
        "seat": D(20),
        "care": D(30),
        "calls": D(10),
    }


def test_an_end_before_what_was_billed_ahead_gives_all_of_it_back():
    account = lived_until(40 * DAY, [])
    account.edit(made(utc("2026-01-21"), Cancel(), recorded=at(40 * DAY)))
    back = draft_end(account.terms, account.biller.lines, at(40 * DAY))
    assert back is not None
    assert back.total == D(-50)
    assert {line.period_index for line in back.lines} == {1}


def test_a_hundred_changes_in_one_day_park_the_contract_until_somebody_looks():
    history = History(small())
    for number in range(90):
        change = SetSeats(key="seat", quantity=D(number))
        history = history.with_edit(made(at(5 * DAY + number), change, recorded=at(number), name=str(number)))
    found = parked(history, 15)
    assert isinstance(found, Parked)
    assert found.reason == "90 changes take effect on 2026-01-06, more than the 15 allowed"
    for proration in ("day", "second"):
        account = Account(history, catalog(proration=proration))
        account.close_due(utc("2026-02-01"))
        waits = guarded(account.terms, account.biller.invoices[-1])
        assert isinstance(waits, Invoice if proration == "day" else Parked)
        seat_lines = [line for line in account.biller.lines if line.key == "seat" and not line.period_index]
        assert len(seat_lines) == (1 if proration == "day" else 89)


def test_edits_are_atomic_repeatable_and_can_be_withdrawn_until_they_count():
    history = History(small())
    pausing = made(utc("2026-02-01"), Pause(), recorded=utc("2026-01-05"), name="pause")
    with pytest.raises(InvalidInputError, match="paused already"):
        history.with_edit(made(utc("2026-02-01"), SetSeats(key="seat", quantity=D(9)), Pause(), Pause()))
    history = history.with_edit(pausing)
    assert history.with_edit(pausing) == history
    with pytest.raises(ConflictError):
        history.with_edit(made(utc("2026-02-02"), Pause(), recorded=utc("2026-01-05"), name="pause"))
    undone = history.with_edit(made(utc("2026-01-06"), Withdraw(edit="pause"), name="undo"))
    assert not undone.contract().standing_at(utc("2026-02-10")).paused
    assert undone.contract(utc("2026-01-05T12:00")).standing_at(utc("2026-02-10")).paused  # as it stood then
    with pytest.raises(UnprocessableError, match="took effect"):
        history.with_edit(made(utc("2026-02-03"), Withdraw(edit="pause"), name="late"))


def test_the_last_word_about_the_end_counts():
    history = History(small(end=utc("2027-01-01")))
    ended = history.with_edit(made(utc("2026-06-01"), Cancel(), recorded=utc("2026-02-01")))
    assert ended.contract().end == utc("2026-06-01")
    renewed = ended.with_edit(
        made(utc("2026-06-01"), Renew(end=utc("2028-01-01")), recorded=utc("2026-03-01"))
    )
    assert renewed.contract().end == utc("2028-01-01")
    assert renewed.contract(utc("2026-02-15")).end == utc("2026-06-01")
    assert renewed.contract(utc("2026-01-15")).end == utc("2027-01-01")
