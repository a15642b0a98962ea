"""The export: recorded batches become the warehouse's rows, in ranges of sequences, each read by every meter revision.

What the warehouse says it holds decides where the next range begins, so a lost or restored folder fills itself again; the
cursor in the database only tells people and jobs. A range may be written twice: the second changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.ids import identity
from valorem.core.metering.corrections import parse_correction
from valorem.core.metering.event import CORRECTIONS, Event
from valorem.core.metering.meter import CompiledMeter
from valorem.engine.engine import Engine, Transaction
from valorem.engine.history import read_recorded
from valorem.engine.meters import load_meters
from valorem.store.postgres import exports, ingest, locks, recorded
from valorem.store.postgres.ingest import GROUP
from valorem.store.postgres.recorded import Recorded
from valorem.store.warehouse.rows import (
    CorrectionRow,
    EventRow,
    Export,
    ReadingRow,
    Readings,
    Stream,
    Warehouse,
)

#: Batches written at once; bounds the memory of an export.
_STEP = 100


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far the warehouse is.

    Attributes:
        batches: Batches read by this call.
        events: Events read by this call.
        complete_to: The sequence up to which the warehouse holds everything, as every meter reads it.
        committed: The last recorded sequence.
    """

    batches: int
    events: int
    complete_to: int
    committed: int

    @property
    def remaining(self) -> int:
        """Batches that the warehouse does not hold yet."""
        return self.committed - self.complete_to


def export_batches(engine: Engine, workspace: int, max_batches: int = 1000) -> ExportProgress:
    """Write recorded batches to the warehouse, oldest first; also what a meter defined later reads from old ones.

    It may be run at any time, by several at once, and die anywhere.

    Args:
        engine: The engine.
        workspace: The workspace's id.
        max_batches: Stop after reading this many batches; call again to go on.

    Raises:
        UnprocessableError: If the engine has no warehouse.
    """
    warehouse = engine.warehouse
    if warehouse is None:
        raise UnprocessableError(
            "this engine has no warehouse to export to", hint="start it with a data folder"
        )
    batches = events = 0
    while True:
        with engine.transaction(workspace) as tx:
            turn = locks.take(tx.connection, locks.Lock.EXPORT, workspace)
            committed = ingest.committed(tx.connection, workspace)
            covered = _covered(tx, warehouse)
            complete_to = min(covered.values())
            if turn:
                exports.move_cursor(tx.connection, workspace, complete_to)
            if complete_to >= committed or batches >= max_batches or not turn:
                return ExportProgress(batches, events, complete_to, committed)
            last = min(complete_to + min(_STEP, max_batches - batches), committed)
            # Streams that lag behind catch up first; a range never passes where another stream stands.
            last = min([last, *(seq for seq in covered.values() if seq > complete_to)])
            streams = frozenset(stream for stream, seq in covered.items() if seq == complete_to)
            export = _read(tx, complete_to + 1, last, streams)
            warehouse.write(export)
            batches += last - complete_to
            events += exports.events_between(tx.connection, workspace, complete_to + 1, last)


def _covered(tx: Transaction, warehouse: Warehouse) -> dict[Stream, int]:
    revisions = load_meters(tx.connection, tx.workspace.id, tx.limits).compiled
    streams: list[Stream] = ["events", "corrections", *revisions]
    return {stream: warehouse.covered(tx.workspace.id, stream).get(GROUP, 0) for stream in streams}


def _read(tx: Transaction, first: int, last: int, streams: frozenset[Stream]) -> Export:
    """Everything that a range of batches adds to some streams."""
    workspace = tx.workspace.id
    lines = recorded.scan(
        tx.connection, workspace, after=(GROUP, first - 1), until_seq=last, batches=last - first + 1
    )
    sent = [(line, read_recorded(line)) for line in lines]
    expected = exports.events_between(tx.connection, workspace, first, last)
    if len(sent) != expected:
        raise AssertionError(
            f"sequences {first} to {last} of workspace {workspace} hold {len(sent)} events, not {expected}"
        )
    events = [(line, event) for line, event in sent if event.type not in CORRECTIONS]
    compiled = load_meters(tx.connection, workspace, tx.limits).compiled
    return Export(
        workspace=workspace,
        part=GROUP,
        first=first,
        last=last,
        streams=streams,
        events=[_event_row(workspace, *each) for each in events] if "events" in streams else (),
        corrections=[_correction_row(workspace, *each) for each in sent if each[1].type in CORRECTIONS]
        if "corrections" in streams
        else (),
        readings=_readings(
            workspace, events, {id_: meter for id_, meter in compiled.items() if id_ in streams}
        ),
    )


def _event_row(workspace: int, line: Recorded, event: Event) -> EventRow:
    assert event.time is not None  # a recorded event has its time
    return EventRow(
        part=line.part,
        seq=line.seq,
        place=line.place,
        key=identity(workspace, event.source, event.id),
        source=event.source,
        id=event.id,
        type=event.type,
        subject=event.subject,
        time=event.time,
        received_at=line.received_at,
        raw=line.raw,
    )


def _correction_row(workspace: int, line: Recorded, event: Event) -> CorrectionRow:
    correction = parse_correction(workspace, event)
    return CorrectionRow(
        line.part, line.seq, line.place, correction.key, correction.target, line.received_at, line.raw
    )


def _readings(
    workspace: int, events: list[tuple[Recorded, Event]], meters: Mapping[int, CompiledMeter]
) -> tuple[Readings, ...]:
    rows: dict[int, list[ReadingRow]] = {revision: [] for revision in meters}
    for line, event in events:
        assert event.time is not None  # a recorded event has its time
        key = identity(workspace, event.source, event.id)
        for revision, meter in meters.items():
            try:
                readings = meter.read(event)
            except InvalidInputError:
                continue  # accepted before this meter's rules: it counts nothing, here as in the counters
            rows[revision] += [
                ReadingRow(
                    part=line.part,
                    seq=line.seq,
                    place=place,
                    key=key,
                    order=event.order,
                    subject=event.subject,
                    time=event.time,
                    dimensions=reading.dimensions,
                    value=reading.value,
                )
                for place, reading in enumerate(readings)
            ]
    return tuple(
        Readings(revision, len(meter.dimension_names), meter.aggregation.text, rows[revision])
        for revision, meter in meters.items()
        if rows[revision]
    )
