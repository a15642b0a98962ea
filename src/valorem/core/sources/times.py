"""Times as other systems write them: with a zone, in one, as seconds or milliseconds; the catalog says which."""

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, WithJsonSchema

from valorem.core.errors import InvalidInputError
from valorem.core.metering.values import number_of
from valorem.core.time import parse_instant

Format = Literal["rfc3339", "local", "unix", "unix_ms", "unix_us"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_SECOND = {"unix": 1, "unix_ms": 1000, "unix_us": 1_000_000}
_LOCAL = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?))?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2}):(\d{2})", re.ASCII)


def zone_named(name: str) -> timezone | ZoneInfo:
    """A zone by its IANA name, or a fixed offset such as ``+01:00`` for a system without daylight saving.

    Raises:
        InvalidInputError: If there is no such zone.
    """
    if (offset := _OFFSET.fullmatch(name)) and int(offset[2]) < 24 and int(offset[3]) < 60:
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    try:
        return ZoneInfo(name)
    except (ValueError, OSError):
        raise InvalidInputError(
            f"there is no time zone {name[:60]!r}", hint="write Europe/Berlin, or an offset such as +01:00"
        ) from None


def _read_zone(value: object) -> object:
    if isinstance(value, str):
        try:
            zone_named(value)
        except InvalidInputError as error:
            raise ValueError(f"{error.message} ({error.hint})") from None
    return value


Zone = Annotated[
    str,
    BeforeValidator(_read_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "+01:00"]}),
]


def read_time(value: object, form: Format, zone: str | None, repeated: str, field: str) -> datetime:
    """Read a time another system wrote.

    Args:
        value: As found in the record.
        form: How it is written.
        zone: For ``local``: where its clock hangs.
        repeated: For ``local``, in the hour that a clock shows twice: ``earlier`` or ``later``.
        field: Where it stands, for the error.

    Returns:
        The instant in UTC, digits past the microsecond cut.

    Raises:
        InvalidInputError: Naming the field, for anything else.
    """
    if value is None:
        raise InvalidInputError("the time is missing", field=field, hint="map it to a field that has one")
    if form in _PER_SECOND:
        number = number_of(value, field)
        microseconds = int(number * Decimal(1_000_000 // _PER_SECOND[form]))
        try:
            return _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError:
            raise InvalidInputError(
                f"{value} is no time in {form}", field=field, hint="check the format: unix, unix_ms, unix_us"
            ) from None
    if form == "local":
        return _local(value, zone or "UTC", repeated, field)
    return parse_instant(value, field)


def _local(value: object, zone: str, repeated: str, field: str) -> datetime:
    if isinstance(value, datetime):
        wall = value if value.tzinfo is None else value.astimezone(zone_named(zone)).replace(tzinfo=None)
    else:
        match = _LOCAL.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise InvalidInputError(
                f"{str(value)[:40]!r} is no local time", field=field, hint="it reads 2026-03-05 14:30:00"
            )
        clock = (match[2] or "00:00:00")[:15]
        try:
            wall = datetime.fromisoformat(f"{match[1]}T{clock}")
        except ValueError as error:
            raise InvalidInputError(f"{str(value)[:40]!r} does not exist ({error})", field=field) from None
    return wall.replace(tzinfo=zone_named(zone), fold=1 if repeated == "later" else 0).astimezone(UTC)
