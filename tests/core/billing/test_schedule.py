"""When invoices fall due and what each covers."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.make import contract, utc
from valorem.core.billing.schedule import (
    contract_boundary,
    contract_period,
    cover,
    due,
    final_boundary,
    late_periods,
    next_due_at,
    period_index_at,
)
from valorem.core.errors import InvalidInputError
from valorem.core.periods import Cadence, calendar_anchor

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Australia/Lord_Howe"])
CADENCES = st.builds(Cadence, st.integers(1, 3), st.sampled_from(["day", "week", "month", "quarter", "year"]))
STARTS = st.integers(0, 12 * 365 * 96).map(
    lambda n: datetime(2005, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * n)
)


def test_the_first_invoice_only_looks_ahead_and_the_last_only_back():
    terms = contract("2026-01-31", end=utc("2026-03-10"))
    first, second, last = (cover(terms, n) for n in range(3))
    assert (first.closed, first.at, first.final) == (None, utc("2026-01-31"), False)
    assert first.ahead is not None
    assert second.closed == first.ahead
    assert last.closed is not None
    assert last.closed == second.ahead
    assert (last.closed.interval.end, last.closed.full.end) == (utc("2026-03-10"), utc("2026-03-31"))
    assert (last.ahead, last.at, last.final) == (None, utc("2026-03-10"), True)


def test_an_end_on_a_border_leaves_no_empty_period():
    terms = contract("2026-01-01", end=utc("2026-03-01"))
    assert final_boundary(terms) == 2
    last = cover(terms, 2)
    assert last.final
    assert last.closed is not None
    assert not last.closed.partial


def test_a_contract_on_the_calendar_has_a_short_first_period():
    start = utc("2026-01-20")
    terms = contract("2026-01-20", anchor=calendar_anchor(start, Cadence(1, "month"), "UTC"))
    first = cover(terms, 0).ahead
    assert first is not None
    assert (first.interval.start, first.interval.end) == (start, utc("2026-02-01"))
    assert first.full.start == utc("2026-01-01")


def test_periods_are_counted_from_the_start_wherever_the_anchor_is():
    terms = contract("2026-05-20", anchor=utc("2020-01-01"))
    assert contract_boundary(terms, 0) == utc("2026-05-20")
    assert contract_boundary(terms, 1) == utc("2026-06-01")
    assert period_index_at(terms, utc("2026-06-01")) == 1


def test_the_start_is_due_at_once_and_a_border_after_its_grace():
    terms = contract("2026-01-01")
    hour = 3600
    assert list(due(terms, -1, utc("2025-12-31"), hour)) == []
    assert list(due(terms, -1, utc("2026-01-01"), hour)) == [0]
    assert list(due(terms, 0, utc("2026-02-01"), hour)) == []
    assert list(due(terms, 0, utc("2026-02-01T01:00"), hour)) == [1]
    assert list(due(terms, 0, utc("2026-04-15"), hour)) == [1, 2, 3]
    assert list(due(terms, 3, utc("2026-04-15"), hour)) == []


def test_nothing_is_due_after_the_final_invoice():
    terms = contract("2026-01-01", end=utc("2026-02-10"))
    assert list(due(terms, -1, utc("2030-01-01"))) == [0, 1, 2]
    assert list(due(terms, 2, utc("2030-01-01"))) == []
    assert next_due_at(terms, 1) == utc("2026-02-10")
    assert next_due_at(terms, 2) is None


def test_borders_outside_the_contract_are_refused():
    terms = contract("2026-01-01", end=utc("2026-02-10"))
    for index in (-1, 3):
        with pytest.raises(InvalidInputError, match="numbered 0 to 2"):
            contract_boundary(terms, index)
    with pytest.raises(InvalidInputError, match="does not run"):
        period_index_at(terms, utc("2026-02-10"))


def test_only_periods_inside_the_accept_window_are_looked_at_again():
    terms = contract("2026-01-01")
    day = 86_400
    assert list(late_periods(terms, 1, 90 * day)) == []
    assert list(late_periods(terms, 2, 90 * day)) == [0]
    assert list(late_periods(terms, 5, 35 * day)) == [2, 3]  # border 4 is May 1; March 27 lies in period 2
    assert list(late_periods(terms, 5, 9999 * day)) == [0, 1, 2, 3]


@settings(max_examples=60, deadline=None)
@given(start=STARTS, days=st.integers(1, 900), cadence=CADENCES, zone=ZONES, quarter=st.integers(0, 900 * 96))
def test_every_instant_of_a_contract_is_closed_by_exactly_one_invoice(start, days, cadence, zone, quarter):
    end = start + timedelta(days=days)
    anchor = calendar_anchor(start, cadence, zone) if zone == "UTC" else start
    terms = contract(
        start=str(start.replace(tzinfo=None)), end=end, every=cadence, anchor=anchor, time_zone=zone
    )
    last = final_boundary(terms)
    assert last is not None
    indices = due(terms, -1, end)
    assert indices == range(last + 1)
    closed = [found.closed.interval for n in indices if (found := cover(terms, n)).closed is not None]
    assert closed[0].start == start
    assert closed[-1].end == end
    assert all(left.end == right.start for left, right in pairwise(closed))
    at = start + timedelta(minutes=15 * (quarter % (days * 96)))
    period = contract_period(terms, period_index_at(terms, at))
    assert period is not None
    assert at in period.interval
    assert [interval for interval in closed if at in interval] == [period.interval]


@settings(max_examples=60, deadline=None)
@given(
    start=STARTS, cadence=CADENCES, zone=ZONES, waits=st.lists(st.integers(0, 400), min_size=1, max_size=6)
)
def test_closing_step_by_step_closes_each_border_once(start, cadence, zone, waits):
    terms = contract(start=str(start.replace(tzinfo=None)), every=cadence, time_zone=zone)
    now = start
    closed: list[int] = []
    for wait in waits:
        now += timedelta(days=wait)
        closed.extend(due(terms, closed[-1] if closed else -1, now))
    assert closed == list(due(terms, -1, now))
    following = next_due_at(terms, closed[-1])
    assert following is not None
    assert following > now


def test_a_day_that_a_zone_skipped_is_neither_closed_nor_billed_ahead():
    start = utc("2011-12-28T10:00")  # local midnight of the 28th in Apia, which had no December 30th
    terms = contract("2011-12-28T10:00", anchor=start, every=Cadence(1, "day"), time_zone="Pacific/Apia")
    covers = [cover(terms, n) for n in range(5)]
    assert [found.ahead is None for found in covers] == [False, False, True, False, False]
    assert [found.closed is None for found in covers] == [True, False, False, True, False]
    assert covers[2].at == covers[3].at
    assert list(due(terms, 1, covers[2].at)) == [2, 3]
