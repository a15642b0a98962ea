"""The very events behind a quantity, page by page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.metering.meter import Meter, Reading
from valorem.core.time import parse_instant, write_instant
from valorem.engine.archive import Archive
from valorem.engine.engine import Transaction


@dataclass(frozen=True, slots=True)
class EventBehind:
    """One event as it counts: with its time, and amended if it was.

    Attributes:
        event: The event.
        value: What the meter read from it for the dimensions asked for; for text the number of readings.
    """

    event: Event
    value: Decimal


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events in order of time.

    Attributes:
        items: The events.
        next: Cursor of the page that follows; None on the last.
    """

    items: tuple[EventBehind, ...]
    next: str | None


def events_of(
    tx: Transaction,
    *,
    subjects: Sequence[str],
    meter: Meter,
    dimensions: Mapping[str, str | None],
    start: datetime,
    end: datetime,
    after: str | None = None,
    limit: int = 50,
    until_seq: int | None = None,
) -> EventPage:
    """The events that a meter counted in an interval, for some dimension values, in order of (time, identity).

    Their values over all pages add up to the quantity of a line that sums.

    Args:
        tx: The transaction.
        subjects: The customer's subjects.
        meter: The meter revision.
        dimensions: Values that must agree; dimensions not named may have any.
        start: Of the interval.
        end: Not in it.
        after: Cursor of the page before.
        limit: Events on a page.
        until_seq: As of this sequence; everything recorded where left out.

    Raises:
        InvalidInputError: For a cursor that no page gave, or a dimension the meter has not.
    """
    check_dimensions(meter, dimensions)
    where = {name: (value,) for name, value in dimensions.items()}
    archive = Archive(tx, subjects, meter, start, end, where, until_seq)
    found = archive.page(read_cursor(after) if after else None, limit + 1)
    page = found[:limit]
    items = tuple(
        EventBehind(event, value_of(one.readings))
        for one, event in zip(page, archive.events(page), strict=True)
    )
    return EventPage(items, write_cursor(page[-1].time, page[-1].key) if len(found) > limit else None)


def check_dimensions(meter: Meter, names: Iterable[str]) -> None:
    """Refuse a dimension that a meter has not.

    Raises:
        InvalidInputError: Naming those it has.
    """
    for name in names:
        if name not in meter.dimension_names:
            raise InvalidInputError(
                f"the meter {meter.key} has no dimension {name[:60]!r}",
                field="dimensions",
                hint=f"it has {', '.join(meter.dimension_names) or 'none'}",
            )


def value_of(readings: Sequence[Reading]) -> Decimal:
    """The sum of what was read from one event; for text the number of readings."""
    return sum(
        (each.value if isinstance(each.value, Decimal) else Decimal(1) for each in readings), Decimal(0)
    )


def write_cursor(time: datetime, key: bytes) -> str:
    """Where a page of events ended, for the next one."""
    return f"{write_instant(time)}~{key.hex()}"


def read_cursor(cursor: str) -> tuple[datetime, bytes]:
    """The time and identity after which a page of events begins.

    Raises:
        InvalidInputError: For a cursor that no page gave.
    """
    time, _, key = cursor.partition("~")
    try:
        return parse_instant(time, "after"), bytes.fromhex(key)
    except ValueError:
        raise InvalidInputError(
            "this is no cursor", field="after", hint="pass the 'next' of the page before"
        ) from None
