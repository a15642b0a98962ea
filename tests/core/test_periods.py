"""Periods: borders from an anchor, cut periods, calendar alignment."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from valorem.core.calendar import calendar_days, instant_of, local, local_date, start_of_day
from valorem.core.errors import InvalidInputError
from valorem.core.periods import (
    Cadence,
    Interval,
    boundary,
    calendar_anchor,
    full_period,
    index_at,
    period_at,
    periods_between,
)

MONTH = Cadence(1, "month")
DAY = Cadence(1, "day")
QUARTER_HOURS = st.integers(0, 40 * 365 * 96).map(
    lambda n: datetime(1990, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * n)
)
CADENCES = st.builds(
    Cadence, st.integers(1, 18), st.sampled_from(["day", "week", "month", "quarter", "year"])
)
ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def in_zone(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def dates(anchor: str, cadence: Cadence, count: int, zone: str = "UTC") -> list[str]:
    first = in_zone(anchor, zone)
    return [str(local_date(boundary(first, cadence, zone, k), zone)) for k in range(count)]


def test_the_anchor_day_comes_back_after_a_short_month():
    assert dates("2023-01-31", MONTH, 5) == [
        "2023-01-31",
        "2023-02-28",
        "2023-03-31",
        "2023-04-30",
        "2023-05-31",
    ]
    assert dates("2024-01-30", MONTH, 3) == ["2024-01-30", "2024-02-29", "2024-03-30"]


def test_feb_29_comes_back_in_leap_years():
    year = Cadence(1, "year")
    assert dates("2024-02-29", year, 5) == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]


def test_quarters_and_several_months_keep_the_day():
    assert dates("2025-11-30", Cadence(1, "quarter"), 3) == ["2025-11-30", "2026-02-28", "2026-05-30"]
    assert dates("2025-12-31", Cadence(2, "month"), 3) == ["2025-12-31", "2026-02-28", "2026-04-30"]


def test_borders_keep_wall_time_across_clock_changes():
    anchor = in_zone("2026-03-01T00:00", "Europe/Berlin")
    assert boundary(anchor, MONTH, "Europe/Berlin", 1) == utc("2026-03-31T22:00Z")
    march = full_period(anchor, MONTH, "Europe/Berlin", 0)
    assert march is not None
    assert march.seconds() == 31 * 86400 - 3600


def test_a_wall_time_that_was_skipped_moves_on_by_the_gap():
    anchor = in_zone("2026-03-28T02:30", "Europe/Berlin")  # clocks jump from 02:00 to 03:00 on the 29th
    assert boundary(anchor, DAY, "Europe/Berlin", 1) == utc("2026-03-29T01:30Z")
    assert boundary(anchor, DAY, "Europe/Berlin", 2) == utc("2026-03-30T00:30Z")


def test_a_repeated_wall_time_means_its_first_pass():
    anchor = in_zone("2026-10-24T02:30", "Europe/Berlin")
    assert boundary(anchor, DAY, "Europe/Berlin", 1) == utc("2026-10-25T00:30Z")


def test_an_anchor_in_the_second_pass_is_itself_border_zero():
    anchor = utc("2026-10-25T01:30Z")  # the second 02:30 in Berlin
    assert boundary(anchor, DAY, "Europe/Berlin", 0) == anchor
    assert boundary(anchor, DAY, "Europe/Berlin", 1) == utc("2026-10-26T01:30Z")
    assert index_at(anchor, DAY, "Europe/Berlin", anchor) == 0
    assert index_at(anchor, DAY, "Europe/Berlin", anchor - timedelta(minutes=15)) == -1


def test_lord_howe_moves_its_clocks_by_half_an_hour():
    zone = "Australia/Lord_Howe"
    anchor = in_zone("2026-10-03T02:15", zone)  # 02:00 becomes 02:30 on the 4th
    assert boundary(anchor, DAY, zone, 1) == in_zone("2026-10-04T02:45", zone)
    assert boundary(anchor, DAY, zone, 2) == in_zone("2026-10-05T02:15", zone)


def test_samoa_skipped_a_day_and_its_period_is_dropped():
    zone = "Pacific/Apia"
    anchor = in_zone("2011-12-28T06:00", zone)
    assert full_period(anchor, DAY, zone, 2) is None  # Dec 30 never was
    week = Interval(anchor, in_zone("2012-01-02T06:00", zone))
    periods = list(periods_between(anchor, DAY, zone, week))
    assert [period.index for period in periods] == [0, 1, 3, 4]
    assert all(left.full.end == right.full.start for left, right in pairwise(periods))
    assert calendar_days(anchor, week.end, zone) == 5  # by dates, so that parts of a period add up


@pytest.mark.parametrize(
    ("cadence", "start", "expected"),
    [
        (DAY, "2026-05-20T13:00", "2026-05-20T00:00"),
        (Cadence(1, "week"), "2026-05-20T13:00", "2026-05-18T00:00"),
        (MONTH, "2026-05-20T13:00", "2026-05-01T00:00"),
        (Cadence(1, "quarter"), "2026-05-20T13:00", "2026-04-01T00:00"),
        (Cadence(1, "year"), "2026-05-20T13:00", "2026-01-01T00:00"),
        (MONTH, "2026-05-01T00:00", "2026-05-01T00:00"),
    ],
)
def test_calendar_periods_begin_on_the_calendar(cadence, start, expected):
    zone = "America/Sao_Paulo"
    assert calendar_anchor(in_zone(start, zone), cadence, zone) == in_zone(expected, zone)


def test_a_calendar_anchor_whose_midnight_was_skipped_is_taken_earlier_in_the_row():
    zone = "Pacific/Kiritimati"  # went from 1994-12-30 straight to 1995-01-01
    start = in_zone("1994-12-31T12:00", zone)
    anchor = calendar_anchor(start, DAY, zone)
    assert local(anchor, zone).hour == 0
    assert anchor <= start


def test_a_contract_cuts_its_first_and_last_period_and_keeps_the_full_ones():
    within = Interval(utc("2026-01-10T00:00Z"), utc("2026-03-05T00:00Z"))
    first, middle, last = periods_between(utc("2026-01-01T00:00Z"), MONTH, "UTC", within)
    assert (first.interval.start, first.full.start) == (within.start, utc("2026-01-01T00:00Z"))
    assert (first.partial, middle.partial, last.partial) == (True, False, True)
    assert (last.interval.end, last.full.end) == (within.end, utc("2026-04-01T00:00Z"))


@settings(max_examples=60, deadline=None)
@given(anchor=QUARTER_HOURS, cadence=CADENCES, zone=ZONES, offset_days=st.integers(-800, 800))
@example(anchor=utc("2011-12-01T10:00Z"), cadence=DAY, zone="Pacific/Apia", offset_days=0)
@example(anchor=utc("1993-08-01T12:00Z"), cadence=DAY, zone="Pacific/Kwajalein", offset_days=0)
def test_periods_tile_ten_years_in_any_zone(anchor, cadence, zone, offset_days):
    start = anchor + timedelta(days=offset_days)
    within = Interval(start, start + timedelta(days=3653))
    periods = list(periods_between(anchor, cadence, zone, within))
    assert periods[0].interval.start == within.start
    assert periods[-1].interval.end == within.end
    assert all(left.interval.end == right.interval.start for left, right in pairwise(periods))
    assert all(left.full.end == right.full.start for left, right in pairwise(periods))
    assert sum(period.interval.seconds() for period in periods) == within.seconds()


@settings(max_examples=150, deadline=None)
@given(anchor=QUARTER_HOURS, cadence=CADENCES, zone=ZONES, at=QUARTER_HOURS)
def test_every_instant_lies_in_exactly_one_period(anchor, cadence, zone, at):
    period = period_at(anchor, cadence, zone, at)
    assert at in period.full
    for neighbour in (period.index - 1, period.index + 1):
        beside = full_period(anchor, cadence, zone, neighbour)
        assert beside is None or at not in beside


@pytest.mark.slow
def test_days_tile_ten_years_in_every_zone():
    within = Interval(utc("2007-12-31T12:00Z"), utc("2017-12-31T12:00Z"))
    for zone in sorted(available_timezones() - {"localtime", "Factory"}):
        borders = [boundary(within.start, Cadence(7, "day"), zone, k) for k in range(523)]
        assert borders == sorted(set(borders)), zone
        months = [boundary(within.start, MONTH, zone, k) for k in range(121)]
        assert months == sorted(set(months)), zone


@settings(max_examples=100, deadline=None)
@given(zone=ZONES, instants=st.lists(QUARTER_HOURS, min_size=3, max_size=3, unique=True))
def test_day_counts_of_adjacent_intervals_add_up(zone, instants):
    first, second, third = sorted(instants)
    whole = calendar_days(first, third, zone)
    assert calendar_days(first, second, zone) + calendar_days(second, third, zone) == whole


@settings(max_examples=100, deadline=None)
@given(zone=ZONES, at=QUARTER_HOURS)
def test_a_day_starts_no_later_than_its_instants(zone, at):
    day_start = start_of_day(local_date(at, zone), zone)
    assert day_start <= at
    assert local_date(day_start, zone) == local_date(at, zone)


def test_wall_times_outside_the_calendar_are_refused():
    with pytest.raises(InvalidInputError, match="outside the calendar"):
        boundary(utc("9999-01-01T00:00Z"), Cadence(1, "year"), "UTC", 1)


@pytest.mark.parametrize(("count", "unit"), [(0, "month"), (1201, "day"), (1, "hour")])
def test_a_cadence_is_a_positive_count_of_calendar_units(count, unit):
    with pytest.raises(InvalidInputError):
        Cadence(count, unit)


def test_an_unknown_zone_is_refused_with_the_way_out():
    with pytest.raises(InvalidInputError, match="IANA"):
        local_date(utc("2026-01-01T00:00Z"), "Mars/Olympus")


def test_an_interval_is_half_open_and_never_empty():
    day = Interval(utc("2026-01-01T00:00Z"), utc("2026-01-02T00:00Z"))
    assert day.start in day
    assert day.end not in day
    with pytest.raises(InvalidInputError, match="not after"):
        Interval(day.start, day.start)
    noon = utc("2026-01-01T12:00Z")
    assert day.split([noon, day.start, noon, day.end]) == (Interval(day.start, noon), Interval(noon, day.end))


def test_instant_of_never_decreases_over_a_clock_change():
    walls = [datetime.fromisoformat("2026-10-25T00:00") + timedelta(minutes=15 * n) for n in range(24)]
    instants = [instant_of(wall, "Europe/Berlin") for wall in walls]
    assert instants == sorted(instants)
