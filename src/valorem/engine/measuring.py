"""Answers to what billing needs to know: counters, merged over a customer's subjects, as measured quantities."""

from collections.abc import Sequence

from valorem.core.billing.needs import PeriodUsage, UsageNeed, adds_up
from valorem.core.errors import UnprocessableError
from valorem.core.metering.event import EPOCH
from valorem.core.metering.measured import Measured
from valorem.core.metering.tally import EMPTY, Tally, merge, value
from valorem.core.numbers import exact
from valorem.core.periods import Interval
from valorem.engine.engine import Transaction
from valorem.engine.recounting import measured_values
from valorem.engine.tallies import TallyReader
from valorem.store.postgres.counters import Dimensions


@exact
def measure(
    tx: Transaction,
    subjects: Sequence[str],
    needs: Sequence[UsageNeed],
    read: TallyReader,
    *,
    until_seq: int | None = None,
) -> PeriodUsage:
    """Answer the usage needs of one period.

    Args:
        tx: The transaction.
        subjects: The customer's subjects.
        needs: From ``usage_needs``.
        read: Where tallies come from: the live counters, or recorded events up to a cut-off.
        until_seq: The cut-off, for what must look at single events; everything recorded where left out.

    Returns:
        For each need's key one list of measured quantities per interval.
    """
    return {need.key: _answer(tx, subjects, need, read, until_seq) for need in needs}


def _answer(
    tx: Transaction, subjects: Sequence[str], need: UsageNeed, read: TallyReader, until_seq: int | None
) -> list[list[Measured]]:
    if need.with_values or need.meter.aggregation.needs_events:
        return [
            measured_values(tx, subjects, need.meter, interval, need.dimensions, until_seq=until_seq)
            for interval in need.intervals
        ]
    edges = [need.segments[0].start, *(segment.end for segment in need.segments)]
    by_segment = _grouped(need, read(need.meter, edges), len(need.segments))
    before: dict[Dimensions, Tally] = {}
    if need.meter.aggregation.moment:
        (before,) = _grouped(need, read(need.meter, [EPOCH, edges[0]]), 1)
    answers = []
    by_parts = adds_up(need.meter)
    running: dict[Dimensions, Tally] = {}
    for interval, tallies in zip(need.intervals, by_segment, strict=True):
        for dimensions, tally in tallies.items():
            running[dimensions] = merge(running.get(dimensions, EMPTY), tally)
        # What adds up is measured segment by segment, everything else from the period's start each time.
        answers.append(_measured(need, interval, tallies if by_parts else running, before))
        if by_parts and need.meter.aggregation.moment:
            for dimensions, tally in tallies.items():
                before[dimensions] = merge(before.get(dimensions, EMPTY), tally)
    return answers


def _measured(
    need: UsageNeed, interval: Interval, tallies: dict[Dimensions, Tally], before: dict[Dimensions, Tally]
) -> list[Measured]:
    meter = need.meter
    found = []
    for dimensions in sorted(
        {*tallies, *before}, key=lambda values: tuple((text is not None, text or "") for text in values)
    ):
        tally = tallies.get(dimensions, EMPTY)
        quantity = value(
            meter.aggregation, tally, interval.start, interval.end, before=before.get(dimensions, EMPTY)
        )
        if meter.convert is not None:
            quantity = meter.convert.apply(quantity).invoiced
        found.append(Measured(dict(zip(need.dimensions, dimensions, strict=True)), quantity, tally.n))
    return found


def _grouped(
    need: UsageNeed, rows: Sequence[tuple[int, Dimensions, Tally]], segments: int
) -> list[dict[Dimensions, Tally]]:
    """Merge over the dimensions that the price does not look at."""
    names = need.meter.dimension_names
    try:
        places = [names.index(name) for name in need.dimensions]
    except ValueError:
        raise UnprocessableError(
            f"meter {need.key} has dimensions {', '.join(names) or 'none'}, its price asks for {', '.join(need.dimensions)}",
            field=f"prices.{need.key}",
        ) from None
    grouped: list[dict[Dimensions, Tally]] = [{} for _ in range(segments)]
    for segment, dimensions, tally in rows:
        kept = tuple(dimensions[place] for place in places)
        grouped[segment][kept] = merge(grouped[segment].get(kept, EMPTY), tally)
    return grouped
