"""What one transaction adds to counters, gathered so that each counter is written once."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from valorem.core.ids import part_of
from valorem.core.metering.meter import Reading
from valorem.core.metering.tally import EMPTY, Tally, add
from valorem.core.numbers import ZERO
from valorem.engine.meters import Meters
from valorem.store.postgres import counters
from valorem.store.postgres.alerts import Added
from valorem.store.postgres.counters import CounterKey, Dimensions
from valorem.store.postgres.database import Connection

_QUARTERS_A_DAY = 96


class Counting:
    """Gathers readings by counter, then adds them all in one sorted statement.

    Args:
        workspace: The workspace's id.
        meters: That read what is counted.
    """

    def __init__(self, workspace: int, meters: Meters) -> None:
        self._workspace = workspace
        self._aggregations = {id_: meter.aggregation for id_, meter in meters.compiled.items()}
        # By (subject, revision, quarter hour, dimensions): cheaper to hash than a counter's key.
        self._more: dict[tuple[str, int, int, Dimensions], Tally] = {}
        self._less: dict[tuple[str, int, int, Dimensions], Tally] = {}

    def count(
        self,
        subject: str,
        time: datetime,
        order: bytes,
        readings: Iterable[tuple[int, Reading]],
    ) -> None:
        """Count the readings of one event.

        Args:
            subject: The event's.
            time: The event's.
            order: Breaks ties of ``latest``: the event's sequence, then its identity.
            readings: (revision, reading) each.
        """
        self._take(self._more, subject, time, order, readings)

    def uncount(
        self,
        subject: str,
        time: datetime,
        readings: Iterable[tuple[int, Reading]],
    ) -> None:
        """Take out the readings of one event; of a least, greatest or latest value only their number: recount it."""
        self._take(self._less, subject, time, b"", readings)

    def added(self, revisions: AbstractSet[int]) -> list[Added]:
        """What was gathered of some revisions, by subject: how much nearer it can bring anybody to a threshold.

        To be asked before :meth:`write`.
        """
        found: dict[tuple[str, int], tuple[Decimal, bool, int]] = {}
        for place, tally in self._more.items():
            subject, revision, quarter, _ = place
            if revision in revisions:
                aggregation = self._aggregations[revision]
                counts = aggregation.valueless or aggregation.values
                quantity = Decimal(tally.n) if counts else max(tally.total, ZERO)
                anyway = not counts and (not aggregation.total or aggregation.moment or tally.total < 0)
                before, other, latest = found.get((subject, revision), (ZERO, False, quarter))
                found[subject, revision] = (before + quantity, anyway or other, max(latest, quarter))
        for subject, revision, quarter, _ in self._less:
            if revision in revisions:
                quantity, _, latest = found.get((subject, revision), (ZERO, True, quarter))
                found[subject, revision] = (quantity, True, max(latest, quarter))
        return [
            Added(subject, revision, quantity, anyway, _start_of(latest))
            for (subject, revision), (quantity, anyway, latest) in found.items()
        ]

    def before(self, edge: datetime) -> dict[str, datetime]:
        """The subjects whose use before an instant changes, each with the earliest quarter hour that does.

        To be asked before :meth:`write`.
        """
        last = _quarter_of(edge)
        found: dict[str, int] = {}
        for subject, _, quarter, _ in (*self._more, *self._less):
            if quarter < last and quarter < found.get(subject, last):
                found[subject] = quarter
        return {subject: _start_of(quarter) for subject, quarter in found.items()}

    def write(self, connection: Connection) -> None:
        """Add everything gathered to the counters."""
        counters.add(connection, self._workspace, self._rows())

    def _rows(self) -> Iterable[tuple[CounterKey, Tally]]:
        for place, tally in self._more.items():
            less = self._less.pop(place, None)
            yield self._key(place), tally if less is None else counters.difference(tally, less)
        for place, tally in self._less.items():
            yield self._key(place), counters.difference(EMPTY, tally)

    def _key(self, place: tuple[str, int, int, Dimensions]) -> CounterKey:
        subject, revision, quarter, dimensions = place
        return CounterKey(
            part_of(self._workspace, subject),
            subject,
            revision,
            _start_of(quarter),
            counters.write_dimensions(dimensions),
        )

    def _take(
        self,
        into: dict[tuple[str, int, int, Dimensions], Tally],
        subject: str,
        time: datetime,
        order: bytes,
        readings: Iterable[tuple[int, Reading]],
    ) -> None:
        quarter = _quarter_of(time)
        aggregations = self._aggregations
        for revision, reading in readings:
            place = (subject, revision, quarter, reading.dimensions)
            into[place] = add(aggregations[revision], into.get(place, EMPTY), reading.value, time, order)


def _quarter_of(time: datetime) -> int:
    return time.toordinal() * _QUARTERS_A_DAY + time.hour * 4 + time.minute // 15


@lru_cache(maxsize=4096)
def _start_of(quarter: int) -> datetime:
    day, quarter_of_day = divmod(quarter, _QUARTERS_A_DAY)
    date = datetime.fromordinal(day)
    return date.replace(hour=quarter_of_day // 4, minute=quarter_of_day % 4 * 15, tzinfo=UTC)
