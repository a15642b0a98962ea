"""Outcomes kept as evidence comes: the worker keeps, a reader folds only what came since, and both by the one fold.

What is kept may lag, and no number depends on by how much: a reader looks at every event after it, folds the keys those are
about from all of their evidence, and takes what was kept of these keys off the counters.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import valorem
from valorem.core.contracts.contract import Contract
from valorem.core.ids import identity
from valorem.core.metering.corrections import effective, parse_correction
from valorem.core.metering.event import CORRECTIONS, Event
from valorem.core.numbers import exact
from valorem.core.outcomes.fold import REVISION
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Governed
from valorem.core.outcomes.keeping import (
    Counters,
    billable_counters,
    borders,
    changed,
    coarse,
    counters_of,
)
from valorem.core.outcomes.signing import DefinitionVersion
from valorem.core.outcomes.states import Outcome
from valorem.core.periods import Interval
from valorem.core.time import write_instant
from valorem.engine.engine import Engine, Transaction
from valorem.engine.history import correct, decode_recorded, load_known, read_corrections, read_recorded
from valorem.engine.retrying import in_snapshot
from valorem.store.postgres import (
    contracts,
    corrections,
    customers,
    ingest,
    kept_outcomes,
    outcomes,
    recorded,
)
from valorem.store.postgres.kept_outcomes import Head, KeptEvidence, KeptFor, KeptResult
from valorem.store.postgres.recorded import Recorded

#: Events taken up in one transaction of the worker; a stop waits for no more than that.
_SOME = 20_000
#: Batches without evidence that are looked at again rather than noted as seen.
_IDLE = 256


@dataclass(frozen=True)
class Kept:
    """What the outcomes of one definition of a contract are kept by.

    Attributes:
        place: Where they are kept.
        definitions: All versions.
        subjects: The customer's.
        frame: The contract's calendar.
    """

    place: KeptFor
    definitions: Definitions
    subjects: tuple[str, ...]
    frame: Frame

    def basis(self) -> bytes:
        """A digest of all that the fold depends on beside the evidence, this program's version among it."""
        written = {
            "program": [valorem.__version__, REVISION],
            "subjects": sorted(self.subjects),
            "frame": [self.frame.zone, str(self.frame.every), write_instant(self.frame.anchor)],
            "versions": [_governs(version) for version in self.definitions.signed],
            "types": sorted(self.definitions.event_types),
        }
        return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).digest()

    def can_be_kept(self) -> bool:
        """Whether counters suffice: a share of savings and a group look at the single results of a period."""
        return bool(self.definitions.signed) and all(
            version.definition.savings is None and version.definition.group is None
            for version in self.definitions.versions
        )

    def governed(self, results: Iterable[KeptResult]) -> list[Governed]:
        """Outcomes with the results kept of them; what else is known of them is not looked at."""
        versions = {version.number: version for version in self.definitions.versions}
        found: dict[str, list[KeptResult]] = {}
        for each in results:
            found.setdefault(each.key, []).append(each)
        return [
            Governed(
                Outcome(key, (), tuple(each.result for each in own), (), versions[own[0].version].digest),
                versions[own[0].version],
            )
            for key, own in found.items()
        ]


def _governs(version: DefinitionVersion) -> list[str | int | None]:
    since, until = version.in_force_from(), version.retired_from
    assert since is not None  # it is signed
    return [
        version.number,
        version.digest,
        write_instant(since),
        None if until is None else write_instant(until),
    ]


@dataclass(frozen=True)
class Since:
    """What came after what is kept.

    Attributes:
        until: The sequence it was read up to.
        events: Of each event that came or was corrected: as it counts, with its arrival; None for a void one.
        rows: The same under each key they speak of.
    """

    until: int
    events: Mapping[bytes, tuple[Event, datetime] | None]
    rows: Sequence[KeptEvidence]


@exact
def kept_counters(
    tx: Transaction,
    kept: Kept,
    periods: Sequence[Interval],
    *,
    off: Mapping[str, Decimal],
    seen_at: datetime | None = None,
) -> Counters | None:
    """The counters of what may be billed, by version, for everything recorded.

    Args:
        tx: The transaction; only a snapshot can tell what came after what is kept.
        kept: What its outcomes are kept by.
        periods: The contract's, in order.
        off: Key to the share of it that a dispute holds back or gave back.
        seen_at: For a look ahead: what happens later, by evidence or by silence, is left out.

    Returns:
        None where nothing is kept: then everything is folded.
    """
    if not tx.snapshot or not kept.can_be_kept():
        return None
    head = kept_outcomes.head(tx.connection, kept.place)
    if head is None or head.basis != kept.basis():
        return None
    since = tx.once(("outcome evidence since", kept.place), lambda: _since(tx, kept, head.seq))
    again = tx.once(("outcomes again", kept.place, seen_at), lambda: _folded(tx, kept, since, seen_at))
    edges = borders(kept.definitions, periods, kept.frame, seen_at)
    digests = {version.number: version.digest for version in kept.definitions.versions}
    whole = changed(
        kept_outcomes.sums(tx.connection, kept.place, edges, digests),
        _coarse(counters_of(again.values()), edges),
        less=_coarse(counters_of(_kept_of(tx, kept, again)), edges),
    )

    def ending_in(within: Interval) -> list[Governed]:
        rows = kept_outcomes.results_ending(tx.connection, kept.place, within)
        return [*kept.governed(row for row in rows if row.key not in again), *again.values()]

    return billable_counters(
        kept.definitions,
        whole,
        ending_in,
        disputed=[
            *(again[key] for key in off if key in again),
            *_kept_of(tx, kept, [key for key in off if key not in again]),
        ],
        off=off,
        as_of=seen_at,
    )


def _coarse(counters: Counters, edges: Sequence[datetime]) -> Counters:
    return {number: coarse(tallies, edges) for number, tallies in counters.items()}


def _kept_of(tx: Transaction, kept: Kept, keys: Iterable[str]) -> list[Governed]:
    wanted = list(keys)
    return kept.governed(kept_outcomes.results(tx.connection, kept.place, wanted)) if wanted else []


def keep_outcomes(engine: Engine, workspace: int) -> bool:
    """Keep what has come, a stretch of it for each contract that sells outcomes; whether there is more.

    It may be run twice or be killed anywhere: what is kept and how far it goes change in one transaction.
    """
    with engine.transaction(workspace, read_only=True) as tx:
        sold = outcomes.sold(tx.connection, workspace)
    again = [
        in_snapshot(engine, workspace, lambda tx, one=each: keep(tx, *one))  # type: ignore[misc]
        for each in sold
    ]
    return any(again)


@exact
def keep(tx: Transaction, contract_id: str, outcome: str, *, most: int = _SOME) -> bool:
    """Keep a stretch of what has come for one definition of a contract.

    Args:
        tx: The transaction; a snapshot.
        contract_id: The contract.
        outcome: The definition.
        most: About how many events.

    Returns:
        Whether there is more.
    """
    committed = ingest.committed(tx.connection, tx.workspace.id)
    place = KeptFor(tx.workspace.id, contract_id, outcome)
    head = kept_outcomes.head(tx.connection, place)
    row = contracts.load(tx.connection, tx.workspace.id, contract_id)
    assert row is not None  # a definition belongs to a contract
    definitions = Definitions(outcomes.load_versions(tx.connection, tx.workspace.id, contract_id, outcome))
    customer = row.contract.customer
    subjects = customers.load_subjects(tx.connection, tx.workspace.id, [customer])[customer]
    kept = kept_of(row.contract, tx.workspace.id, subjects, definitions)
    if head is not None and (head.basis != kept.basis() or not kept.can_be_kept()):
        kept_outcomes.forget(tx.connection, place)
        head = None
    if not kept.can_be_kept():
        return False
    seq = 0 if head is None else head.seq
    if head is not None and seq >= committed:
        return False
    since = _since(tx, kept, seq, most)
    if since.events:
        again = _folded(tx, kept, since, None)
        before = counters_of(_kept_of(tx, kept, again))
        kept_outcomes.replace_evidence(tx.connection, place, since.events.keys(), since.rows)
        kept_outcomes.replace_results(
            tx.connection,
            place,
            again.keys(),
            (
                (key, each.version.number, result)
                for key, each in again.items()
                if each.version is not None
                for result in each.outcome.results
            ),
        )
        kept_outcomes.add(tx.connection, place, changed(counters_of(again.values()), less=before))
    elif head is not None and since.until - seq < _IDLE:
        return False
    kept_outcomes.put_head(tx.connection, place, Head(kept.basis(), since.until))
    return since.until < committed


def kept_of(contract: Contract, workspace: int, subjects: Sequence[str], definitions: Definitions) -> Kept:
    """What the outcomes of one definition of a contract are kept by."""
    outcome = definitions.versions[-1].definition.outcome
    frame = Frame(contract.time_zone, contract.every, contract.anchor)
    return Kept(KeptFor(workspace, contract.id, outcome), definitions, tuple(subjects), frame)


def _since(tx: Transaction, kept: Kept, seq: int, most: int | None = None) -> Since:
    """What came after a sequence: new events, and those that were corrected."""
    sent, until = _sent(tx, kept, seq, most)
    sent |= _targets(tx, kept, seq, until)
    counted = {
        each.key: (each.event, each.recorded.received_at)
        for each in correct(tx.connection, tx.workspace.id, sent.values())
    }
    rows = [
        KeptEvidence(
            identifier,
            key,
            event.time,
            arrived,
            event != sent[identifier][0],
            tuple(sorted(links)),
            sent[identifier][1].raw,
        )
        for identifier, (event, arrived) in counted.items()
        if event.time is not None
        for key, links in kept.definitions.keys_of(event, arrived).items()
    ]
    return Since(until, {identifier: counted.get(identifier) for identifier in sent}, rows)


def _sent(
    tx: Transaction, kept: Kept, seq: int, most: int | None
) -> tuple[dict[bytes, tuple[Event, Recorded]], int]:
    """The events of these subjects and types after a sequence, and the sequence up to which they were read."""
    found: dict[bytes, tuple[Event, Recorded]] = {}
    until = ingest.committed(tx.connection, tx.workspace.id)
    types = kept.definitions.event_types
    reached = seq
    for line in recorded.scan(
        tx.connection,
        tx.workspace.id,
        subjects=kept.subjects,
        types=sorted(types),
        after=(ingest.GROUP, seq),
        until_seq=until,
    ):
        if line.seq != reached and most is not None and len(found) >= most:
            return found, reached
        reached = line.seq
        event = read_recorded(line)
        if event.type in types and event.subject in kept.subjects:
            found[identity(tx.workspace.id, event.source, event.id)] = (event, line)
    return found, until


def _targets(tx: Transaction, kept: Kept, seq: int, until: int) -> dict[bytes, tuple[Event, Recorded]]:
    """The events of these subjects and types that were corrected after a sequence."""
    targets = {
        parse_correction(tx.workspace.id, event).target
        for line in recorded.scan(
            tx.connection,
            tx.workspace.id,
            types=sorted(CORRECTIONS),
            after=(ingest.GROUP, seq),
            until_seq=until,
        )
        if (event := read_recorded(line)).type in CORRECTIONS
    }
    known = load_known(tx.connection, tx.workspace.id, ingest.find(tx.connection, sorted(targets)))
    found = {}
    for key, line in known.items():
        event = read_recorded(line)
        wanted = event.type in kept.definitions.event_types and event.subject in kept.subjects
        if wanted and line.seq <= until:
            found[key] = (event, line)
    return found


def _folded(tx: Transaction, kept: Kept, since: Since, seen_at: datetime | None) -> dict[str, Governed]:
    """The outcomes that what came since is about, from all of their evidence; with ``seen_at`` all that later evidence is about."""
    keys = {row.key for row in since.rows}
    if since.events:
        keys |= kept_outcomes.keys_of(tx.connection, kept.place, since.events.keys())
    if seen_at is not None:
        keys |= kept_outcomes.keys_after(tx.connection, kept.place, seen_at)
    keys = _with_linked(tx, kept, since, keys)
    if not keys:
        return {}
    events = _evidence(tx, kept, since, keys)
    if seen_at is not None:
        events = [each for each in events if each[0].time is not None and each[0].time <= seen_at]
    folded = kept.definitions.fold(events, kept.frame)
    nothing = {key: Governed(Outcome(key, (), (), ()), None) for key in keys}
    return nothing | {key: each for key, each in folded.items() if key in keys}


def _with_linked(tx: Transaction, kept: Kept, since: Since, keys: set[str]) -> set[str]:
    """The keys, and all whose records were merged with theirs, by however many steps."""
    if all(version.definition.alias_of is None for version in kept.definitions.signed):
        return keys
    merged = [{row.key, *row.links} for row in since.rows if row.links]
    found, more = set(keys), set(keys)
    while more:
        near = kept_outcomes.linked(tx.connection, kept.place, more)
        for group in merged:
            if group & more:
                near |= group
        more = near - found
        found |= more
    return found


def _evidence(tx: Transaction, kept: Kept, since: Since, keys: set[str]) -> list[tuple[Event, datetime]]:
    """All events that speak of some keys, as they count."""
    sent: dict[bytes, tuple[Event, datetime]] = {}
    corrected: list[bytes] = []
    for row in kept_outcomes.evidence(tx.connection, kept.place, keys):
        if row.event not in since.events and row.event not in sent:
            sent[row.event] = (decode_recorded(row.raw, row.received_at), row.received_at)
            if row.corrected:
                corrected.append(row.event)
    holding = (
        read_corrections(tx.workspace.id, corrections.load(tx.connection, corrected)) if corrected else {}
    )
    for key in corrected:
        event, arrived = sent.pop(key)
        counted = effective(event, holding.get(key))
        if counted is not None:
            sent[key] = (counted, arrived)
    about = {row.event for row in since.rows if row.key in keys}
    new = [each for key, each in since.events.items() if each is not None and key in about]
    return [*sent.values(), *new]
