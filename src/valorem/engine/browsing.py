"""The very events behind a quantity, page by page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from heapq import nsmallest

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.metering.meter import Meter, Reading
from valorem.core.metering.read import compile_meter
from valorem.core.time import parse_instant, write_instant
from valorem.engine.engine import Transaction
from valorem.engine.history import Counted, counted_events


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
        InvalidInputError: For a cursor that no page gave.
    """
    places = {meter.dimension_names.index(name): value for name, value in dimensions.items()}
    first = _read_cursor(after) if after else None
    compiled = compile_meter(meter)

    def matching() -> Iterator[tuple[tuple[datetime, bytes], Counted, Decimal]]:
        for counted in counted_events(
            tx.connection,
            tx.workspace.id,
            subjects=subjects,
            start=start if first is None else max(start, first[0]),
            end=end,
            types=meter.event,
            until_seq=until_seq,
        ):
            assert counted.event.time is not None  # a recorded event has its time
            order = (counted.event.time, counted.key)
            if first is not None and order <= first:
                continue
            try:
                readings = compiled.read(counted.event)
            except InvalidInputError:
                continue  # accepted before this meter's rules: it counts nothing, here as in the counters
            chosen = [
                each for each in readings if all(each.dimensions[at] == value for at, value in places.items())
            ]
            if chosen:
                yield order, counted, _value(chosen)

    found = nsmallest(limit + 1, matching(), key=lambda match: match[0])
    items = tuple(EventBehind(counted.event, value) for _, counted, value in found[:limit])
    return EventPage(items, _write_cursor(*found[limit - 1][0]) if len(found) > limit else None)


def _value(readings: Sequence[Reading]) -> Decimal:
    return sum(
        (each.value if isinstance(each.value, Decimal) else Decimal(1) for each in readings), Decimal(0)
    )


def _write_cursor(time: datetime, key: bytes) -> str:
    return f"{write_instant(time)}~{key.hex()}"


def _read_cursor(cursor: str) -> tuple[datetime, bytes]:
    time, _, key = cursor.partition("~")
    try:
        return parse_instant(time, "after"), bytes.fromhex(key)
    except ValueError:
        raise InvalidInputError(
            "this is no cursor", field="after", hint="pass the 'next' of the page before"
        ) from None
