"""Alerts: found in the transaction of the event that crossed, each once in its window.

Ingest adds up, in one statement, how much every watched customer may have come nearer to its next threshold. Only when
that is enough for a threshold to be reached are the customer's alerts worked out, from the counters themselves, and what
was crossed is written with its outbox message in the same transaction. The customer's watch is locked from the adding up
to the commit, so of two transactions that cross together the second sees what the first wrote.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import NAMESPACE_URL, uuid5

from valorem.core.alerts.pace import headroom
from valorem.core.alerts.thresholds import Threshold, distance, is_reached, point_of
from valorem.core.ids import part_of
from valorem.core.limits import LIMITS
from valorem.core.numbers import ONE, ZERO, plain
from valorem.core.time import write_instant
from valorem.engine.credits.waking import wake
from valorem.engine.engine import Engine, Transaction
from valorem.engine.retrying import in_transaction
from valorem.engine.watched import Watched
from valorem.engine.watching import watched_of
from valorem.store.postgres import alerts, meters, outbox, workspaces
from valorem.store.postgres.alerts import CREDITS, ENDS, TIME, Added, Crossing
from valorem.store.postgres.database import Connection
from valorem.store.postgres.outbox import Message

_BATCH = 50
#: Use that comes later than this is looked at whatever it was thought to need.
_AGAIN_AFTER = timedelta(hours=1)
#: Everything about a watched customer is looked at again at least this often, whatever happened or did not; what moves with
#: every hour, more often. Looking at hundreds of customers takes seconds, of which a clock that is moved by hand waits.
_IN_ANY_CASE = timedelta(days=1)
_MOVING = "projected"
_EXPANSION_FROM = Threshold("share", ONE.scaleb(-1) * 9)


def note_added(connection: Connection, workspace: int, now: datetime, added: Sequence[Added]) -> None:
    """Find the thresholds that what was just counted has crossed; called by ingest after the counters are written."""
    near = alerts.add_up(connection, workspace, added)
    if near:
        tx = Transaction(connection, workspaces.load(connection, workspace), now, LIMITS)
        for customer in near:
            work_out(tx, customer, timed=False)


def note_credits(tx: Transaction, customer: str, fell: Decimal) -> None:
    """Find what a change of a customer's credits by other means than usage has crossed or brought back.

    Args:
        tx: The transaction; the caller holds the account's lock.
        customer: The customer's key.
        fell: By how much the balance fell at most; negative where it rose.
    """
    moved = Added(customer, CREDITS, max(fell, ZERO), anyway=fell < 0, latest=tx.now)
    for each in alerts.add_up(tx.connection, tx.workspace.id, [moved]):
        work_out(tx, each, timed=False)


def arm(tx: Transaction, customer: str) -> None:
    """Watch a customer by what its contract, budgets and rules say now, and tell what is crossed already.

    The customer's credits are looked at anew as well.

    To be called in every transaction that changes any of them. Ingest transactions in flight that read the counters'
    meters before are redone, so that none of them is missed.
    """
    wake(tx, customer)
    watch_anew(tx, customer)


def watch_anew(tx: Transaction, customer: str) -> None:
    """The same where the customer's credits are as they should be already."""
    before = alerts.lock(tx.connection, tx.workspace.id, customer)
    after = work_out(tx, customer, timed=True)
    if after - before - {TIME, CREDITS, ENDS}:
        meters.next_epoch(tx.connection, tx.workspace.id)


def run_alerts(engine: Engine, workspace: int, *, only_ends: bool = False) -> bool:
    """Work out the alerts that time alone may have brought on; whether there may be more to do.

    Args:
        engine: The engine.
        workspace: The workspace's id.
        only_ends: Only where something ends, or a warning of an end falls due.
    """
    with engine.transaction(workspace) as tx:
        revision = ENDS if only_ends else TIME
        customers = alerts.due(tx.connection, workspace, tx.now, limit=_BATCH, revision=revision)
    for customer in customers:
        in_transaction(engine, workspace, partial(watch_anew, customer=customer))
    return len(customers) == _BATCH


def list_crossings(
    tx: Transaction, *, customer: str | None = None, limit: int = 50
) -> list[tuple[str, Crossing]]:
    """What was crossed, newest first."""
    return alerts.load_crossings(tx.connection, tx.workspace.id, customer=customer, limit=limit)


def work_out(tx: Transaction, customer: str, *, timed: bool) -> set[int]:
    """Work a customer's alerts out from the counters, tell what is new, and watch for what comes next.

    Args:
        tx: The transaction; the customer's watch is locked, or gets locked here.
        customer: The customer's key.
        timed: Whether to look as well at what depends on the time alone.

    Returns:
        The revisions it is watched by.
    """
    alerts.lock(tx.connection, tx.workspace.id, customer)
    found, changes_at = watched_of(tx, customer, timed=timed)
    known = alerts.crossings(tx.connection, tx.workspace.id, customer, tx.now)
    for each in found:
        mine = [one for one in known if one.alert == each.key and one.window_start == each.start]
        for threshold in each.thresholds:
            _settle(
                tx, customer, each, threshold, [one for one in mine if one.threshold == each.name(threshold)]
            )
    triggers = list(_triggers(tx, found, changes_at))
    triggers.append((TIME, None, _due_at(tx, found, changes_at)))
    triggers.append(
        (ENDS, None, min((one.ends_next for one in found if one.ends_next is not None), default=None))
    )
    alerts.watch(tx.connection, tx.workspace.id, customer, triggers, timed=timed)
    return {revision for revision, _, _ in triggers}


def _settle(
    tx: Transaction, customer: str, each: Watched, threshold: Threshold, turns: Sequence[Crossing]
) -> None:
    """Bring one threshold's crossings up to date."""
    last = turns[-1] if turns else None
    if is_reached(threshold, each.level):
        armed = last is None or (last.recovered_at is not None and each.re_arm == "recovery")
        if armed:
            turn = 0 if last is None else last.turn + 1
            crossing = Crossing(
                each.key,
                each.name(threshold),
                each.start,
                turn,
                each.end,
                each.level.amount,
                each.level.whole,
                tx.now,
                None,
            )
            if alerts.cross(tx.connection, tx.workspace.id, customer, crossing):
                _tell(tx, customer, each, threshold, crossing, "alert.crossed")
                if each.kind in ("included", "limit") and _says_expansion(threshold, each):
                    _tell(tx, customer, each, threshold, crossing, "expansion.signal")
    elif (
        last is not None
        and last.recovered_at is None
        and not each.lingers
        and alerts.recover(tx.connection, tx.workspace.id, customer, last, tx.now)
        and each.recovered
    ):
        _tell(tx, customer, each, threshold, last, "alert.recovered")


def _says_expansion(threshold: Threshold, each: Watched) -> bool:
    point, sign = point_of(threshold, each.level), point_of(_EXPANSION_FROM, each.level)
    return point is not None and sign is not None and point >= sign


def _tell(
    tx: Transaction, customer: str, each: Watched, threshold: Threshold, crossing: Crossing, topic: str
) -> None:
    name = ":".join(
        (
            f"valorem:{tx.workspace.id}:{topic}",
            customer,
            crossing.alert,
            crossing.threshold,
            write_instant(crossing.window_start),
            str(crossing.turn),
        )
    )
    whole, level = each.level.whole, each.level.amount
    message = Message(
        part=part_of(tx.workspace.id, customer),
        id=uuid5(NAMESPACE_URL, name),
        topic=topic,
        object=f"{customer}/{each.key}",
        payload={
            "customer": customer,
            "alert": each.key,
            "kind": each.kind,
            "on": each.on,
            "threshold": each.name(threshold),
            "level": plain(level),
            "of": None if whole is None else plain(whole),
            "unit": each.unit,
            "ends_at": None if each.ends_at is None else write_instant(each.ends_at),
            "window_start": write_instant(each.start) if each.end is not None else None,
            "window_end": None if each.end is None else write_instant(each.end),
            "at": write_instant(tx.now),
            "text": each.say(threshold),
        },
    )
    outbox.put(tx.connection, tx.workspace.id, [message], tx.now)


def _due_at(tx: Transaction, found: Sequence[Watched], changes_at: datetime | None) -> datetime | None:
    """When to look again whatever is used: never where there is nothing to tell of."""
    instants = [each.next_at for each in found if each.next_at is not None]
    if found:
        moving = any(each.kind == _MOVING for each in found)
        instants.append(tx.now + (_AGAIN_AFTER if moving else _IN_ANY_CASE))
    instants += [changes_at] if changes_at is not None else []
    return min(instants, default=None)


def _triggers(
    tx: Transaction, found: Sequence[Watched], changes_at: datetime | None
) -> Iterator[tuple[int, Decimal | None, datetime | None]]:
    """For each revision how much of it may be used before anything can be crossed, and until when that holds."""
    again = tx.now + _AGAIN_AFTER
    until = min(again, changes_at) if changes_at is not None else again
    revisions: dict[int, tuple[Decimal | None, datetime]] = {}
    for each in found:
        gap = distance(each.thresholds, each.level)
        for feed in each.feeds:
            room: Decimal | None = None
            if feed.wakes is not None:
                room = ZERO if feed.wakes else None
            elif gap is not None and feed.most is None:
                room = ZERO
            elif gap is not None and feed.most is not None:
                room = gap if each.additive else headroom(gap, feed.most, len(each.feeds), feed.slack)
            kept, ends = revisions.get(feed.revision, (None, again))
            rooms = [one for one in (kept, room) if one is not None]
            ends = min(ends, each.end) if each.end is not None else ends
            revisions[feed.revision] = (min(rooms) if rooms else None, ends)
    for revision, (room, ends) in sorted(revisions.items()):
        yield revision, room, min(ends, until) if changes_at is not None else ends
