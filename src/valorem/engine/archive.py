"""Everything recorded of some subjects, as one meter reads it: the warehouse's part and what came after, put together.

The warehouse answers up to the sequence it is complete to, for events as they were sent and never corrected. Whatever
has been corrected, and every later event, is read from the recorded batches. So an answer always holds every acknowledged
event in its present state, whether the last export was a second or a year ago.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple

from valorem.core.errors import InvalidInputError
from valorem.core.metering.corrections import parse_correction
from valorem.core.metering.event import AMEND, CORRECTIONS, VOID, Event
from valorem.core.metering.meter import CompiledMeter, Meter, Reading
from valorem.core.metering.read import compile_meter
from valorem.core.metering.tally import EMPTY, Tally, merge, point
from valorem.core.numbers import exact, plain
from valorem.engine.engine import Transaction
from valorem.engine.exported import exported_to
from valorem.engine.history import correct, read_recorded
from valorem.engine.meters import revision_ids
from valorem.store.postgres import corrections as correction_store
from valorem.store.postgres import meters as meter_store
from valorem.store.postgres import recorded
from valorem.store.postgres.counters import Dimensions
from valorem.store.postgres.ingest import GROUP
from valorem.store.postgres.recorded import Recorded
from valorem.store.warehouse.rows import Position, Question, ReadingRow, Warehouse

_INSTANT = timedelta(microseconds=1)
_PAGE = 1000
_LAST_PLACE = (1 << 31) - 1


class Found(NamedTuple):
    """One event that a meter counts, with what it read.

    Attributes:
        time: The event's time, once corrected.
        key: Its identity.
        readings: What the meter read from it.
        event: As it counts; None where the warehouse has it, see :meth:`Archive.events`.
    """

    time: datetime
    key: bytes
    readings: tuple[Reading, ...]
    event: Event | None

    @property
    def values(self) -> tuple[Decimal | str, ...]:
        """The values of its readings."""
        return tuple(reading.value for reading in self.readings)


@dataclass(frozen=True)
class Archive:
    """What one meter reads from everything recorded of some subjects in ``[start, end)``.

    Attributes:
        tx: The transaction; a snapshot where events may come in meanwhile.
        subjects: A customer's own key and its aliases.
        meter: The meter.
        start: First instant.
        end: First instant not looked at.
        where: For the name of a dimension the values wanted; None among them for events without one.
        until_seq: Events and corrections up to this sequence; all where left out.
    """

    tx: Transaction
    subjects: Sequence[str]
    meter: Meter
    start: datetime
    end: datetime
    where: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    until_seq: int | None = None

    @exact
    def tallies(self, edges: Sequence[datetime]) -> list[tuple[int, Dimensions, Tally]]:
        """Merge the readings between consecutive edges, as :func:`valorem.store.postgres.counters.read` does.

        Args:
            edges: Ascending instants from ``start`` to ``end``, not bound to any grid.

        Returns:
            (segment, dimensions, tally), sorted by segment. The tally of a percentile counts how often each value was
            seen, in its ``values``.
        """
        merged: dict[tuple[int, Dimensions], Tally] = {}
        if self._warehouse is not None:
            aggregation = self.meter.aggregation
            for segment, dimensions, tally in self._warehouse.tallies(
                self._question, aggregation, edges, self._newer
            ):
                merged[segment, dimensions] = tally
        for found in self._fresh:
            segment = bisect_right(edges, found.time) - 1
            assert found.event is not None
            for reading in found.readings:
                tally = self._point(reading.value, found.time, found.event.order + found.key)
                place = (segment, reading.dimensions)
                merged[place] = merge(merged.get(place, EMPTY), tally)
        return [(*place, merged[place]) for place in sorted(merged, key=_by_place)]

    def page(self, after: tuple[datetime, bytes] | None, limit: int) -> list[Found]:
        """The counted events in order of time and identity, from after one on."""
        fresh = [found for found in self._fresh if after is None or (found.time, found.key) > after]
        exported = self._exported_page(after, limit) if self._warehouse is not None else []
        return sorted([*fresh, *exported], key=_by_time)[:limit]

    def every(self) -> Iterator[Found]:
        """All counted events in order of time and identity."""
        after: tuple[datetime, bytes] | None = None
        while page := self.page(after, _PAGE):
            yield from page
            after = (page[-1].time, page[-1].key)

    def events(self, found: Sequence[Found]) -> list[Event]:
        """The events of a page as they count, in its order."""
        missing = [one for one in found if one.event is None]
        exported: dict[bytes, Event] = {}
        if missing and self._warehouse is not None:
            rows = self._warehouse.events(
                self.tx.workspace.id,
                self.subjects,
                missing[0].time,
                missing[-1].time + _INSTANT,
                keys=[one.key for one in missing],
                types=self.meter.event,
            )
            for row in rows:
                exported[row.key] = read_recorded(
                    Recorded(row.part, row.seq, row.place, row.raw, row.received_at)
                )
        return [one.event or exported[one.key] for one in found]

    def lines(self) -> list[Recorded]:
        """Everything of the asked subjects and types that may have been corrected, as recorded, whenever it happened."""
        return [*self._corrected_since_export(), *self._scan(subjects=self.subjects, types=self.meter.event)]

    def read(self, event: Event) -> tuple[Reading, ...]:
        """What the meter reads from an event for the dimensions asked for, if that is of a subject and time asked for."""
        assert event.time is not None  # a recorded event has its time
        wanted = event.subject in self.subjects and event.type in self.meter.event
        return self._read(event) if wanted and self.start <= event.time < self.end else ()

    def _exported_page(self, after: tuple[datetime, bytes] | None, limit: int) -> list[Found]:
        """Events of the warehouse; an event's readings are never cut by the page's end."""
        assert self._warehouse is not None
        rows: list[ReadingRow] = []
        position = None if after is None else Position(*after, _LAST_PLACE)
        while True:
            more = self._warehouse.page(self._question, position, limit + 1, self._newer)
            rows += more
            if len(more) <= limit or len({row.key for row in rows}) > limit:
                break
            position = Position(more[-1].time, more[-1].key, more[-1].place)
        readings: dict[bytes, list[Reading]] = {}
        times: dict[bytes, datetime] = {}
        for row in rows:
            readings.setdefault(row.key, []).append(Reading(row.dimensions, row.value))
            times[row.key] = row.time
        return [Found(times[key], key, tuple(read), None) for key, read in list(readings.items())[:limit]]

    @cached_property
    def _compiled(self) -> CompiledMeter:
        return compile_meter(self.meter)

    @cached_property
    def _revision(self) -> int:
        return revision_ids(self.tx, [self.meter])[self.meter.fingerprint()]

    @cached_property
    def _exported(self) -> int:
        """The sequence up to which the warehouse answers; fixed once, so that an export meanwhile changes nothing."""
        if self.tx.warehouse is None or not _is_counted(self.tx, self.meter):
            return 0
        covered = exported_to(self.tx, ("events", "corrections", self._revision))
        return covered if self.until_seq is None else min(covered, self.until_seq)

    @cached_property
    def _warehouse(self) -> Warehouse | None:
        return self.tx.warehouse if self._exported else None

    @cached_property
    def _question(self) -> Question:
        names = self.meter.dimension_names
        return Question(
            self.tx.workspace.id,
            tuple(self.subjects),
            self.start,
            self.end,
            self._revision,
            len(names),
            frozenset(self.meter.event),
            {GROUP: self._exported},
            {names.index(name): tuple(values) for name, values in self.where.items()},
        )

    @cached_property
    def _newer(self) -> list[bytes]:
        """Identities of the events that were corrected since the export."""
        lines = self._scan(types=[VOID, AMEND])
        events = (event for event in map(read_recorded, lines) if event.type in CORRECTIONS)
        return sorted({parse_correction(self.tx.workspace.id, event).target for event in events})

    @cached_property
    def _fresh(self) -> list[Found]:
        """Events that the warehouse does not answer for: recorded since the export, or corrected at any time."""
        connection, workspace = self.tx.connection, self.tx.workspace.id
        of_subjects, of_types = frozenset(self.subjects), frozenset(self.meter.event)
        # An amend may have given an event of any batch a time in the interval; else batches outside it are skipped.
        moved = correction_store.moved_into(connection, workspace, self.start, self.end)
        within = (None, None) if moved else (self.start, self.end)
        lines = list(self._corrected_since_export())
        lines += self._scan(subjects=self.subjects, types=self.meter.event, start=within[0], end=within[1])
        sent = (
            (event, line)
            for line in lines
            if (event := read_recorded(line)).type in of_types and event.subject in of_subjects
        )
        found = []
        for key, event, _ in correct(connection, workspace, sent, self.until_seq):
            assert event.time is not None
            if self.start <= event.time < self.end and (readings := self._read(event)):
                found.append(Found(event.time, key, readings, event))
        return sorted(found, key=_by_time)

    def _corrected_since_export(self) -> Iterator[Recorded]:
        if self._warehouse is None:
            return
        for row in self._warehouse.corrected_events(self._question, self._newer):
            yield Recorded(row.part, row.seq, row.place, row.raw, row.received_at)

    def _scan(
        self,
        *,
        types: Sequence[str],
        subjects: Sequence[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Recorded]:
        return list(
            recorded.scan(
                self.tx.connection,
                self.tx.workspace.id,
                subjects=subjects,
                types=types,
                start=start,
                end=end,
                after=(GROUP, self._exported),
                until_seq=self.until_seq,
            )
        )

    def _read(self, event: Event) -> tuple[Reading, ...]:
        try:
            readings = self._compiled.read(event)
        except InvalidInputError:
            return ()  # accepted before this meter's rules: it counts nothing, here as in the counters
        names = self.meter.dimension_names
        wanted = [(names.index(name), frozenset(values)) for name, values in self.where.items()]
        return tuple(
            reading
            for reading in readings
            if all(reading.dimensions[place] in values for place, values in wanted)
        )

    def _point(self, value: Decimal | str, at: datetime, order: bytes) -> Tally:
        if self.meter.aggregation.needs_events and isinstance(value, Decimal):
            return Tally(1, values={plain(value): 1})
        return point(self.meter.aggregation, value, at, order)


def _is_counted(tx: Transaction, meter: Meter) -> bool:
    rows = meter_store.revisions(tx.connection, tx.workspace.id)
    return any(row.fingerprint == meter.fingerprint() for row in rows)


def _by_time(found: Found) -> tuple[datetime, bytes]:
    return found.time, found.key


def _by_place(place: tuple[int, Dimensions]) -> tuple[int, list[tuple[bool, str]]]:
    segment, dimensions = place
    return segment, [(value is not None, value or "") for value in dimensions]
