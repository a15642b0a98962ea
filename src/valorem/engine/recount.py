"""Recount: are the live counters what a plain fold over the recorded events gives?

The fold shares nothing with counting but the meters: it reads raw batches alone, corrections among them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from valorem.core.metering import recount as core
from valorem.core.metering.corrections import collect_corrections
from valorem.core.metering.event import AMEND, VOID
from valorem.core.metering.meter import MeterSet
from valorem.core.metering.tally import EMPTY, Tally
from valorem.engine.engine import Transaction
from valorem.engine.history import read_recorded
from valorem.engine.meters import load_meters
from valorem.store.postgres import counters, recorded
from valorem.store.postgres import meters as meter_store
from valorem.store.postgres.counters import Dimensions


@dataclass(frozen=True, slots=True)
class Difference:
    """A counter that is not what its events say.

    Attributes:
        subject: Whose.
        revision: The meter revision's id.
        quarter: Start of the quarter hour.
        dimensions: Their values.
        live: What the counter holds.
        recounted: What the fold gives.
    """

    subject: str
    revision: int
    quarter: datetime
    dimensions: Dimensions
    live: Tally
    recounted: Tally


def recount(tx: Transaction, subjects: Sequence[str] | None = None) -> list[Difference]:
    """Compare live counters with a fold over everything recorded; an empty list is the proof that they agree.

    A revision whose backfill has not finished is left out.

    Args:
        tx: A snapshot (``engine.transaction(…, snapshot=True)``), or events coming in meanwhile look like differences.
        subjects: Only these; None for all. All events of them are held in memory.
    """
    connection, workspace = tx.connection, tx.workspace.id
    meters = load_meters(connection, workspace, tx.limits)
    unfinished = {one.revision for one in meter_store.backfills(connection, workspace)}
    corrections = collect_corrections(
        workspace, (read_recorded(line) for line in recorded.scan(connection, workspace, types=[VOID, AMEND]))
    )
    wanted = None if subjects is None else frozenset(subjects)
    events = [
        event
        for event in map(read_recorded, recorded.scan(connection, workspace, subjects=subjects))
        if wanted is None or event.subject in wanted
    ]
    expected: dict[tuple[str, int, datetime, Dimensions], Tally] = {}
    for revision, meter in meters.compiled.items():
        if revision not in unfinished:
            folded = core.recount(workspace, events, MeterSet([meter]), corrections)
            for key, tally in folded.counters.items():
                expected[key.subject, revision, key.quarter, key.dimensions] = tally
    live = {
        (key.subject, key.revision, key.bucket, counters.read_dimensions(key.dimensions)): tally
        for key, tally in counters.every(connection, workspace, subjects)
        if key.revision not in unfinished
    }
    return [
        Difference(*place, live=live.get(place, EMPTY), recounted=expected.get(place, EMPTY))
        for place in sorted(live.keys() | expected.keys(), key=repr)
        if live.get(place, EMPTY) != expected.get(place, EMPTY)
    ]
