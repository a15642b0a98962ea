"""What the warehouse holds and what it is asked: the same for every engine that reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol, TypeAlias

from valorem.core.metering.aggregation import Aggregation
from valorem.core.metering.event import EPOCH
from valorem.core.metering.tally import Tally

Dimensions: TypeAlias = tuple[str | None, ...]
#: Part group to sequence.
Sequences: TypeAlias = Mapping[int, int]
#: ``events`` and ``corrections``, or a meter revision for the readings it makes.
Stream: TypeAlias = Literal["events", "corrections"] | int


class EventRow(NamedTuple):
    """One recorded event, as it was sent.

    Attributes:
        part: Part group of its batch.
        seq: Sequence of its batch in the part group.
        place: Line of the batch.
        key: Its 16 identity bytes.
        time: When it happened; as received where it was sent without a time.
        received_at: When it was recorded.
        raw: Its line, as received.
    """

    part: int
    seq: int
    place: int
    key: bytes
    source: str
    id: str
    type: str
    subject: str
    time: datetime
    received_at: datetime
    raw: bytes


class ReadingRow(NamedTuple):
    """What one meter revision read from one event as sent.

    Attributes:
        place: Which of the event's readings.
        order: Breaks ties of ``time`` before the key does: the sender's sequence.
        value: A number, or text for ``unique``.
    """

    part: int
    seq: int
    place: int
    key: bytes
    order: bytes
    subject: str
    time: datetime
    dimensions: Dimensions
    value: Decimal | str


class CorrectionRow(NamedTuple):
    """One correction event.

    Attributes:
        target: Identity bytes of the event it corrects.
        raw: The correcting event's line, as received.
    """

    part: int
    seq: int
    place: int
    key: bytes
    target: bytes
    received_at: datetime
    raw: bytes


@dataclass(frozen=True)
class Readings:
    """The readings of one meter revision in an export.

    Attributes:
        revision: The meter revision.
        dimensions: How many dimensions it has.
        text: Whether its values are text.
        rows: In any order.
    """

    revision: int
    dimensions: int
    text: bool
    rows: Sequence[ReadingRow]


@dataclass(frozen=True)
class Export:
    """Everything that batches ``first`` to ``last`` of a part group add to some streams.

    Attributes:
        streams: What is covered up to ``last`` once this is written; each must have been covered up to ``first - 1``.
    """

    workspace: int
    part: int
    first: int
    last: int
    streams: frozenset[Stream]
    events: Sequence[EventRow] = ()
    corrections: Sequence[CorrectionRow] = ()
    readings: Sequence[Readings] = ()


@dataclass(frozen=True)
class Question:
    """Which readings are asked for.

    Attributes:
        workspace: The workspace's id.
        subjects: A customer's own key and its aliases.
        start: First instant asked for; :data:`EARLIEST` for all time.
        end: First instant not asked for.
        revision: The meter revision.
        dimensions: How many dimensions it has.
        types: The event types it counts.
        until: For each part group the last sequence to take; what is not named is taken whole.
        where: For the place of a dimension the values wanted, ``None`` among them for events without one.
    """

    workspace: int
    subjects: tuple[str, ...]
    start: datetime
    end: datetime
    revision: int
    dimensions: int
    types: frozenset[str]
    until: Sequences = field(default_factory=dict)
    where: Mapping[int, tuple[str | None, ...]] = field(default_factory=dict)


#: Before everything that can have happened.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)

Counted: TypeAlias = tuple[int, Dimensions, Tally]


class Position(NamedTuple):
    """Where a page ended: pages go by time, then identity, then the reading's place in its event."""

    time: datetime
    key: bytes
    place: int


class Warehouse(Protocol):
    """An engine that keeps exports and answers from them.

    Answers speak of events as sent and leave out every corrected event: the caller adds what those have become, since a
    correction may be newer than the last export. ``corrected`` names the targets of such newer corrections.
    """

    def covered(self, workspace: int, stream: Stream) -> dict[int, int]:
        """For each part group, the last sequence up to which a stream is complete."""

    def write(self, export: Export) -> None:
        """Keep an export; a repeat changes nothing, and a crash leaves all of it or what a repeat completes."""

    def tallies(
        self,
        question: Question,
        aggregation: Aggregation,
        edges: Sequence[datetime],
        corrected: Sequence[bytes],
    ) -> list[Counted]:
        """Aggregate the readings between consecutive edges; a percentile's tally counts how often each value was seen."""

    def page(
        self, question: Question, after: Position | None, limit: int, corrected: Sequence[bytes]
    ) -> list[ReadingRow]:
        """The readings in order of time, identity and place, from after a position on."""

    def corrected_events(self, question: Question, corrected: Sequence[bytes]) -> list[EventRow]:
        """Events of the asked subjects and types, at any time, that have been corrected; as they were sent."""

    def events(
        self,
        workspace: int,
        subjects: Sequence[str],
        start: datetime,
        end: datetime,
        *,
        keys: Sequence[bytes] | None = None,
        types: Sequence[str] | None = None,
        after: tuple[datetime, bytes] | None = None,
        until: Sequences | None = None,
        limit: int | None = None,
    ) -> list[EventRow]:
        """Recorded events as sent, in order of time and identity, corrections left out."""

    def types(self, workspace: int, subjects: Sequence[str], until: Sequences) -> dict[str, int]:
        """How many events of each type subjects have, corrections left out; for each part group up to a sequence."""


def epoch_us(at: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z."""
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
