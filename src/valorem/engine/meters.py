"""The meters in force: which revisions count, and how a new one begins to."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TypeAlias

from valorem.core.errors import InvalidInputError
from valorem.core.limits import LIMITS, Limits
from valorem.core.metering.event import Event
from valorem.core.metering.meter import CompiledMeter, Meter, Reading
from valorem.core.metering.read import compile_meter
from valorem.core.periods import Interval
from valorem.engine.engine import Transaction
from valorem.engine.sources import sources_in
from valorem.store.postgres import alerts, contracts
from valorem.store.postgres import meters as store
from valorem.store.postgres.database import Connection

_Reader: TypeAlias = tuple[int, Callable[[Event], tuple[Reading, ...]]]


@dataclass(frozen=True, slots=True)
class Meters:
    """Every meter revision of a workspace at one epoch, compiled.

    A revision of the newest catalog refuses an event it cannot take a value from. An older one goes on counting for
    the contracts that use it, but does not refuse: what it cannot read, it skips.

    Attributes:
        epoch: Changes with the set of revisions.
        current: The revisions that refuse, by event type.
        older: The others, by revision id.
        compiled: Every revision, by id.
        ids: Revision ids by meter fingerprint.
        watched: The revisions whose use may cross a threshold of anybody's alerts.
        closed: Stretches of time whose use is billed and that take no more, by subject.
    """

    epoch: int
    current: Mapping[str, Sequence[_Reader]]
    older: Mapping[int, CompiledMeter]
    compiled: Mapping[int, CompiledMeter]
    ids: Mapping[str, int]
    watched: frozenset[int] = frozenset()
    closed: Mapping[str, Sequence[Interval]] = field(default_factory=dict)

    def is_closed(self, subject: str, time: datetime) -> bool:
        """Whether the use of a subject at an instant is billed, under a contract that refuses what comes later."""
        return any(each.start <= time < each.end for each in self.closed.get(subject, ()))

    def read(self, event: Event) -> list[tuple[int, Reading]]:
        """What is counted for an event that just came in, as (revision id, reading).

        Raises:
            InvalidInputError: When a current meter cannot take its value.
        """
        readings = [
            (revision, reading)
            for revision, read in self.current.get(event.type, ())
            for reading in read(event)
        ]
        if self.older:
            readings += _read_each(self.older, event)
        return readings

    def read_recorded(self, event: Event) -> list[tuple[int, Reading]]:
        """What is counted for an event that is already recorded or amended: a meter that cannot read it skips it."""
        return _read_each(self.compiled, event)

    def only(self, revisions: AbstractSet[int]) -> "Meters":
        """The same epoch, as if these were the only revisions; they refuse nothing."""
        chosen = {revision: meter for revision, meter in self.compiled.items() if revision in revisions}
        return Meters(self.epoch, {}, chosen, chosen, self.ids)


def _read_each(meters: Mapping[int, CompiledMeter], event: Event) -> list[tuple[int, Reading]]:
    readings: list[tuple[int, Reading]] = []
    for revision, meter in meters.items():
        try:
            readings += [(revision, reading) for reading in meter.read(event)]
        except InvalidInputError:
            continue  # counting nothing is the declared meaning: the event was accepted before this meter's rules
    return readings


def load_meters(connection: Connection, workspace: int, limits: Limits = LIMITS) -> Meters:
    """Read and compile the workspace's meters; compiled ones are kept in the process."""
    epoch = store.epoch(connection, workspace)
    rows = store.revisions(connection, workspace)
    compiled = {row.id: _compile(row.definition, limits) for row in rows}
    current: dict[str, list[_Reader]] = {}
    for row in rows:
        if row.current:
            meter = compiled[row.id]
            for event_type in meter.meter.event:
                current.setdefault(event_type, []).append((row.id, meter.read_matching))
    return Meters(
        epoch,
        current,
        {row.id: compiled[row.id] for row in rows if not row.current},
        compiled,
        {row.fingerprint: row.id for row in rows},
        alerts.watched_revisions(connection, workspace),
        _closed(connection, workspace),
    )


def _closed(connection: Connection, workspace: int) -> dict[str, list[Interval]]:
    """The stretches of time whose use is billed and that take no more, by subject; of whoever else a contract pays for too."""
    rows = contracts.closed_usage(connection, workspace)
    closed: dict[str, list[Interval]] = {}
    if not rows:
        return closed
    sources = sources_in(connection, workspace, (customer for customer, _ in rows))
    for customer, billed in rows:
        found = sources[customer]
        for span in (*found.pool, *(span for spans in found.apart.values() for span in spans)):
            start, end = (
                max(billed.start, span.start or billed.start),
                min(billed.end, span.end or billed.end),
            )
            if start < end:
                for subject in span.subjects:
                    closed.setdefault(subject, []).append(Interval(start, end))
    return closed


@lru_cache(maxsize=10_000)
def _compile(definition: str, limits: Limits) -> CompiledMeter:
    return compile_meter(Meter.model_validate_json(definition), limits)


def activate(tx: Transaction, meters: Sequence[Meter]) -> None:
    """Let exactly these meters count for the newest catalog, from this transaction's commit on.

    A way of counting that is new begins at zero and is recounted in the background over everything recorded before
    (:func:`valorem.engine.backfill.run_backfill`). Ingest transactions in flight are redone with the new meters.

    Args:
        tx: The transaction that applies the catalog version.
        meters: Every meter of the catalog, and those its prices derive.
    """
    connection, workspace = tx.connection, tx.workspace.id
    recorded_seq = store.next_epoch(connection, workspace)
    wanted = {meter.fingerprint(): meter for meter in meters}
    known = {row.fingerprint: row.id for row in store.revisions(connection, workspace)}
    free = max(known.values(), default=0) + 1
    for fingerprint, meter in wanted.items():
        if fingerprint in known:
            continue
        store.insert(
            connection,
            workspace,
            revision=free,
            meter=meter.key,
            fingerprint=fingerprint,
            definition=meter.model_dump_json(),
            now=tx.now,
        )
        if recorded_seq:
            store.insert_backfill(connection, workspace, free, recorded_seq)
        free += 1
    store.set_current(connection, workspace, sorted(wanted))
    tx.memo.pop("meter revisions", None)


def let_ingest_look_again(tx: Transaction) -> None:
    """Let transactions of ingest that are under way, and all later ones, read anew what decides about events."""
    store.next_epoch(tx.connection, tx.workspace.id)


def revision_ids(tx: Transaction, meters: Sequence[Meter]) -> dict[str, int]:
    """Revision ids of activated meters, by fingerprint."""
    ids = tx.once(
        "meter revisions",
        lambda: store.ids(tx.connection, tx.workspace.id),
    )
    return {meter.fingerprint(): ids[meter.fingerprint()] for meter in meters}
