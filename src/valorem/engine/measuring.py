"""Answers to what billing needs to know: counters, merged over a customer's subjects, as measured quantities."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from valorem.core.billing.needs import PeriodUsage, UsageNeed, adds_up
from valorem.core.contracts.sources import Sources, Span
from valorem.core.errors import UnprocessableError
from valorem.core.metering.event import EPOCH
from valorem.core.metering.measured import Measured
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import EMPTY, Tally, merge, value
from valorem.core.numbers import exact
from valorem.core.periods import Interval
from valorem.engine.engine import Transaction
from valorem.engine.meters import revision_ids
from valorem.engine.recounting import measured_values
from valorem.engine.tallies import TallyReader, live_tallies
from valorem.store.postgres import counters
from valorem.store.postgres.counters import Asked, Dimensions


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


#: Where the tallies of some subjects come from, for some meters.
Reading = Callable[[Sequence[str], Sequence[Meter]], TallyReader]


@exact
def measure_sources(
    tx: Transaction,
    sources: Sources,
    needs: Sequence[UsageNeed],
    reading: Reading | None = None,
    *,
    until_seq: int | None = None,
) -> PeriodUsage:
    """Answer the usage needs of one period over everything a contract bills, whoever paid for it when.

    Args:
        tx: The transaction.
        sources: Whose counters.
        needs: From ``usage_needs``.
        reading: Where tallies come from; the live counters where left out.
        until_seq: The cut-off, for what must look at single events.
    """
    meters = [need.meter for need in needs]
    readers: dict[tuple[str, ...], TallyReader] = {}

    def reader_of(subjects: tuple[str, ...]) -> TallyReader:
        if subjects not in readers:
            readers[subjects] = (
                live_tallies(tx, subjects, meters) if reading is None else reading(subjects, meters)
            )
        return readers[subjects]

    def answer(need: UsageNeed) -> list[list[Measured]]:
        spans = sources.pool if need.customer is None else sources.apart.get(need.customer, ())
        if len(spans) == 1 and spans[0].start is None and spans[0].end is None:
            subjects = spans[0].subjects
            return _answer(tx, subjects, need, reader_of(subjects), until_seq)
        return _over(tx, spans, need, reader_of, until_seq)

    return {need.key: answer(need) for need in needs}


def read_at_once(tx: Transaction, needs: Iterable[tuple[Sources, UsageNeed]]) -> Reading:
    """Read the live counters for many needs in a query or two, for :func:`measure_sources` to answer them from.

    What it was not asked for beforehand it reads when it is asked.
    """
    asked: dict[tuple[tuple[str, ...], str, tuple[datetime, ...]], Asked] = {}
    for sources, need in needs:
        aggregation = need.meter.aggregation
        spans = sources.pool if need.customer is None else sources.apart.get(need.customer, ())
        if need.with_values or aggregation.needs_events or len(spans) != 1:
            continue
        revision = revision_ids(tx, [need.meter])[need.meter.fingerprint()]
        edges = _edges(need)
        for each in (edges, (EPOCH, edges[0])) if aggregation.moment else (edges,):
            key = (spans[0].subjects, need.meter.fingerprint(), each)
            asked[key] = Asked(spans[0].subjects, revision, aggregation, each)
    found = dict(
        zip(
            asked,
            counters.read_many(tx.connection, tx.workspace.id, list(asked.values())) if asked else (),
            strict=True,
        )
    )

    def reading(subjects: Sequence[str], meters: Sequence[Meter]) -> TallyReader:
        live = live_tallies(tx, subjects, meters)

        def read(meter: Meter, edges: Sequence[datetime]) -> list[tuple[int, Dimensions, Tally]]:
            known = found.get((tuple(subjects), meter.fingerprint(), tuple(edges)))
            return live(meter, edges) if known is None else known

        return read

    return reading


def _edges(need: UsageNeed) -> tuple[datetime, ...]:
    return (need.segments[0].start, *(segment.end for segment in need.segments))


def _over(
    tx: Transaction,
    spans: Sequence[Span],
    need: UsageNeed,
    reader_of: Callable[[tuple[str, ...]], TallyReader],
    until_seq: int | None,
) -> list[list[Measured]]:
    """Answer a need over subjects that change within it: what adds up is added up, everything else is merged."""
    additive = adds_up(need.meter) or need.with_values
    if not additive and not need.meter.aggregation.needs_events:
        return _answer(tx, (), need, _merged(spans, reader_of), until_seq)
    answers: list[list[Measured]] = [[] for _ in need.intervals]
    for span in spans if additive else _last(spans, need):
        parts = [
            (place, inside)
            for place, interval in enumerate(need.intervals)
            if (inside := _inside(span, interval)) is not None
        ]
        if parts:
            covered = tuple(inside for _, inside in parts)
            asked = replace(need, intervals=covered, segments=covered)
            found = _answer(tx, span.subjects, asked, reader_of(span.subjects), until_seq)
            for (place, _), measured in zip(parts, found, strict=True):
                answers[place] = _added(need, answers[place], measured)
    return answers


def _last(spans: Sequence[Span], need: UsageNeed) -> Sequence[Span]:
    """What cannot be put together from parts is measured of those who are counted at the end, over the whole."""
    end = need.segments[-1].end
    found = [each for each in spans if each.start is None or each.start < end]
    return [Span(None, None, found[-1].subjects)] if found else []


def _inside(span: Span, interval: Interval) -> Interval | None:
    start = interval.start if span.start is None else max(span.start, interval.start)
    end = interval.end if span.end is None else min(span.end, interval.end)
    return Interval(start, end) if start < end else None


def _added(need: UsageNeed, one: Sequence[Measured], other: Sequence[Measured]) -> list[Measured]:
    """Measured quantities added up by dimension values; single events stay in order of time."""
    sums: dict[Dimensions, Measured] = {}
    for each in (*one, *other):
        values = tuple(each.dimensions.get(name) for name in need.dimensions)
        known = sums.get(values)
        sums[values] = (
            each
            if known is None
            else Measured(
                each.dimensions,
                known.quantity + each.quantity,
                known.events + each.events,
                known.values + each.values,
            )
        )
    return list(sums.values())


def _merged(spans: Sequence[Span], reader_of: Callable[[tuple[str, ...]], TallyReader]) -> TallyReader:
    """A reader of each subject's tallies while it is counted."""

    def read(meter: Meter, edges: Sequence[datetime]) -> list[tuple[int, Dimensions, Tally]]:
        merged: dict[tuple[int, Dimensions], Tally] = {}
        for span in spans:
            for place, (start, end) in enumerate(pairwise(edges)):
                inside = _inside(span, Interval(start, end)) if start < end else None
                if inside is None:
                    continue
                for _, dimensions, tally in reader_of(span.subjects)(meter, [inside.start, inside.end]):
                    key = place, dimensions
                    merged[key] = merge(merged.get(key, EMPTY), tally)
        return [(place, dimensions, tally) for (place, dimensions), tally in merged.items()]

    return read


def _answer(
    tx: Transaction, subjects: Sequence[str], need: UsageNeed, read: TallyReader, until_seq: int | None
) -> list[list[Measured]]:
    if need.with_values or need.meter.aggregation.needs_events:
        return [
            measured_values(tx, subjects, need.meter, interval, need.dimensions, until_seq=until_seq)
            for interval in need.intervals
        ]
    edges = _edges(need)
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
