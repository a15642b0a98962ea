"""The ingest transaction: keys, counters and the raw batch, all or nothing."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import localcontext

import msgspec

from valorem.core.errors import InvalidInputError
from valorem.core.ids import event_identity
from valorem.core.limits import Limits
from valorem.core.metering.corrections import Correction, parse_correction
from valorem.core.metering.event import BACKFILL, CONNECTOR, CORRECTIONS, Event, check_time, decode_event
from valorem.core.metering.fingerprint import fingerprint
from valorem.core.metering.meter import Reading
from valorem.core.numbers import EXACT
from valorem.engine.alerts import note_added
from valorem.engine.corrections import Arrival, Correcting
from valorem.engine.counting import Counting
from valorem.engine.meters import Meters
from valorem.engine.results import ACCEPTED, CONFLICT, DUPLICATE, ItemResult
from valorem.store.postgres import ingest, late_usage
from valorem.store.postgres.batches import pack_lines, subject_hash
from valorem.store.postgres.database import Connection
from valorem.store.postgres.ingest import Batch, Known


class RecordedBeforeError(Exception):
    """An earlier attempt at this very batch was committed after all, though its answer was lost."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An event that is valid by itself; whether it is new its key will tell."""

    key: bytes
    fingerprint: int
    event: Event
    time: datetime
    raw: bytes
    readings: list[tuple[int, Reading]]
    correction: Correction | None


def prepare(
    workspace: int,
    raws: Sequence[bytes | InvalidInputError],
    now: datetime,
    meters: Meters,
    limits: Limits,
) -> list[Candidate | ItemResult]:
    """Read events outside of any transaction.

    Args:
        workspace: The workspace's id.
        raws: Each event as received, or the error of a place that holds none.
        now: The workspace's time; the time of events sent without one.
        meters: Read the events; a value that a current meter cannot take rejects the event.
        limits: The declared limits.

    Returns:
        For each event its candidate, or the result that rejects it.
    """
    earliest = now - timedelta(seconds=limits.accept_late_s)
    latest = now + timedelta(seconds=limits.accept_future_s)
    prepared: list[Candidate | ItemResult] = []
    with localcontext(EXACT):
        for raw in raws:
            try:
                if isinstance(raw, InvalidInputError):
                    raise raw
                event = decode_event(raw, limits)
                payload = fingerprint(event)
                time = event.time
                if time is None:
                    event = event.at(now)
                    time = now
                elif not earliest <= time <= latest and not (time < earliest and is_backfill(event)):
                    check_time(time, now, limits)
                correction = None
                if event.type in CORRECTIONS:
                    correction = parse_correction(workspace, event)
                    if correction.time is not None:
                        _check_moved(correction.time, now, limits)
                prepared.append(
                    Candidate(
                        event_identity(workspace, event.source, event.id),
                        payload,
                        event,
                        time,
                        raw,
                        meters.read(event),
                        correction,
                    )
                )
            except InvalidInputError as error:
                prepared.append(ItemResult("rejected", error.field, error.message, error.hint))
    return prepared


def _check_moved(time: datetime, now: datetime, limits: Limits) -> None:
    try:
        check_time(time, now, limits)
    except InvalidInputError as error:
        raise InvalidInputError(error.message, field="data.time", hint=error.hint) from None


def record(
    connection: Connection,
    workspace: int,
    now: datetime,
    meters: Meters,
    batch_id: int,
    candidates: Sequence[Candidate],
    limits: Limits,
) -> list[ItemResult]:
    """Count and keep the candidates that are new, in the open transaction.

    Args:
        connection: In a READ COMMITTED transaction of the workspace.
        workspace: The workspace's id.
        now: What the candidates were prepared with.
        meters: Likewise.
        batch_id: A new id; a batch of that id must not have been committed.
        candidates: At least one, in the order they came; repeated identities are settled by the first.
        limits: The declared limits.

    Returns:
        A result for each candidate. If none is accepted, nothing was written.

    Raises:
        RecordedBeforeError: Only after the answer to a commit was lost.
        MetersChangedError: Prepare the events again with the new meters, in a new transaction.
        RefusedError: Do it again without the events it names, in a new transaction.
    """
    first = {candidates[place].key: place for place in range(len(candidates) - 1, -1, -1)}
    kept, known = _claim(connection, workspace, now, batch_id, candidates, first)
    results = _results(candidates, first, kept, known)
    if not kept:
        return results
    accepted = candidates if len(kept) == len(candidates) else [candidates[place] for place in sorted(kept)]
    counting = Counting(workspace, meters)
    correcting = None
    if known or any(one.correction for one in accepted):
        arrival = Arrival(
            batch=batch_id,
            received_at=now,
            events={one.key: one.event for one in accepted if one.correction is None},
            corrections=[(one.correction, one.raw) for one in accepted if one.correction is not None],
            known=known,
        )
        correcting = Correcting(connection, workspace, meters, arrival, counting)
        correcting.check(limits)
    corrected = correcting.keys if correcting else frozenset()
    with localcontext(EXACT):
        for one in accepted:
            if one.readings and one.key not in corrected:
                counting.count(one.event.subject, one.time, one.event.order + one.key, one.readings)
    added = counting.added(meters.watched) if meters.watched else ()
    overdue = now - timedelta(seconds=limits.accept_late_s)
    before = counting.before(overdue) if correcting or any(one.time < overdue for one in accepted) else {}
    counting.write(connection)
    if correcting:
        correcting.recount()
    if before:
        late_usage.note(connection, workspace, now, before)
    if added:
        note_added(connection, workspace, now, added)
    ingest.record(connection, workspace, meters.epoch, _batch(batch_id, now, candidates, accepted, kept))
    return results


def _claim(
    connection: Connection,
    workspace: int,
    now: datetime,
    batch_id: int,
    candidates: Sequence[Candidate],
    first: Mapping[bytes, int],
) -> tuple[set[int], dict[bytes, Known]]:
    """Claim the keys of the candidates and lock the targets of corrections.

    Returns:
        The places of the candidates that are new, and what was known before of the keys that are not, and of targets.
    """
    targets = {one.correction.target for one in candidates if one.correction} - first.keys()
    claims = [(key, candidates[place].fingerprint, place) for key, place in first.items()]
    claims += [(target, 0, -1) for target in targets]
    claims.sort()
    claimed, placeholders = ingest.claim(
        connection, workspace, batch_id, _received_on(candidates, now), claims
    )
    if len(claimed) + len(placeholders) == len(claims):
        return claimed, {}
    others = [
        key for key, _, place in claims if (place not in claimed if place >= 0 else key not in placeholders)
    ]
    correcting = any(one.correction for one in candidates)
    known = ingest.find(connection, others, lock=correcting)
    if not correcting and any(one.fingerprint is None for one in known.values()):
        known = ingest.find(connection, others, lock=True)
    if any(one.batch == batch_id for one in known.values()):
        raise RecordedBeforeError
    # A correction came first: the event takes over the placeholder's key.
    fills = [
        (key, candidates[first[key]].fingerprint, first[key])
        for key, one in known.items()
        if one.fingerprint is None and key in first
    ]
    if fills:
        ingest.fill(connection, batch_id, fills)
        claimed |= {place for _, _, place in fills}
    return claimed, known


def is_backfill(event: Event) -> bool:
    """Whether an event is history, or of another system, sent by a source of its own, and may be of any age."""
    return event.source.startswith((BACKFILL, CONNECTOR))


def _received_on(candidates: Sequence[Candidate], now: datetime) -> date:
    """The date by which keys are forgotten: never, where history is among them."""
    return date.max if any(is_backfill(one.event) for one in candidates) else now.date()


def _results(
    candidates: Sequence[Candidate],
    first: Mapping[bytes, int],
    kept: set[int],
    known: Mapping[bytes, Known],
) -> list[ItemResult]:
    if len(kept) == len(candidates):
        return [ACCEPTED] * len(candidates)
    results = []
    for place, candidate in enumerate(candidates):
        if place in kept:
            results.append(ACCEPTED)
            continue
        owner = first[candidate.key]
        stays = candidates[owner].fingerprint if owner in kept else known[candidate.key].fingerprint
        results.append(DUPLICATE if candidate.fingerprint == stays else CONFLICT)
    return results


def _batch(
    batch_id: int,
    now: datetime,
    candidates: Sequence[Candidate],
    accepted: Sequence[Candidate],
    kept: set[int],
) -> Batch:
    """The batch to keep. A place that was not accepted stays an empty line, so that places are known beforehand."""
    times = [one.time for one in accepted]
    return Batch(
        id=batch_id,
        received_at=now,
        events=len(accepted),
        earliest=min(times),
        latest=max(times),
        subjects=sorted({subject_hash(subject) for subject in {one.event.subject for one in accepted}}),
        types=sorted({one.event.type for one in accepted}),
        raw=pack_lines([one.raw if place in kept else b"" for place, one in enumerate(candidates)]),
    )
