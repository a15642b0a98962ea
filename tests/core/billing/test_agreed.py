"""What is agreed beside a plan, on invoices: overrides, phases, trials, currencies, discounts, orders."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.changing import CALLS, Account, catalog, made, small
from tests.core.billing.ledger import Use
from tests.core.billing.make import contract, seats, utc
from valorem.core.billing.consolidated import consolidated
from valorem.core.billing.discounts import precise_shares, shares_of
from valorem.core.billing.migration import as_if, last_period, migration_edit, preview_migration
from valorem.core.billing.needs import usage_needs
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.billing.terms import terms_of
from valorem.core.billing.timing import effective_at, plan_change_at, term_is_over, with_trial
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan, Policies
from valorem.core.contracts.agreed import Charge, Commitment, Discount, Override
from valorem.core.contracts.edits import (
    AddCharge,
    AddCommitment,
    AddDiscount,
    AddOverride,
    Remove,
    SetPhases,
    SetPlan,
    Withdraw,
)
from valorem.core.contracts.history import History
from valorem.core.contracts.orders import dates_from, instalments, yearly_access
from valorem.core.errors import UnprocessableError
from valorem.core.periods import Cadence

D = Decimal
START = utc("2026-01-01")


def account(*changes: Any, uses: list[Use] | None = None, **policies: str) -> Account:
    made_account = Account(History(small()), catalog(**policies), uses or [])
    if changes:
        made_account.edit(made(START, *changes))
    return made_account


def calls(day: str, n: int) -> Use:
    return Use("calls", utc(day), D(n))


def months(account: Account, until: str) -> list[Decimal]:
    account.close_due(utc(until))
    return [invoice.total for invoice in account.biller.invoices]


def plan(**fields: Any) -> Plan:
    return Plan.model_validate({"plan": "small", "name": "Small", "currency": "USD", **fields})


def on(offer: Plan, **changes: Any) -> Account:
    return Account(
        History(contract("2026-01-01", plan="small", **changes)),
        Catalog(meters={"calls": CALLS}, plans={"small": offer}),
    )


def test_overrides_change_fees_and_prices_for_as_long_as_they_hold():
    cheaper = Override(id="fee", fee="base", amount=D(10), end=utc("2026-02-01"))
    price = Override(id="calls", meter="calls", multiplier=D("0.9"))
    held = account(
        AddOverride(override=cheaper),
        AddOverride(override=price),
        uses=[calls("2026-01-05", 100), calls("2026-02-05", 100)],
    )
    assert months(held, "2026-03-01") == [D(10), D(90 + 30), D(90 + 30)]


def test_tiers_and_included_quantities_run_on_through_a_change_of_terms_or_begin_anew():
    uses = [calls("2026-01-05", 80), calls("2026-01-25", 80)]
    for policy, amount in (("run_on", 80 * 2 - 20), ("restart", 0)):
        offer = plan(
            prices={"calls": {"model": "per_unit", "amount": 1, "included": 100}},
            policies={"counting": policy},
        )
        held = on(offer)
        held.uses = uses
        held.edit(
            made(utc("2026-01-15"), AddOverride(override=Override(id="x", meter="calls", multiplier=D(2))))
        )
        assert months(held, "2026-02-01")[-1] == (D(120) if policy == "run_on" else D(amount))


def test_phases_ramp_a_contract_from_its_start():
    phases: tuple[dict[str, object], ...] = (
        {"lasts": "2 months", "multiplier": "0.5"},
        {"lasts": "1 month", "fees": {"base": 20}},
        {},
    )
    held = account(SetPhases.model_validate({"phases": phases}))
    assert months(held, "2026-04-15") == [D(15), D(15), D(20), D(30)]


def test_a_trial_costs_nothing_and_ends_with_an_invoice_of_its_own():
    offer = plan(fees={"base": {"amount": 31}}, trial={"lasts": "10 days"})
    held = on(offer)
    held.history = History(with_trial(held.history.signed, utc("2026-01-11")))
    held.biller.terms = held.terms
    assert months(held, "2026-02-01") == [D(0), D(21), D(31)]
    assert held.biller.invoices[1].issued_at == utc("2026-01-11")


def test_amounts_come_in_the_customers_currency_and_are_never_converted():
    offer = plan(
        fees={"base": {"amount": 30}},
        currencies={"JPY": {"fees": {"base": 4500}}},
    )
    held = on(offer, currency="JPY")
    assert months(held, "2026-01-01") == [D(4500)]
    with pytest.raises(UnprocessableError, match="no amounts in EUR"):
        on(offer, currency="EUR")


def test_discounts_last_once_some_periods_or_for_ever():
    once = Discount(id="once", amount=D(40), lasts="once")
    twice = Discount(id="twice", percent="10%", lasts=2)
    held = account(AddDiscount(discount=once), AddDiscount(discount=twice), decreases="at_once")
    # 30 a month: 30 off, then what is left of 40, then the tenth alone is over as well
    assert months(held, "2026-03-01") == [D(0), D(18), D(30)]


def test_a_discount_for_some_lines_names_their_shares():
    off = Discount(id="off", amount=D(10), only=("calls", "base"))
    held = account(AddDiscount(discount=off), uses=[calls("2026-01-03", 4)])
    held.close_due(utc("2026-02-01"))
    given = [line for line in held.biller.lines if line.kind == "discount" and not line.period_index]
    assert [shares_of(line) for line in given] == [
        {"fee:base": D(-10)}
    ]  # spent ahead: nothing left for usage


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=5),
    st.lists(st.tuples(st.integers(0, 800), st.booleans()), max_size=4),
)
def test_precise_shares_never_pass_their_line(fees, amounts):
    lines = {f"l{place}": D(amount) for place, amount in enumerate(fees)}
    shares = precise_shares(lines, [(D(off), None if whole else ["l0"]) for off, whole in amounts], 5)
    slack = D("0.0001")
    assert all(0 <= shares[name] <= lines[name] + slack for name in lines)


def test_an_order_is_used_in_stretches_and_invoiced_on_dates_of_its_own():
    access = yearly_access([D(100), D(300)], START, "UTC", Cadence(1, "month"))
    dates = dates_from(START, Cadence(1, "month"), 3, "UTC")
    order = AddCommitment(
        commitment=Commitment(id="order", access=access),
        instalments=instalments("order", "Order", D(400), "USD", dates),
    )
    uses = [calls("2026-01-05", 130), calls("2026-02-05", 50), calls("2026-03-05", 10)]
    held = account(order, AddOverride(override=Override(id="free", fee="base", amount=D(0))), uses=uses)
    assert months(held, "2026-04-01") == [
        D("133.34"),
        D("133.33") + 30,  # 100 of January's 130 are drawn
        D("133.33") + 0,
        D(10),  # the second stretch lapsed with 250 left
    ]
    held.uses = [*uses, calls("2026-02-06", 20)]
    held.close_due(utc("2026-05-01"))
    late = held.biller.invoices[-1]
    assert [(line.kind, line.amount) for line in late.lines] == [("usage", D(20)), ("commitment", D(-20))]


def test_a_postpaid_commitment_is_made_up_for_at_its_end():
    access = yearly_access([D(100)], START, "UTC", Cadence(2, "month"))
    promise = AddCommitment(commitment=Commitment(id="promise", kind="postpaid", access=access))
    free = AddOverride(override=Override(id="free", fee="base", amount=D(0)))
    held = account(promise, free, uses=[calls("2026-01-05", 30), calls("2026-02-05", 45)])
    assert months(held, "2026-04-01") == [D(0), D(30), D(45 + 25), D(0)]


def test_charges_stand_on_the_first_invoice_from_their_date_on():
    dated = [
        AddCharge(
            charge=Charge(id=f"c{day[5:7]}{day[8:]}", name="Setup", amount=D(7), quantity=D(2), at=utc(day))
        )
        for day in ("2025-12-24", "2026-01-15", "2026-03-01")
    ]
    held = account(*dated)
    assert months(held, "2026-03-01") == [D(44), D(44), D(44)]
    held.edit(made(utc("2026-03-02"), Remove(what="charge", id="c0301")))
    assert months(held, "2026-04-01")[-1] == D(30)  # removed after its date: it stands


def test_a_cheaper_plan_waits_for_the_periods_end_and_a_dearer_one_does_not():
    offers = catalog()
    now = utc("2026-01-10T10:07")
    little, large = offers.plan("small"), offers.plan("large")
    signed = small(seats={"seat": seats(("2026-01-01", 1))})
    assert plan_change_at(signed, little.policies, little, large, now) == utc("2026-01-10T10:00")
    assert plan_change_at(signed, large.policies, large, little, now) == utc("2026-02-01")
    everything = Policies(plan_change="at_once")
    assert plan_change_at(signed, everything, large, little, now) == utc("2026-01-10T10:00")


def test_a_contract_moves_at_renewal_and_the_move_can_be_undone():
    signed = small(term=Cadence(1, "year"))
    assert effective_at(signed, "renewal", utc("2026-03-05")) == utc("2027-01-01")
    assert term_is_over(signed, utc("2027-01-01"))
    assert not term_is_over(signed, utc("2026-12-01"))
    edit = migration_edit(
        signed, 2, "renewal", utc("2026-03-05"), edit_id="m1", author="ann", reason="new prices"
    )
    moved = History(signed).with_edit(edit)
    assert moved.contract().standing_at(utc("2027-01-01")).catalog_version == 2
    assert moved.contract().standing_at(utc("2026-12-31")).catalog_version == 1
    undone = moved.with_edit(made(utc("2026-04-01"), Withdraw(edit="m1")))
    assert undone.contract().standing_at(utc("2027-01-01")).catalog_version == 1
    with pytest.raises(UnprocessableError, match="is on plan"):
        migration_edit(signed, 1, "now", utc("2026-03-05"), edit_id="m2", author="ann", reason="")


def test_a_migration_is_previewed_over_the_last_whole_period():
    older, newer = plan(fees={"base": {"amount": 30}}), plan(fees={"base": {"amount": 25}})
    signed = small()
    period = last_period(signed, utc("2026-03-15"))
    assert period is not None
    assert period.interval.start == utc("2026-02-01")
    versions = {1: Catalog(plans={"small": older}), 2: Catalog(plans={"small": newer})}
    after = terms_of(as_if(signed, "small", 2), versions[2], catalogs=versions.__getitem__)
    seen = preview_migration(terms_of(signed, versions[1]), after, period, {}, {})
    assert (seen.before, seen.after, seen.difference) == (D(30), D(25), D(-5))


def test_a_contract_stands_on_several_versions_one_after_the_other():
    older, newer = plan(fees={"base": {"amount": 30}}), plan(fees={"base": {"amount": 60}})
    versions = {1: Catalog(plans={"small": older}), 2: Catalog(plans={"small": newer})}
    moved = History(small()).with_edit(made(utc("2026-03-01"), SetPlan(plan="small", catalog_version=2)))
    terms = terms_of(moved.contract(), versions[1], catalogs=versions.__getitem__)
    assert [terms.at(utc(day)).plan.fees["base"].amount for day in ("2026-02-28", "2026-03-01")] == [30, 60]
    assert usage_needs(terms, period_of(terms, utc("2026-03-05"))) == ()


def period_of(terms, instant: datetime):
    return contract_period(terms.contract, period_index_at(terms.contract, instant))


def test_invoices_of_one_customer_and_currency_are_sent_as_one():
    held = [account(), account(AddOverride(override=Override(id="x", fee="base", amount=D(5))))]
    invoices = []
    for each in held:
        each.close_due(START)
        invoices += each.biller.invoices
    (together,) = consolidated(invoices)
    assert (together.total, len(together.parts)) == (D(35), 2)
