"""Measure event by event, from what is recorded: percentiles, and prices that count single events off."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.metering.aggregation import Aggregation
from valorem.core.metering.measured import Measured
from valorem.core.metering.meter import Meter
from valorem.core.metering.read import compile_meter
from valorem.core.metering.tally import EMPTY, add, percentile, value
from valorem.core.periods import Interval
from valorem.engine.engine import Transaction
from valorem.engine.history import counted_events
from valorem.store.postgres.counters import Dimensions


@dataclass(frozen=True, slots=True)
class _Read:
    at: datetime
    order: bytes
    dimensions: Dimensions
    value: Decimal | str


def measured_values(
    tx: Transaction,
    subjects: Sequence[str],
    meter: Meter,
    interval: Interval,
    dimensions: Sequence[str],
    *,
    until_seq: int | None = None,
) -> list[Measured]:
    """Measure one interval event by event: percentiles, and prices that count single events off.

    Args:
        tx: The transaction.
        subjects: The customer's subjects.
        meter: The meter.
        interval: The interval.
        dimensions: What to tell apart; other dimensions are added up.
        until_seq: Events and corrections up to this sequence; all where left out.

    Returns:
        One value for each combination, with the numeric value of every event in order of time.
    """
    places = [meter.dimension_names.index(name) for name in dimensions]
    groups: dict[Dimensions, list[_Read]] = {}
    for reading in _readings(tx, subjects, meter, interval, until_seq):
        groups.setdefault(tuple(reading.dimensions[place] for place in places), []).append(reading)
    return [
        _measured(meter, interval, dict(zip(dimensions, values, strict=True)), readings)
        for values, readings in sorted(groups.items(), key=lambda item: tuple(text or "" for text in item[0]))
    ]


def _measured(
    meter: Meter, interval: Interval, dimensions: dict[str, str | None], readings: list[_Read]
) -> Measured:
    readings.sort(key=lambda reading: (reading.at, reading.order))
    numbers = tuple(reading.value for reading in readings if isinstance(reading.value, Decimal))
    if meter.aggregation.needs_events:
        assert meter.percentile is not None  # the meter's own check
        quantity = percentile(numbers, meter.percentile)
    else:
        quantity = _folded(meter.aggregation, readings, interval)
    if meter.convert is not None:
        quantity = meter.convert.apply(quantity).invoiced
    return Measured(dimensions, quantity, len(readings), numbers)


def _folded(aggregation: Aggregation, readings: Sequence[_Read], interval: Interval) -> Decimal:
    tally = EMPTY
    for reading in readings:
        tally = add(aggregation, tally, reading.value, reading.at, reading.order)
    return value(aggregation, tally, interval.start, interval.end)


def _readings(
    tx: Transaction, subjects: Sequence[str], meter: Meter, interval: Interval, until_seq: int | None
) -> list[_Read]:
    compiled = compile_meter(meter)
    found: list[_Read] = []
    for counted in counted_events(
        tx.connection,
        tx.workspace.id,
        subjects=subjects,
        start=interval.start,
        end=interval.end,
        types=meter.event,
        until_seq=until_seq,
    ):
        assert counted.event.time is not None  # a recorded event has its time
        try:
            readings = compiled.read(counted.event)
        except InvalidInputError:
            continue  # accepted before this meter's rules: it counts nothing, here as in the counters
        order = counted.event.order + counted.key
        found += [_Read(counted.event.time, order, each.dimensions, each.value) for each in readings]
    return found
