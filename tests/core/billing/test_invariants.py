"""Invariants of money and time, each by its number in the list of what must always hold.

C8 prices are those in force at the event's time · C11 anchors are kept and parts sum to the whole · C12 a hundred changes in
one day neither overlap nor explode. C15, that a preview is what then happens, is held against the engine in
tests/engine/test_contract_changes.py.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.make import contract, utc
from valorem.core.billing.charges import period_charges
from valorem.core.billing.needs import usage_needs
from valorem.core.billing.schedule import contract_boundary, contract_period
from valorem.core.billing.terms import terms_of
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.tree import parse_catalog
from valorem.core.contracts.edits import Edit, SetSeats
from valorem.core.contracts.history import History
from valorem.core.contracts.parking import parked
from valorem.core.metering.measured import Measured
from valorem.core.periods import Cadence

D = Decimal
CATALOG = """
plan: team
name: Team
currency: USD
every: month
fees:
  seat: {amount: 31, per: seat}
prices:
  calls: PRICE
"""


def catalog(price: str = "{model: per_unit, amount: 1}") -> Catalog:
    return parse_catalog(
        {
            "meters/calls.yaml": "{meter: calls, event: call, aggregate: count}",
            "plans/team.yaml": CATALOG.replace("PRICE", price),
        }
    )


@settings(max_examples=40, deadline=None)
@given(
    changes=st.lists(st.integers(1, 29), unique=True, min_size=1, max_size=4).map(sorted),
    calls=st.lists(st.integers(0, 30 * 96 - 1), max_size=20),
)
def test_c8_each_event_is_priced_by_the_version_in_force_at_its_time(
    changes: list[int], calls: list[int]
) -> None:
    start = utc("2026-04-01")
    quarter = timedelta(minutes=15)
    dated = [start + timedelta(days=each) for each in changes]
    versions = ", ".join(
        f"{{from: {at.date().isoformat()}, model: per_unit, amount: {place + 2}}}"
        for place, at in enumerate(dated)
    )
    terms = terms_of(contract("2026-04-01"), catalog(f"[{{model: per_unit, amount: 1}}, {versions}]"))
    period = contract_period(terms.contract, 0)
    assert period is not None
    (need,) = usage_needs(terms, period)
    assert [part.start for part in need.segments] == [start, *dated]
    answers = []
    for part in need.intervals:
        n = sum(part.start <= start + each * quarter < part.end for each in calls)
        answers.append([Measured({}, D(n), n)])
    lines = period_charges(terms, period, {need.key: answers}).lines
    by_hand = sum(1 + sum(at <= start + each * quarter for at in dated) for each in calls)
    assert sum(line.amount for line in lines if line.kind == "usage") == by_hand


@settings(max_examples=60, deadline=None)
@given(day=st.dates(date(2023, 1, 28), date(2024, 12, 31)), months=st.sampled_from((1, 3, 12)))
def test_c11_the_anchor_is_kept_for_ten_years(day: date, months: int) -> None:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    every = Cadence(months, "month")
    terms = contract(start.date().isoformat(), every=every)
    borders = [contract_boundary(terms, index) for index in range(120 // months + 1)]
    for index, at in enumerate(borders):
        following = at.replace(day=1) + timedelta(days=32)
        last = (following.replace(day=1) - timedelta(days=1)).day
        assert at.day == min(start.day, last), (index, at)
    for one, other in pairwise(range(len(borders) - 1)):
        earlier, later = contract_period(terms, one), contract_period(terms, other)
        assert earlier is not None
        assert later is not None
        assert earlier.interval.end == later.interval.start


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 50)), max_size=8))
def test_c11_parts_of_a_period_sum_to_the_seats_by_day(changes: list[tuple[int, int]]) -> None:
    """A seat costs 31 a month of 31 days: a dollar a day, so that every share is exact."""
    start = utc("2026-01-01")
    dated = sorted(dict(changes).items())
    history = History(contract("2026-01-01"))
    for number, (offset, seats) in enumerate(dated):
        at = start + timedelta(days=offset)
        change = SetSeats(key="seat", quantity=D(seats))
        history = history.with_edit(
            Edit(id=f"e{number}", effective=at, recorded=at, author="t", changes=(change,))
        )
    terms = terms_of(history.contract(), catalog())
    period = contract_period(terms.contract, 0)
    assert period is not None
    (need,) = usage_needs(terms, period)
    lines = period_charges(terms, period, {need.key: [[]]}).lines
    by_day = sum(next((seats for since, seats in reversed(dated) if since <= day), 0) for day in range(31))
    assert sum(line.amount for line in lines) == by_day


def test_c12_a_hundred_changes_in_one_day_park_the_contract_and_bill_one_level() -> None:
    at = utc("2026-01-15")
    history = History(contract("2026-01-01"))
    for number in range(100):
        change = SetSeats(key="seat", quantity=D(number % 7))
        effective = at + (number % 96) * timedelta(minutes=15)
        history = history.with_edit(
            Edit(
                id=f"e{number}",
                effective=effective,
                recorded=at + timedelta(hours=number),
                author="t",
                changes=(change,),
            )
        )
    found = parked(history, 15)
    assert found is not None
    assert "100 changes" in found.reason
    terms = terms_of(history.contract(), catalog())
    period = contract_period(terms.contract, 0)
    assert period is not None
    (need,) = usage_needs(terms, period)
    lines = period_charges(terms, period, {need.key: [[]]}).lines
    assert len(lines) <= 2
    names = [line.charge for line in lines]
    assert len(set(names)) == len(names)
