"""Instants: UTC, exact to the microsecond, and the quarter-hour grid that counters live on."""

import re
from datetime import UTC, datetime, timedelta

from valorem.core.errors import InvalidInputError

QUARTER_HOUR_S = 900
_INSTANT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def parse_instant(value: object, field: str | None = None) -> datetime:
    """Read an RFC 3339 instant with a zone and return it in UTC.

    Digits past the microsecond are cut. A leap second (``:60``) is refused, not guessed at.

    Raises:
        InvalidInputError: For a number (seconds or milliseconds is never guessed), a time without a zone, or a date that
            does not exist.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _refused(f"{value.isoformat()} has no time zone", field)
        return value.astimezone(UTC)
    if not isinstance(value, str):
        raise _refused("an instant is text, and a number of seconds or milliseconds is never guessed", field)
    match = _INSTANT.fullmatch(value)
    if match is None:
        raise _refused(f"{value[:40]!r} is not an instant with a time zone", field)
    try:
        instant = datetime.fromisoformat(
            value[:10] + "T" + value[11:19] + match[8].upper().replace("Z", "+00:00")
        )
        fraction_us = int((match[7] or "").ljust(6, "0")[:6])
        return (instant + timedelta(microseconds=fraction_us)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _refused(f"{value[:40]!r} does not exist ({error})", field) from None


def _refused(message: str, field: str | None) -> InvalidInputError:
    return InvalidInputError(
        message, field=field, hint="write it as 2026-03-05T14:30:00Z or with an offset like +02:00"
    )


def write_instant(instant: datetime) -> str:
    """Write an instant the one way Valorem does: UTC, ``Z``, fractions only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def quarter_hour_of(instant: datetime) -> datetime:
    """The start of the quarter hour an instant falls in."""
    return instant.replace(minute=instant.minute - instant.minute % 15, second=0, microsecond=0)


def on_grid(instant: datetime) -> bool:
    """Whether an instant is a quarter-hour border, as every period border and price change must be."""
    return quarter_hour_of(instant) == instant


def parse_grid_instant(value: object, field: str | None = None) -> datetime:
    """Read an instant that must lie on the quarter-hour grid."""
    instant = parse_instant(value, field)
    if not on_grid(instant):
        raise InvalidInputError(
            f"{write_instant(instant)} is not on the quarter-hour grid",
            field=field,
            hint=f"use {write_instant(quarter_hour_of(instant))} or the next quarter hour",
        )
    return instant
