"""Records become events, exactly once: events, what is known of each record and the cursor change in one transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from threading import Lock
from typing import Any

import msgspec

from valorem.core.errors import NotFoundError
from valorem.core.metering.event import CORRECTIONS, decode_event
from valorem.core.sources.definition import SourceDefinition
from valorem.core.sources.mapping import Record, RecordMap, Said, Unread, Via
from valorem.core.sources.settling import Known, Settled, settle, settle_missing
from valorem.engine.catalog import current_catalog
from valorem.engine.engine import Engine, Transaction
from valorem.engine.ingest import Writer
from valorem.engine.results import ItemResult
from valorem.store.postgres import locks, source_records, sources
from valorem.store.postgres.database import Connection
from valorem.store.postgres.sources import Parked

_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_TOGETHER = 500
Beside = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of records.

    Attributes:
        records: How many came.
        events: New events, amendments and voids among them.
        known: Records that said nothing new.
        ignored: Records that no rule is for.
        parked: Records that could not be read or recorded, kept until they can.
    """

    records: int = 0
    events: int = 0
    known: int = 0
    ignored: int = 0
    parked: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@dataclass
class _Layer:
    """Records of which no two are about the same key."""

    records: list[Record] = field(default_factory=list)
    said: list[list[Said | Unread]] = field(default_factory=list)
    keys: set[tuple[int, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Planned:
    """What one record changes by one rule, and where its events stand in the batch."""

    record: int
    settled: Settled
    first: int
    last: int


class Taker:
    """Takes records, one transaction at a time; share it between threads.

    Args:
        engine: What the verbs work with.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = Writer(engine)
        self._lock = Lock()

    def close(self) -> None:
        """Close the connection; the next records open another."""
        with self._lock:
            self._writer.close()

    def take(
        self,
        workspace: int,
        definition: SourceDefinition,
        records: Sequence[Record],
        *,
        via: Via,
        run: int = 0,
        full: bool = False,
        file: str | None = None,
        retried: bool = False,
        beside: Beside | None = None,
    ) -> Taken:
        """Take records; all of them are settled when this returns: events, known already, ignored or parked.

        Args:
            workspace: The workspace's id.
            definition: The source.
            records: As decoded.
            via: By which way they came.
            run: The reading that found them; 0 for messages.
            full: Whether it reads everything, and so must remember what it found.
            file: The file they stand in.
            retried: Whether these were parked, and are let go where they can be taken now.
            beside: Writes what belongs into the transaction of the last of them, such as the cursor.
        """
        mapping = RecordMap(definition)
        taken = Taken()
        # A file is taken in one transaction, whatever it holds; anything else in as many as are good for it.
        layers = list(_layers(mapping, records, via, whole=file is not None)) or [_Layer()]
        for number, layer in enumerate(layers):
            last = number == len(layers) - 1
            remembers = full or file is not None
            taken += self._take_layer(
                workspace, definition, layer, via=via, run=run, full=remembers, file=file,
                retried=[digest_of(each) for each in layer.records] if retried else (), beside=beside if last else None,
            )  # fmt: skip
        return taken

    def take_missing(
        self, workspace: int, definition: SourceDefinition, run: int, *, times: int, file: str | None = None
    ) -> Taken:
        """Let records go that were not found so many times in a row."""
        taken = Taken()
        while True:
            with self.engine.transaction(workspace) as tx:
                locks.wait_for(tx.connection, locks.Lock.SOURCE, workspace, definition.source)
                missing = source_records.load_missing(
                    tx.connection, workspace, definition.source, times=times, limit=_TOGETHER, file=file
                )
                present = {rule.event for rule in definition.map}
                missing = [each for each in missing if each.event in present]
                if not missing:
                    return taken
                settled = [settle_missing(definition, each, tx.now) for each in missing]
                taken += self._write(
                    tx, definition, settled, [{}] * len(settled), [], via="poll", run=run, full=True
                )

    def _take_layer(
        self,
        workspace: int,
        definition: SourceDefinition,
        layer: _Layer,
        *,
        via: Via,
        run: int,
        full: bool,
        file: str | None,
        retried: Sequence[str],
        beside: Beside | None,
    ) -> Taken:
        with self.engine.transaction(workspace) as tx:
            # Held until the events are committed, so that what is known cannot change meanwhile.
            locks.wait_for(tx.connection, locks.Lock.SOURCE, workspace, definition.source)
            sources_known = source_records.load(
                tx.connection,
                workspace,
                definition.source,
                [
                    (definition.map[one.rule].event, one.key)
                    for said in layer.said
                    for one in said
                    if isinstance(one, Said)
                ],
            )
            settled: list[Settled] = []
            owners: list[Record] = []
            unread: list[tuple[Record, Unread]] = []
            for record, said in zip(layer.records, layer.said, strict=True):
                for one in said:
                    if isinstance(one, Unread):
                        unread.append((record, one))
                        continue
                    place = (definition.map[one.rule].event, one.key)
                    settled.append(settle(definition, one, sources_known.get(place), tx.now))
                    sources_known[place] = settled[-1].known
                    owners.append(record)
            taken = self._write(
                tx, definition, settled, owners, unread, via=via, run=run, full=full, file=file, retried=retried,
                beside=beside,
            )  # fmt: skip
            ignored = sum(not said for said in layer.said)
            return taken + Taken(records=len(layer.records), ignored=ignored)

    def _write(
        self,
        tx: Transaction,
        definition: SourceDefinition,
        settled: Sequence[Settled],
        owners: Sequence[Record],
        unread: Sequence[tuple[Record, Unread]],
        *,
        via: Via,
        run: int,
        full: bool,
        file: str | None = None,
        retried: Sequence[str] = (),
        beside: Beside | None = None,
    ) -> Taken:
        workspace, source = tx.workspace.id, definition.source
        raws: list[bytes] = []
        planned: list[_Planned] = []
        for number, one in enumerate(settled):
            planned.append(_Planned(number, one, len(raws), len(raws) + len(one.events)))
            raws += one.events
        report = Taken()

        def also(connection: Connection, results: Sequence[ItemResult]) -> None:
            nonlocal report
            parked = [_parked(record, one, via, tx.now) for record, one in unread]
            keep: dict[tuple[str, str], Known] = {}
            for plan in planned:
                wrong = next((each for each in results[plan.first : plan.last] if _is_wrong(each)), None)
                if wrong is not None:
                    why = Unread(
                        plan.settled.known.event, wrong.field, wrong.reason or wrong.status, wrong.hint
                    )
                    parked.append(_parked(owners[plan.record], why, via, tx.now))
                elif full or plan.settled.effect != "known" or plan.settled.known.missed:
                    keep[plan.settled.known.event, plan.settled.known.key] = plan.settled.known
            sources.ensure(connection, workspace, source)
            if keep:
                source_records.keep(connection, workspace, source, list(keep.values()), run, file)
            still = {one.id for one in parked}
            if gone := [each for each in retried if each not in still]:
                sources.unpark(connection, workspace, source, gone)
            if parked:
                sources.park(connection, workspace, source, parked)
            accepted = [raw for raw, result in zip(raws, results, strict=True) if result.status == "accepted"]
            latest = max((at for at in map(_time_of, accepted) if at is not None), default=None)
            sources.note_received(connection, workspace, source, tx.now, len(accepted), latest)
            if beside is not None:
                beside(connection)
            report = Taken(
                events=len(accepted),
                known=sum(
                    plan.settled.effect in ("known", "older") and not plan.settled.events for plan in planned
                ),
                parked=len(still),
            )

        with self._lock:
            self._writer.write(workspace, raws, also)
        return report


def find_source(tx: Transaction, key: str) -> SourceDefinition:
    """The source of that key in the newest catalog.

    Raises:
        NotFoundError: With the sources there are.
    """
    _, catalog = current_catalog(tx)
    if (found := catalog.sources.get(key)) is None:
        raise NotFoundError(
            f"there is no source {key[:60]!r} in the catalog",
            field="source",
            hint=f"it has {', '.join(sorted(catalog.sources)) or 'no sources; add sources/….yaml'}",
        )
    return found


def digest_of(record: Record) -> str:
    """Names a record by everything in it."""
    return sha256(_encode(record)).hexdigest()[:32]


def retry_parked(taker: Taker, workspace: int, definition: SourceDefinition, *, most: int = 10_000) -> Taken:
    """Try parked records again, by the mapping as it is now."""
    taken, after = Taken(), None
    while most > 0:
        with taker.engine.transaction(workspace) as tx:
            parked = sources.load_parked(
                tx.connection, workspace, definition.source, after=after, limit=min(_TOGETHER, most)
            )
        if not parked:
            break
        for via in ("webhook", "poll"):
            some = [one for one in parked if one.via == via]
            if some:
                taken += taker.take(
                    workspace, definition, [_decode(one.record) for one in some], via=one_way(via),
                    retried=True,
                )  # fmt: skip
        after, most = parked[-1].id, most - len(parked)
    return taken


def one_way(via: str) -> Via:
    """The way by its name."""
    return "webhook" if via == "webhook" else "poll"


def _layers(mapping: RecordMap, records: Sequence[Record], via: Via, *, whole: bool) -> Iterator[_Layer]:
    """Cut records so that no two of a layer are about one key, in order."""
    layer = _Layer()
    for record in records:
        said = mapping.read(record, via)
        keys = {(one.rule, one.key) for one in said if isinstance(one, Said)}
        if not whole and (keys & layer.keys or len(layer.records) >= _TOGETHER):
            yield layer
            layer = _Layer()
        layer.records.append(record)
        layer.said.append(said)
        layer.keys |= keys
    if layer.records:
        yield layer


def _is_wrong(result: ItemResult) -> bool:
    return result.status in ("rejected", "conflict")


def _parked(record: Record, why: Unread, via: Via, now: datetime) -> Parked:
    return Parked(
        id=digest_of(record),
        record=_encode(record),
        via=via,
        event=why.rule,
        field=why.field,
        reason=why.reason[:1000],
        hint=why.hint,
        attempts=1,
        parked_at=now,
    )


def _time_of(raw: bytes) -> datetime | None:
    event = decode_event(raw)
    return None if event.type in CORRECTIONS else event.time


def as_record(value: Mapping[str, Any]) -> Record:
    """A record as it would have been decoded: what is kept of it is its JSON."""
    decoded: Record = _decode(_encode(value))
    return decoded
