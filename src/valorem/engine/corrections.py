"""Corrections on their way in: what an event counted as is taken out, what it counts as now is added.

The state of an event is a function of the set of its corrections, and its key is locked while they change; so any
order of arrival leaves the same counters.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext

from valorem.core.ids import identity, part_of
from valorem.core.limits import Limits
from valorem.core.metering.corrections import Correction, effective, latest
from valorem.core.metering.event import Event
from valorem.core.metering.meter import Reading
from valorem.core.metering.tally import fold
from valorem.core.numbers import EXACT
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of
from valorem.engine.cardinality import combination_of, let_in, over_the_limit
from valorem.engine.counting import Counting
from valorem.engine.history import counted_events, load_known, read_corrections, read_recorded
from valorem.engine.meters import Meters
from valorem.engine.results import CLOSED, RefusedError
from valorem.store.postgres import corrections as store
from valorem.store.postgres import counters
from valorem.store.postgres import meters as meter_store
from valorem.store.postgres.combinations import Combination
from valorem.store.postgres.corrections import CorrectionRow
from valorem.store.postgres.counters import CounterKey, Dimensions
from valorem.store.postgres.database import Connection
from valorem.store.postgres.ingest import Known
from valorem.store.postgres.meters import Backfill

Readings = list[tuple[int, Reading]]
#: Value, time and tie-breaker of each reading of one counter.
_Points = dict[tuple[int, Dimensions], list[tuple[Decimal | str, datetime, bytes]]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one batch brings.

    Attributes:
        batch: Its id.
        received_at: When.
        events: The new events, corrections apart, by identity.
        corrections: The new corrections with their raw events.
        known: Keys known before: of corrected events, and of new events that a correction came before.
    """

    batch: int
    received_at: datetime
    events: Mapping[bytes, Event]
    corrections: Sequence[tuple[Correction, bytes]]
    known: Mapping[bytes, Known]


class Correcting:
    """Applies the corrections of one batch, and earlier ones to events that only now arrive.

    Counts into ``counting``; :meth:`check` must follow, and :meth:`recount` once that is written, before the transaction
    ends.

    Attributes:
        keys: The new events that have been counted here, whichever way.
    """

    def __init__(
        self,
        connection: Connection,
        workspace: int,
        meters: Meters,
        arrival: Arrival,
        counting: Counting,
    ) -> None:
        self._connection = connection
        self._workspace = workspace
        self._meters = meters
        self._arrival = arrival
        self._counting = counting
        self._recounts: set[tuple[str, int, datetime, Dimensions]] = set()
        self._backfills: dict[int, Backfill] = {}
        self._wanted: dict[Combination, bytes] = {}
        self._closed: list[bytes] = []
        filled = arrival.events.keys() & arrival.known.keys()
        touched = {correction.target for correction, _ in arrival.corrections} | filled
        self.keys = frozenset(arrival.events.keys() & touched)
        if touched:
            self._apply(sorted(touched))

    def _apply(self, touched: Sequence[bytes]) -> None:
        before = read_corrections(self._workspace, store.load(self._connection, touched))
        after = dict(before)
        # Of an event that changes, who changes it: the correction that now holds, or else the event itself.
        causes = {key: key for key in self._arrival.events}
        for correction, _ in self._arrival.corrections:
            holds = after[correction.target] = latest(after.get(correction.target), correction)
            if holds is correction:
                causes[correction.target] = correction.key
        self._keep()
        earlier = {
            key: self._arrival.known[key]
            for key in touched
            if key in self._arrival.known and key not in self._arrival.events
        }
        lines = load_known(self._connection, self._workspace, earlier)
        if lines:
            self._backfills = {
                one.revision: one for one in meter_store.hold_backfills(self._connection, self._workspace)
            }
        with localcontext(EXACT):
            for key in touched:
                if key in lines:
                    event = read_recorded(lines[key])
                    was, now = effective(event, before.get(key)), effective(event, after.get(key))
                    self._move(key, was, now, lines[key].seq, causes.get(key, key))
                elif key in self._arrival.events:
                    now = effective(self._arrival.events[key], after.get(key))
                    self._move(key, None, now, None, causes[key])

    def _keep(self) -> None:
        rows = [
            CorrectionRow(
                correction.target,
                correction.key,
                self._arrival.batch,
                raw,
                self._arrival.received_at,
                correction.time,
            )
            for correction, raw in self._arrival.corrections
        ]
        if rows:
            store.insert(self._connection, self._workspace, rows)

    def _move(self, key: bytes, was: Event | None, now: Event | None, seq: int | None, cause: bytes) -> None:
        """Take out what an event counted as and add what it counts as.

        Args:
            key: Its identity.
            was: As it counted; None for not at all.
            now: As it counts.
            seq: Of an event recorded earlier.
            cause: Identity of what is to be refused, if this is.
        """
        if was == now:
            return
        for event in (was, now):
            if event is not None and self._meters.is_closed(event.subject, _time(event)):
                self._closed.append(cause)
        if was is not None:
            readings = self._counted(was, seq)
            self._counting.uncount(was.subject, _time(was), readings)
            self._note_recounts(was, readings)
        if now is not None:
            readings = self._counted(now, seq)
            self._counting.count(now.subject, _time(now), now.order + key, readings)
            for revision, reading in readings:
                if reading.dimensions and revision not in self._meters.older:
                    wanted = combination_of(self._workspace, now.subject, revision, reading)
                    self._wanted.setdefault(wanted, cause)

    def check(self, limits: Limits) -> None:
        """See to it that what events were amended to is within the declared limits, and touches no closed period.

        Raises:
            RefusedError: Naming the corrections, and the events that earlier ones wait for, to be refused.
        """
        refused = dict.fromkeys(self._closed, CLOSED)
        if self._wanted:
            most = limits.dimension_combinations
            admitted = let_in(self._connection, self._workspace, list(self._wanted), most)
            for one, cause in self._wanted.items():
                if one not in admitted:
                    refused[cause] = over_the_limit(self._meters, one, most)
        if refused:
            raise RefusedError(refused)

    def _counted(self, event: Event, seq: int | None) -> Readings:
        """The readings that are in the counters: a revision whose backfill has yet to reach the event has none."""
        readings = self._meters.read_recorded(event)
        if seq is None or not self._backfills:
            return readings
        return [one for one in readings if not self._awaits(one[0], seq)]

    def _awaits(self, revision: int, seq: int) -> bool:
        backfill = self._backfills.get(revision)
        return backfill is not None and backfill.awaits(seq)

    def _note_recounts(self, event: Event, readings: Readings) -> None:
        quarter = quarter_hour_of(_time(event))
        for revision, reading in readings:
            if self._meters.compiled[revision].aggregation.void == "recount":
                self._recounts.add((event.subject, revision, quarter, reading.dimensions))

    def recount(self) -> None:
        """Recompute the counters from which a least, greatest or latest value was taken.

        Their rows are locked since they were written: whoever counted there before has committed and is seen, whoever
        comes later merges onto what is found here.
        """
        by_quarter: dict[tuple[str, datetime], list[tuple[int, Dimensions]]] = {}
        for subject, revision, quarter, dimensions in self._recounts:
            by_quarter.setdefault((subject, quarter), []).append((revision, dimensions))
        for (subject, quarter), places in sorted(by_quarter.items(), key=lambda item: item[0]):
            points = self._points(subject, quarter)
            for revision, dimensions in places:
                counters.replace(
                    self._connection,
                    self._workspace,
                    CounterKey(
                        part_of(self._workspace, subject),
                        subject,
                        revision,
                        quarter,
                        counters.write_dimensions(dimensions),
                    ),
                    fold(self._meters.compiled[revision].aggregation, points.get((revision, dimensions), ())),
                )

    def _points(self, subject: str, quarter: datetime) -> _Points:
        points: _Points = {}
        for key, event, seq in self._events_in(subject, quarter):
            for revision, reading in self._counted(event, seq):
                points.setdefault((revision, reading.dimensions), []).append(
                    (reading.value, _time(event), event.order + key)
                )
        return points

    def _events_in(self, subject: str, quarter: datetime) -> Iterator[tuple[bytes, Event, int | None]]:
        """Every event that counts in a quarter hour: those recorded, and those of this batch."""
        end = quarter + timedelta(seconds=QUARTER_HOUR_S)
        for one in counted_events(
            self._connection, self._workspace, subjects=[subject], start=quarter, end=end
        ):
            yield one.key, one.event, one.recorded.seq
        mine = [event for event in self._arrival.events.values() if event.subject == subject]
        for key, event in self._corrected(mine):
            if quarter <= _time(event) < end:
                yield key, event, None

    def _corrected(self, events: Iterable[Event]) -> Iterator[tuple[bytes, Event]]:
        by_key = {identity(self._workspace, event.source, event.id): event for event in events}
        holding = read_corrections(self._workspace, store.load(self._connection, list(by_key)))
        for key, event in by_key.items():
            counted = effective(event, holding.get(key))
            if counted is not None:
                yield key, counted


def _time(event: Event) -> datetime:
    assert event.time is not None, "an event that counts has its time"
    return event.time
