"""Lengths of time as definitions write them (``24 hours``, ``5 days``), and the end of a window that has one."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from valorem.core.calendar import add_days, instant_of, local

Clock = Literal["elapsed", "calendar_days"]

_DURATION = re.compile(r"(\d{1,9}) ?(second|minute|hour|day|week)s?", re.ASCII)
_UNITS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_LONGEST_S = 50 * 366 * 86_400


def parse_duration(value: object) -> timedelta:
    """Read ``24 hours``, ``5 days``, ``90 seconds``; a day is 24 hours unless a calendar clock counts dates.

    Raises:
        ValueError: For anything else, and beyond 50 years.
    """
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) * _UNITS_S[match[2]] > _LONGEST_S:
        raise ValueError(
            f"expected a length of time, found {value!r} (write it as 24 hours, 5 days or 90 seconds)"
        )
    return timedelta(seconds=int(match[1]) * _UNITS_S[match[2]])


def write_duration(duration: timedelta) -> str:
    """Write a length in the largest unit that divides it, so that equal lengths are written alike: ``3 days``."""
    seconds = duration // timedelta(seconds=1)
    unit = next(name for name in ("day", "hour", "minute", "second") if seconds % _UNITS_S[name] == 0)
    count = seconds // _UNITS_S[unit]
    return f"{count} {unit}{'s' if count != 1 else ''}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{1,9} ?(second|minute|hour|day|week)s?$",
            "description": "a length of time",
            "examples": ["24 hours", "5 days"],
        }
    ),
]


def window_end(start: datetime, length: timedelta, clock: Clock, zone: str) -> datetime:
    """The first instant outside the window ``[start, start + length)``.

    Args:
        start: When it opens (UTC).
        length: How long it is.
        clock: ``elapsed`` counts seconds; ``calendar_days`` keeps the wall time of ``zone`` and counts dates, so that a
            day on which clocks change is still one day.
        zone: The contract's time zone.
    """
    if clock == "elapsed":
        return start.astimezone(UTC) + length
    wall = local(start, zone)
    day = add_days(wall.date(), length.days)
    return instant_of(datetime.combine(day, wall.time()), zone)
