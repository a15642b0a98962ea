"""Invariants of money and time, each by its number in the list of what must always hold.

C1 one invoice, one number, whoever else closes or dies: tests/engine/test_closing.py (many sides at once) and
test_closing_killed.py (at every statement). C2 lines, taxes and credits sum, in currencies of 0 to 4 decimals:
test_taxes.py, test_credit_notes.py, tests/core/pricing/test_pipeline.py. C3 numbers without a gap: as C1. C4 what is final
stays: tests/engine/test_settling.py (the app's own role cannot change it; notes never pass the invoice). C5 late events once:
tests/engine/test_late_usage.py (closing races with ingest). C6 the difference of the whole, against an oracle:
test_invoices.py. C7 any order gives the same invoice: test_invoices.py, tests/engine/test_closing.py. C8 here. C9 edges of
tiers, packages, bounds: tests/core/pricing/test_models.py, and splitting an event here. C10 every zone's days tile:
tests/core/test_periods.py. C11, C12, C13 here. C14 a provider that loses, repeats and reorders:
tests/engine/test_collecting.py and tests/integrations/test_stripe.py over HTTP. C15 a preview is what then happens:
tests/engine/test_contract_changes.py. C16 a sandbox's clock: tests/engine/test_closing.py.
"""

import tracemalloc
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.make import contract, utc
from valorem.core.billing.canonical import canonical_bytes, read_invoice
from valorem.core.billing.charges import period_charges
from valorem.core.billing.draft import draft_invoice
from valorem.core.billing.invoice import Invoice, Line
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
_MANY = 300
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


TIERED = "{model: graduated, included: 3, tiers: [{up_to: 10, unit: 2}, {up_to: 20, unit: 1.5}, {unit: 1}]}"


@settings(max_examples=40, deadline=None)
@given(
    price=st.sampled_from(
        (
            TIERED,
            TIERED.replace("graduated", "volume"),
            "{model: package, size: 7, amount: 5}",
            "{model: per_unit, amount: 2, minimum: 20, maximum: 50}",
        )
    ),
    quantities=st.lists(st.integers(0, 25), min_size=1, max_size=4),
    cut=st.integers(0, 25),
)
def test_c9_splitting_use_in_two_never_changes_the_sum(price: str, quantities: list[int], cut: int) -> None:
    terms = terms_of(contract("2026-01-01"), catalog(price))
    period = contract_period(terms.contract, 0)
    assert period is not None
    (need,) = usage_needs(terms, period)

    def charged(parts: list[int]) -> Decimal:
        measured = [Measured({}, D(part), 1) for part in parts]
        whole = [Measured({}, sum((each.quantity for each in measured), D(0)), len(measured))]
        lines = period_charges(terms, period, {need.key: [whole]}).lines
        return sum((line.amount for line in lines if line.kind == "usage"), D(0))

    first, *rest = quantities
    assert charged([min(cut, first), first - min(cut, first), *rest]) == charged(quantities)


def test_c13_an_invoice_of_nothing_of_less_than_nothing_and_of_very_many_lines() -> None:
    rates = "{model: matrix, rates: [{region: a, amount: 1}], default: {amount: 0.01}}"
    files = {
        "meters/calls.yaml": "{meter: calls, event: call, aggregate: count, dimensions: {region: data.r}}",
        "plans/team.yaml": CATALOG.replace("PRICE", rates),
    }
    terms = terms_of(contract("2026-01-01"), parse_catalog(files))
    period = contract_period(terms.contract, 0)
    assert period is not None
    (need,) = usage_needs(terms, period)

    def drafted(regions: int, billed: Sequence[Line] = ()) -> Invoice:
        used = [Measured({"region": f"r{number}"}, D(100), 1) for number in range(regions)]
        return draft_invoice(terms, 1, {0: {need.key: [used]}}, billed)

    assert drafted(0).total == 0
    many = drafted(_MANY)
    assert len(many.lines) == _MANY
    assert many.total == sum(line.amount for line in many.lines) == _MANY
    assert read_invoice(canonical_bytes(many)) == many
    back = drafted(0, many.lines)  # everything was voided after it was billed
    assert back.total == -_MANY

    def peak(regions: int) -> int:
        tracemalloc.start()
        try:
            canonical_bytes(drafted(regions))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(_MANY) < 6 * peak(_MANY // 4)  # in step with its lines, and no faster
