"""Limit windows: over which stretch of time use is counted against a limit."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from valorem.core.errors import InvalidInputError
from valorem.core.periods import Cadence, Interval, calendar_anchor, period_at
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of
from valorem.core.units import parse_span, write_span

CALENDAR = ("hour", "day", "week", "month", "quarter", "year")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}
_QUARTER_HOUR = timedelta(seconds=QUARTER_HOUR_S)
_HINT = "write hour, day, week, month, billing period, rolling 5 hours, 5 hours from first use, or never"
_TEXT = re.compile(r"(?:rolling (?P<rolling>.+)|(?P<first>.+) from first use)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """Over which time a limit counts.

    Attributes:
        kind: ``calendar`` (an hour, day, week, month, quarter or year of the contract's zone), ``billing_period``,
            ``rolling`` (the last so long), ``from_first_use`` (so long from the first use after the window before), or
            ``never`` (it does not begin anew).
        unit: Of a calendar window.
        length: Of a rolling or fixed window.
    """

    kind: Literal["calendar", "billing_period", "rolling", "from_first_use", "never"]
    unit: str = ""
    length: timedelta = timedelta(0)

    def __str__(self) -> str:
        match self.kind:
            case "calendar":
                return self.unit
            case "rolling":
                return f"rolling {_length_text(self.length)}"
            case "from_first_use":
                return f"{_length_text(self.length)} from first use"
        return self.kind.replace("_", " ")

    def each(self) -> str:
        """What follows an amount for people: ``a day``, ``in any 5 hours``, ``in all``."""
        match self.kind:
            case "rolling":
                return f"in any {_length_text(self.length)}"
            case "from_first_use":
                return f"in {_length_text(self.length)}"
            case "never":
                return "in all"
        return f"an {self}" if str(self).startswith("h") else f"a {self}"


@dataclass(frozen=True, slots=True)
class Span:
    """One window, as it is at an instant.

    Attributes:
        start: From here use counts.
        end: To here; for a rolling window a little after now, so that events the clock is behind of count.
        resets_at: When the window ends and use begins again at nothing; None where it never does or moves with time.
    """

    start: datetime
    end: datetime
    resets_at: datetime | None


def parse_window(value: object, field: str | None = None) -> Window:
    """Read a window as the catalog writes it.

    Raises:
        InvalidInputError: For anything else, and for a length that is not a number of quarter hours.
    """
    if isinstance(value, Window):
        return value
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if text in CALENDAR:
        return Window("calendar", text)
    if text in ("billing period", "never"):
        return Window("billing_period" if text == "billing period" else "never")
    if match := _TEXT.fullmatch(text):
        length = _length(match["rolling"] or match["first"], field)
        return Window("rolling" if match["rolling"] else "from_first_use", length=length)
    raise InvalidInputError(f"expected a window, found {value!r}"[:200], field=field, hint=_HINT)


def _length(text: str, field: str | None) -> timedelta:
    count, unit = parse_span(text, field)
    if unit not in _SECONDS:
        raise InvalidInputError(
            f"a window of {text} has no fixed length", field=field, hint="write it in hours, days or weeks"
        )
    length = timedelta(seconds=count * _SECONDS[unit])
    if not length or length % _QUARTER_HOUR:
        raise InvalidInputError(
            f"a window of {text} is not a number of quarter hours",
            field=field,
            hint="write 15 minutes or a multiple",
        )
    return length


def _length_text(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    unit = next(unit for unit in ("week", "day", "hour", "minute") if seconds % _SECONDS[unit] == 0)
    return write_span((seconds // _SECONDS[unit], unit))


def _before(value: object) -> Window:
    try:
        return parse_window(value)
    except InvalidInputError as error:
        raise ValueError(f"{error.message} ({error.hint})") from None


#: A window as a field of the catalog.
WindowText = Annotated[
    Window,
    BeforeValidator(_before),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "description": "over which time use is counted",
            "examples": ["day", "billing period", "rolling 5 hours", "5 hours from first use", "never"],
        }
    ),
]


def span_at(
    window: Window,
    at: datetime,
    *,
    zone: str,
    since: datetime,
    period: Interval | None = None,
    used: Sequence[datetime] = (),
) -> Span:
    """The window that holds an instant.

    Args:
        window: Which.
        at: The instant.
        zone: Whose calendar.
        since: When the customer started; a window that never begins anew counts from here.
        period: The billing period that holds the instant; the calendar month where there is none.
        used: For a window from first use: the quarter hours with use since ``since``, in order.
    """
    if window.kind == "calendar":
        return _calendar(window.unit, at, zone)
    if window.kind == "billing_period":
        return _calendar("month", at, zone) if period is None else Span(period.start, period.end, period.end)
    soon = quarter_hour_of(at) + 2 * _QUARTER_HOUR
    if window.kind == "rolling":
        # Counters hold quarter hours: the one the window begins in counts whole, so that a check is never too permissive.
        return Span(quarter_hour_of(at - window.length), soon, None)
    if window.kind == "never":
        return Span(since, soon, None)
    start = first_use_start(window.length, at, used)
    if start is None:
        return Span(quarter_hour_of(at), quarter_hour_of(at) + window.length, None)
    return Span(start, start + window.length, start + window.length)


def first_use_start(length: timedelta, at: datetime, used: Sequence[datetime]) -> datetime | None:
    """The start of the running window from first use; None where none runs, so that the next use begins one.

    Args:
        length: Of each window.
        at: The instant looked at.
        used: Quarter hours with use, in order of time.
    """
    start: datetime | None = None
    for bucket in used:
        if bucket > at:
            break
        if start is None or bucket >= start + length:
            start = bucket
    return start if start is not None and at < start + length else None


def _calendar(unit: str, at: datetime, zone: str) -> Span:
    if unit == "hour":
        start = at.replace(minute=0, second=0, microsecond=0)
        return Span(start, start + timedelta(hours=1), start + timedelta(hours=1))
    cadence = Cadence(1, unit)  # type: ignore[arg-type]  # parse_window has checked it
    found = period_at(calendar_anchor(at, cadence, zone), cadence, zone, at).interval
    return Span(found.start, found.end, found.end)
