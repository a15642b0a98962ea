"""Recorded events as they count: corrections applied, found by who, when and up to which sequence."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import NamedTuple, TypeVar

from valorem.core.ids import identity
from valorem.core.limits import Limits
from valorem.core.metering.corrections import Correction, effective, latest, parse_correction
from valorem.core.metering.event import CORRECTIONS, Event, decode_event
from valorem.store.postgres import corrections, ingest, recorded
from valorem.store.postgres.corrections import CorrectionRow
from valorem.store.postgres.database import Connection
from valorem.store.postgres.recorded import Recorded

T = TypeVar("T")

#: What is recorded was accepted once and is read for ever, whatever limits are declared today.
_RECORDED = Limits(
    attribute_bytes=2**40,
    event_bytes=2**40,
    data_bytes=2**40,
    key_bytes=2**40,
    dimension_bytes=2**40,
    depth=2**20,
)
#: Events whose corrections are looked up at once.
_PAGE = 1000


class Counted(NamedTuple):
    """One event as it counts.

    Attributes:
        key: Its identity.
        event: With its time, and amended if it was.
        recorded: Where it is recorded, and as what.
    """

    key: bytes
    event: Event
    recorded: Recorded


def read_recorded(line: Recorded) -> Event:
    """Decode a recorded event, with its time."""
    return decode_recorded(line.raw, line.received_at)


def decode_recorded(raw: bytes, received_at: datetime) -> Event:
    """Decode a recorded event, with its time."""
    return decode_event(raw, _RECORDED).at(received_at)


def read_corrections(workspace: int, rows: Iterable[CorrectionRow]) -> dict[bytes, Correction]:
    """The correction that holds for each event, of those given."""
    holding: dict[bytes, Correction] = {}
    for row in rows:
        event = decode_recorded(row.raw, row.received_at)
        holding[row.target] = latest(holding.get(row.target), parse_correction(workspace, event))
    return holding


def counted_events(
    connection: Connection,
    workspace: int,
    *,
    subjects: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    types: Sequence[str] | None = None,
    until_seq: int | None = None,
) -> Iterator[Counted]:
    """The events that count in an interval, corrected by what had arrived; void ones and corrections are left out.

    Args:
        connection: In a transaction of the workspace, REPEATABLE READ where events may come in meanwhile.
        workspace: The workspace's id.
        subjects: Only events of these.
        start: Only events at or after this instant, once corrected.
        end: Only events before this instant, once corrected.
        types: Only events of these types.
        until_seq: As of this sequence: later events and corrections are not seen.
    """
    lines = recorded.scan(
        connection,
        workspace,
        subjects=subjects,
        start=start,
        end=end,
        types=types,
        until_seq=until_seq,
    )
    of_subjects = None if subjects is None else frozenset(subjects)
    of_types = None if types is None else frozenset(types)

    def wanted(event: Event) -> bool:
        return (
            event.type not in CORRECTIONS
            and (of_subjects is None or event.subject in of_subjects)
            and (of_types is None or event.type in of_types)
        )

    def within(event: Event) -> bool:
        assert event.time is not None, "a recorded event has its time"
        return (start is None or event.time >= start) and (end is None or event.time < end)

    sent = ((event, line) for line in lines if wanted(event := read_recorded(line)) and within(event))
    for one in correct(connection, workspace, sent, until_seq):
        if within(one.event):
            yield one
    if start is not None and end is not None:
        # What was sent with a time outside and amended to one inside may stand in any batch.
        moved = _moved(connection, workspace, start, end, until_seq)
        outside = ((event, line) for event, line in moved if wanted(event) and not within(event))
        for one in correct(connection, workspace, outside, until_seq):
            if within(one.event):
                yield one


def correct(
    connection: Connection,
    workspace: int,
    sent: Iterable[tuple[Event, Recorded]],
    until_seq: int | None = None,
) -> Iterator[Counted]:
    """Apply to recorded events what had corrected them by a sequence; void ones are left out."""
    for page in _pages(sent, _PAGE):
        keys = [identity(workspace, event.source, event.id) for event, _ in page]
        holding = read_corrections(workspace, corrections.load(connection, keys, until_seq))
        for key, (event, line) in zip(keys, page, strict=True):
            counted = effective(event, holding.get(key))
            if counted is not None:
                yield Counted(key, counted, line)


def _moved(
    connection: Connection, workspace: int, start: datetime, end: datetime, until_seq: int | None
) -> Iterator[tuple[Event, Recorded]]:
    targets = sorted(corrections.moved_into(connection, workspace, start, end))
    for page in _pages(targets, _PAGE):
        for line in load_known(connection, workspace, ingest.find(connection, page)).values():
            if until_seq is None or line.seq <= until_seq:
                yield read_recorded(line), line


def load_known(
    connection: Connection, workspace: int, known: Mapping[bytes, ingest.Known]
) -> dict[bytes, Recorded]:
    """The recorded events behind known keys; a key whose event has not arrived is left out."""
    places = {
        key: (one.batch, one.place)
        for key, one in known.items()
        if one.batch is not None and one.place is not None
    }
    lines = recorded.load(connection, workspace, list(places.values()))
    return {key: lines[place] for key, place in places.items() if place in lines}


def _pages(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page
