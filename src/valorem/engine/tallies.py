"""Where tallies come from: the live counters, or recorded events as they stood at a sequence."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime

from valorem.core.metering.meter import Meter, MeterSet
from valorem.core.metering.read import compile_meter
from valorem.core.metering.recount import recount
from valorem.core.metering.tally import EMPTY, Tally, merge
from valorem.engine.engine import Transaction
from valorem.engine.history import counted_events
from valorem.engine.meters import revision_ids
from valorem.store.postgres import counters
from valorem.store.postgres.counters import Dimensions

#: Merged tallies of one meter between consecutive edges, as (segment, dimensions, tally).
TallyReader = Callable[[Meter, Sequence[datetime]], list[tuple[int, Dimensions, Tally]]]


def live_tallies(tx: Transaction, subjects: Sequence[str], meters: Sequence[Meter]) -> TallyReader:
    """Read the live counters of some subjects, for meters that a catalog version has activated."""
    ids = revision_ids(tx, meters)

    def read(meter: Meter, edges: Sequence[datetime]) -> list[tuple[int, Dimensions, Tally]]:
        return counters.read(tx.connection, tx.workspace.id, subjects, ids[meter.fingerprint()], edges)

    return read


def recorded_tallies(tx: Transaction, subjects: Sequence[str], *, until_seq: int | None) -> TallyReader:
    """Fold the recorded events of some subjects, as they stood at a sequence: the judge of the live counters."""

    def read(meter: Meter, edges: Sequence[datetime]) -> list[tuple[int, Dimensions, Tally]]:
        counted = counted_events(
            tx.connection,
            tx.workspace.id,
            subjects=subjects,
            start=edges[0],
            end=edges[-1],
            types=meter.event,
            until_seq=until_seq,
        )
        folded = recount(tx.workspace.id, (one.event for one in counted), MeterSet([compile_meter(meter)]))
        merged: dict[tuple[int, Dimensions], Tally] = {}
        for key, tally in folded.counters.items():
            place = (bisect_right(edges, key.quarter) - 1, key.dimensions)
            merged[place] = merge(merged.get(place, EMPTY), tally)
        return [(segment, dimensions, tally) for (segment, dimensions), tally in merged.items()]

    return read
