"""Base fees and seats of one period."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.make import contract, seats, utc
from valorem.core.billing.fees import fee_lines
from valorem.core.billing.schedule import contract_period
from valorem.core.billing.terms import terms_of
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan, Policies
from valorem.core.contracts.contract import Contract

D = Decimal


def plan(**fees: object) -> Plan:
    return Plan.model_validate({"plan": "team", "name": "Team", "currency": "USD", "fees": fees})


SEATS = plan(seat={"amount": "30", "per": "seat"})
BASE = plan(base={"amount": "100", "name": "Platform"})


def lines(terms: Contract, offer: Plan, index: int = 0, **policies: str):
    period = contract_period(terms, index)
    assert period is not None
    chosen = replace(terms, policies=Policies.model_validate(policies))
    return fee_lines(terms_of(chosen, Catalog(plans={offer.plan: offer})), period)


def test_a_whole_period_costs_the_whole_fee():
    (line,) = lines(contract("2026-01-31"), BASE, 1)
    assert (line.amount, line.timing, line.description) == (D(100), "in_advance", "Platform")
    assert [step.text for step in line.steps] == ["1 × 100", "USD, 2 decimals, half away from zero"]


@pytest.mark.parametrize(("policy", "amount"), [("day", "32.26"), ("second", "32.26"), ("none", "100")])
def test_a_cut_period_is_prorated_by_policy(policy, amount):
    (line,) = lines(contract("2026-01-01", end=utc("2026-01-11")), BASE, proration=policy)
    assert line.amount == D(amount)


def test_days_are_local_and_seconds_are_elapsed():
    # Berlin's March 2026 has 31 days and 31 days less one hour.
    start, end = utc("2026-02-28T23:00"), utc("2026-03-15T23:00")
    terms = contract(start="2026-02-28T23:00", anchor=start, end=end, time_zone="Europe/Berlin")
    (by_day,) = lines(terms, BASE)
    (by_second,) = lines(terms, BASE, proration="second")
    assert by_day.steps[1].text == "100 × 15 of 31 days"
    assert by_second.steps[1].text == f"100 × {15 * 86400} of {31 * 86400 - 3600} seconds"


def test_seats_are_charged_at_the_border_and_changes_for_the_rest():
    terms = contract(
        "2026-01-01", seats={"seat": seats(("2026-01-01", 5), ("2026-01-21T15:00", 8), ("2026-01-26", 6))}
    )
    first, more, fewer = lines(terms, SEATS)
    assert (first.quantity, first.amount, first.timing) == (D(5), D(150), "in_advance")
    assert (more.quantity, more.timing) == (D(3), "in_arrears")
    assert more.steps[1].text == "90 × 11 of 31 days"  # the 21st belongs to the new quantity
    assert (fewer.quantity, fewer.amount) == (D(-2), D("-11.61"))
    assert more.period.start == utc("2026-01-21")
    (next_month,) = lines(terms, SEATS, 1)
    assert next_month.quantity == D(6)


def test_without_proration_the_highest_quantity_of_the_period_is_charged():
    history = seats(
        ("2026-01-01", 5), ("2026-01-10", 3), ("2026-01-12", 5), ("2026-01-20", 6), ("2026-01-21", 1)
    )
    first, more = lines(contract("2026-01-01", seats={"seat": history}), SEATS, proration="none")
    assert (first.quantity, more.quantity) == (D(5), D(1))


def test_changes_of_one_day_are_one_line():
    history = seats(("2026-01-01", 5), ("2026-01-10T09:00", 9), ("2026-01-10T17:00", 5))
    assert len(lines(contract("2026-01-01", seats={"seat": history}), SEATS)) == 1


def test_no_seats_no_line():
    assert lines(contract("2026-01-01"), SEATS) == ()


def test_a_change_on_the_day_the_period_ends_counts_from_the_next():
    start = utc("2026-01-10T10:00")
    history = {"seat": seats(("2026-01-01", 5), ("2026-02-10T08:00", 7))}
    terms = contract("2026-01-10T10:00", anchor=start, seats=history)
    assert len(lines(terms, SEATS)) == 1
    (following,) = lines(terms, SEATS, 1)
    assert following.quantity == D(7)


@settings(max_examples=80, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(1, 30 * 96), st.integers(0, 20)), max_size=6, unique_by=lambda c: c[0]
    ),
    opening=st.integers(0, 20),
)
def test_seat_lines_add_up_to_seat_days(changes, opening):
    history = [("2026-01-01", opening)]
    for quarter, count in sorted(changes):
        day, rest = divmod(quarter, 96)
        history.append((f"2026-01-{day + 1:02d}T{rest // 4:02d}:{rest % 4 * 15:02d}", count))
    terms = contract("2026-01-01", seats={"seat": seats(*history)})
    whole = sum((line.exact_amount for line in lines(terms, SEATS)), D(0))
    # An independent count: what holds at the end of each local day is that day's quantity.
    seat_days = sum((terms.seats_at("seat", utc(f"2026-01-{day:02d}T23:45")) for day in range(1, 32)), D(0))
    assert abs(whole * 31 - 30 * seat_days) < D("1e-20")
