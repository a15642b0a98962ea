"""Limit windows: which stretch holds an instant, and that a window is never shorter than it says."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.entitlements.windows import Window, first_use_start, parse_window, span_at
from valorem.core.errors import InvalidInputError
from valorem.core.periods import Interval
from valorem.core.time import on_grid

AT = datetime(2026, 3, 29, 10, 7, tzinfo=UTC)
START = datetime(2026, 1, 5, tzinfo=UTC)
instants = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


@pytest.mark.parametrize(
    "text",
    [
        "hour",
        "day",
        "week",
        "month",
        "quarter",
        "year",
        "billing period",
        "never",
        "rolling 5 hours",
        "2 days from first use",
    ],
)
def test_a_window_is_written_as_it_is_read(text):
    assert str(parse_window(text)) == text


@pytest.mark.parametrize(
    "text", ["", "days", "rolling", "rolling 7 minutes", "rolling 1 month", "from first use", 5, None]
)
def test_what_is_no_window(text):
    with pytest.raises(InvalidInputError):
        parse_window(text)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("hour", datetime(2026, 3, 29, 10, tzinfo=UTC), datetime(2026, 3, 29, 11, tzinfo=UTC)),
        # the day on which Berlin's clocks go forward has 23 hours
        ("day", datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("week", datetime(2026, 3, 22, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),
        ("month", datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)),
    ],
)
def test_calendar_windows_live_in_the_zone(text, start, end):
    span = span_at(parse_window(text), AT, zone="Europe/Berlin", since=START)
    assert (span.start, span.end, span.resets_at) == (start, end, end)


def test_the_billing_period_is_the_contract_s():
    period = Interval(datetime(2026, 3, 14, tzinfo=UTC), datetime(2026, 4, 14, tzinfo=UTC))
    span = span_at(Window("billing_period"), AT, zone="UTC", since=START, period=period)
    assert (span.start, span.resets_at) == (period.start, period.end)


def test_never_counts_from_the_start():
    span = span_at(Window("never"), AT, zone="UTC", since=START)
    assert (span.start, span.resets_at) == (START, None)
    assert span.end > AT + timedelta(minutes=5)


@given(instants, zones, st.sampled_from(["hour", "day", "week", "month", "quarter", "year"]))
def test_calendar_windows_hold_their_instant_and_lie_on_the_grid(at, zone, unit):
    span = span_at(Window("calendar", unit), at, zone=zone, since=START)
    assert span.start <= at < span.end
    assert on_grid(span.start)
    assert on_grid(span.end)
    assert span_at(Window("calendar", unit), span.end, zone=zone, since=START).start == span.end


@given(instants, st.integers(1, 400))
def test_a_rolling_window_is_never_shorter_than_it_says(at, quarters):
    length = timedelta(minutes=15 * quarters)
    span = span_at(Window("rolling", length=length), at, zone="UTC", since=START)
    assert span.start <= at - length
    assert at - length - span.start < timedelta(minutes=15)
    assert span.end >= at + timedelta(minutes=5)


@given(st.lists(st.integers(0, 500), max_size=40), st.integers(1, 60), st.integers(0, 500))
def test_windows_from_first_use_are_what_walking_through_them_gives(used, quarters, now):
    def at(quarter: int) -> datetime:
        return START + timedelta(minutes=15 * quarter)

    length = timedelta(minutes=15 * quarters)
    running: int | None = None
    for quarter in range(now + 1):
        if running is not None and quarter >= running + quarters:
            running = None
        if running is None and quarter in used:
            running = quarter
    found = first_use_start(length, at(now), [at(quarter) for quarter in sorted(used)])
    assert found == (None if running is None else at(running))
