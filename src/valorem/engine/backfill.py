"""Backfill: a way of counting defined later is recounted over everything recorded before it.

Each step takes some batches, counts them and moves the backfill's mark in one transaction, so it may stop and go on
anywhere. Live events meanwhile count into the same counters, and a correction counts for exactly the revisions whose
mark has passed its target: afterwards the counters are what live counting would have given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import localcontext

from valorem.core.metering.event import CORRECTIONS
from valorem.core.numbers import EXACT
from valorem.engine.counting import Counting
from valorem.engine.engine import Engine, Transaction
from valorem.engine.history import correct, read_recorded
from valorem.engine.meters import load_meters
from valorem.store.postgres import meters as store
from valorem.store.postgres import recorded
from valorem.store.postgres.ingest import GROUP
from valorem.store.postgres.meters import Backfill

#: Batches counted in one transaction; live corrections wait for no more than that.
_STEP = 20


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far the unfinished revisions of a workspace have come.

    Attributes:
        batches: Recorded batches read by this call.
        events: Events read by this call.
        remaining: Batches still to be read, over all revisions; 0 when every counter is complete.
    """

    batches: int
    events: int
    remaining: int


def run_backfill(engine: Engine, workspace: int, max_batches: int = 1000) -> BackfillProgress:
    """Count recorded events for revisions that were defined after them.

    Args:
        engine: The engine.
        workspace: The workspace's id.
        max_batches: Stop after reading this many batches; call again to go on.
    """
    batches = events = 0
    while True:
        with engine.transaction(workspace) as tx:
            unfinished = store.claim_backfills(tx.connection, workspace)
            remaining = sum(one.until_seq - one.done_seq for one in unfinished)
            if not unfinished or batches >= max_batches:
                return BackfillProgress(batches, events, remaining)
            read, counted = _step(tx, unfinished, min(_STEP, max_batches - batches))
            batches += read
            events += counted


def pending(tx: Transaction, revisions: Sequence[int]) -> bool:
    """Whether counters of any of these revisions still lack events recorded before it was defined."""
    unfinished = tx.once(
        "unfinished revisions",
        lambda: {one.revision for one in store.backfills(tx.connection, tx.workspace.id)},
    )
    return not unfinished.isdisjoint(revisions)


def _step(tx: Transaction, unfinished: Sequence[Backfill], most: int) -> tuple[int, int]:
    """Advance the revisions that lag furthest, together; returns batches and events read."""
    done = min(one.done_seq for one in unfinished)
    lagging = [one for one in unfinished if one.done_seq == done]
    stops = {one.until_seq for one in lagging} | {one.done_seq for one in unfinished if one.done_seq > done}
    until = min(done + most, *stops)
    meters = load_meters(tx.connection, tx.workspace.id, tx.limits).only({one.revision for one in lagging})
    lines = recorded.scan(tx.connection, tx.workspace.id, after=(GROUP, done), until_seq=until)
    sent = ((event, line) for line in lines if (event := read_recorded(line)).type not in CORRECTIONS)
    counting = Counting(tx.workspace.id, meters)
    events = 0
    with localcontext(EXACT):
        for one in correct(tx.connection, tx.workspace.id, sent):
            events += 1
            event = one.event
            assert event.time is not None, "a recorded event has its time"
            counting.count(event.subject, event.time, event.order + one.key, meters.read_recorded(event))
    counting.write(tx.connection)
    for backfill in lagging:
        store.move_backfill(tx.connection, tx.workspace.id, backfill.revision, until)
    return until - done, events
