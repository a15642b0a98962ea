"""Measure event by event, from what is recorded: percentiles, and prices that count single events off."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from valorem.core.metering.measured import Measured
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import fold, percentile, value
from valorem.core.periods import Interval
from valorem.engine.archive import Archive
from valorem.engine.engine import Transaction
from valorem.store.postgres.counters import Dimensions

_Readings = list[tuple[Decimal | str, datetime, bytes]]


def measured_values(
    tx: Transaction,
    subjects: Sequence[str],
    meter: Meter,
    interval: Interval,
    dimensions: Sequence[str],
    *,
    until_seq: int | None = None,
) -> list[Measured]:
    """Measure one interval event by event.

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
    groups: dict[Dimensions, _Readings] = {}
    for found in Archive(tx, subjects, meter, interval.start, interval.end, until_seq=until_seq).every():
        for reading in found.readings:
            values = tuple(reading.dimensions[place] for place in places)
            groups.setdefault(values, []).append((reading.value, found.time, found.key))
    return [
        _measured(meter, interval, dict(zip(dimensions, values, strict=True)), groups[values])
        for values in sorted(
            groups, key=lambda values: tuple((text is not None, text or "") for text in values)
        )
    ]


def _measured(
    meter: Meter, interval: Interval, dimensions: dict[str, str | None], readings: _Readings
) -> Measured:
    numbers = tuple(number for number, _, _ in readings if isinstance(number, Decimal))
    if meter.aggregation.needs_events:
        assert meter.percentile is not None  # the meter's own check
        quantity = percentile(numbers, meter.percentile)
    else:
        quantity = value(meter.aggregation, fold(meter.aggregation, readings), interval.start, interval.end)
    if meter.convert is not None:
        quantity = meter.convert.apply(quantity).invoiced
    return Measured(dimensions, quantity, len(readings), numbers)
