"""From when numbers apply: a date in the contract's time zone, or an instant on the quarter-hour grid."""

from datetime import UTC, date, datetime
from datetime import time as time_of_day
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from valorem.core.errors import InvalidInputError
from valorem.core.time import on_grid, parse_grid_instant, write_instant


def _read(value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and len(value) == len("2026-03-05"):
            return date.fromisoformat(value)
        return parse_grid_instant(value)
    except InvalidInputError as error:
        raise ValueError(f"{error.message} ({error.hint})") from None
    except ValueError:
        raise ValueError(f"{value!r} is not a date (write it as 2026-03-05)") from None


def _write(start: date) -> str:
    return write_instant(start) if isinstance(start, datetime) else start.isoformat()


#: ``2026-03-05`` means midnight in the contract's time zone; an instant must lie on the quarter-hour grid.
Start = Annotated[
    date,
    BeforeValidator(_read),
    PlainSerializer(_write, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "description": "a date, or an instant on the quarter-hour grid",
            "examples": ["2026-03-05", "2026-03-05T12:00:00Z"],
        }
    ),
]


def instant_of(start: date, zone: ZoneInfo | None = None) -> datetime:
    """The instant (UTC) at which numbers dated ``start`` begin to apply; without a zone a date begins at midnight UTC.

    Raises:
        InvalidInputError: When midnight in the zone is not on the quarter-hour grid (old local mean times).
    """
    if isinstance(start, datetime):
        return start
    instant = datetime.combine(start, time_of_day(), tzinfo=zone or UTC).astimezone(UTC)
    if not on_grid(instant):
        raise InvalidInputError(
            f"midnight of {start.isoformat()} in {zone} is not on the quarter-hour grid",
            field="from",
            hint="write the instant instead, such as 2026-03-05T12:00:00Z",
        )
    return instant


def in_force(start: date | None, at: datetime, zone: ZoneInfo | None = None) -> bool:
    """Whether numbers dated ``start`` apply at an instant; numbers without a date always do."""
    return start is None or instant_of(start, zone) <= at
