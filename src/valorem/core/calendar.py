"""Local calendars: wall time to instant, months added to dates, whole days between instants."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from valorem.core.errors import InvalidInputError


@lru_cache(maxsize=1024)
def zone_info(zone: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        InvalidInputError: For a name the time zone database does not know.
    """
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInputError(
            f"unknown time zone {zone[:64]!r}",
            field="time_zone",
            hint="use an IANA name such as Europe/Berlin",
        ) from None


def local(instant: datetime, zone: str) -> datetime:
    """The instant as wall time in a zone; ``fold`` is 1 in the second pass of a repeated hour."""
    return instant.astimezone(zone_info(zone))


def local_date(instant: datetime, zone: str) -> date:
    """The calendar date an instant has in a zone."""
    return local(instant, zone).date()


def instant_of(wall: datetime, zone: str) -> datetime:
    """The instant of a naive wall time: the first of two where clocks go back, moved on by the gap where they go forward.

    This is the reading of RFC 5545 section 3.3.5. It never decreases as the wall time increases, which is what lets
    periods tile the line; only a whole day that a zone skipped (Samoa, 2011-12-30) gives the same instant as the day after.
    """
    return wall.replace(tzinfo=zone_info(zone), fold=0).astimezone(UTC)


def start_of_day(day: date, zone: str) -> datetime:
    """The first instant of a local date."""
    return instant_of(datetime.combine(day, time.min), zone)


def add_months(day: date, months: int) -> date:
    """The same day of the month that many months on, or the month's last day where it has no such day.

    Raises:
        InvalidInputError: Past the year 9999 or before the year 1.
    """
    count = day.year * 12 + day.month - 1 + months
    year, month = divmod(count, 12)
    if not date.min.year <= year <= date.max.year:
        raise InvalidInputError(f"year {year} is outside the calendar", hint="dates run from year 1 to 9999")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def add_days(day: date, days: int) -> date:
    """The date that many days on.

    Raises:
        InvalidInputError: Past the year 9999 or before the year 1.
    """
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise InvalidInputError(
            f"{days} days from {day} is outside the calendar", hint="dates run from year 1 to 9999"
        ) from None


def calendar_days(start: datetime, end: datetime, zone: str) -> int:
    """How many local dates lie in ``[start, end)``, the start's own date counted and the end's not.

    A day of 23 or 25 hours counts as one, and counts of adjacent intervals add up to the count of the whole.
    """
    return (local_date(end, zone) - local_date(start, zone)).days
