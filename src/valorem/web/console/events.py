"""Events: is usage arriving, and what was counted of each?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec

from valorem.core.errors import NotFoundError, ValoremError
from valorem.core.metering.event import Event
from valorem.core.metering.meter import Reading
from valorem.core.numbers import plain
from valorem.core.time import parse_instant
from valorem.engine.engine import Transaction
from valorem.engine.events import FoundEvent, RecordedEvent, browse_events, find_event
from valorem.engine.heard import Heard
from valorem.engine.meters import load_meters
from valorem.engine.overview import LatestEvent, latest_events
from valorem.store.postgres import meters as meter_store
from valorem.web.page import Page
from valorem.web.site import Site, Visit
from valorem.web.standings import Watch

_PAGE = 30
_INSTANT = timedelta(microseconds=1)
#: Events that come later than this after they happened are marked.
_LATE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Counted:
    """What one meter took of an event."""

    meter: str
    current: bool
    dimensions: str
    value: Decimal | str


def add(site: Site, watch: Watch, heard: Heard) -> None:
    """Add the pages."""
    site.page("/events", partial(_list, watch=watch, heard=heard))
    site.page("/event", _show)


def _list(visit: Visit, watch: Watch, heard: Heard) -> Page:
    subject, kind, event_id = visit.query("subject"), visit.query("type"), visit.query("id")
    refused: ValoremError | None = None
    next_page: str | None = None
    rows: Sequence[LatestEvent | RecordedEvent] = ()
    with visit.reading() as tx:
        latest = latest_events(tx, limit=_PAGE)
        sources = list(dict.fromkeys(each.event.source for each in latest))
        if event_id:
            found, refused = _look_up(tx, visit.query("source") or (sources[0] if sources else ""), event_id)
            if found is not None:
                return _event_page(tx, found)
        if subject and visit.query("order") == "oldest":
            try:
                page = browse_events(
                    tx,
                    subjects=[subject],
                    types=[kind] if kind else None,
                    after=visit.query("after") or None,
                    limit=_PAGE,
                )
                rows, next_page = page.items, page.next
            except ValoremError as error:
                refused = error
        else:
            rows = (
                latest_events(tx, limit=_PAGE, subject=subject or None, type=kind or None)
                if subject or kind
                else latest
            )
        now = tx.now
    more = {"subject": subject, "type": kind, "order": "oldest", "after": next_page}
    values = {
        "here": "events",
        "rows": [_row(each) for each in rows],
        "subject": subject,
        "kind": kind,
        "id": event_id,
        "source": visit.query("source") or (sources[0] if sources else ""),
        "sources": sources,
        "order": visit.query("order"),
        "types": list(dict.fromkeys(each.event.type for each in latest)),
        "refused": refused,
        "now": now,
        "seen": watch.look(visit.workspace.id, patience_s=0.1),
        "heard": heard.of(visit.workspace.id),
        "next": "?" + urlencode({key: value for key, value in more.items() if value}) if next_page else None,
        "first": not visit.query("after"),
        "url": str(visit.request.base_url).rstrip("/"),
    }
    return Page("console/events.html", values, 200 if refused is None else refused.status)


def _look_up(tx: Transaction, source: str, event_id: str) -> tuple[FoundEvent | None, ValoremError | None]:
    try:
        return find_event(tx, source, event_id), None
    except ValoremError as error:
        return None, error


def _row(each: LatestEvent | RecordedEvent) -> dict[str, Any]:
    event = each.event if isinstance(each, LatestEvent) else each
    at = event.time
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": at,
        "data": _short(event.data),
        "state": "" if isinstance(each, LatestEvent) else each.state,
        "late": isinstance(each, LatestEvent) and at is not None and each.received_at - at > _LATE,
        "received_at": each.received_at if isinstance(each, LatestEvent) else None,
    }


def _short(data: Mapping[str, Any]) -> str:
    text = ", ".join(f"{name} {_plain(value)}" for name, value in data.items())
    return text if len(text) <= 120 else text[:119] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping | list | tuple):
        return "…"
    return str(value)


def _show(visit: Visit) -> Page:
    source, event_id = visit.query("source"), visit.query("id")
    with visit.reading() as tx:
        try:
            found = find_event(tx, source, event_id)
        except NotFoundError:
            if (earlier := _by_time(visit, tx, source, event_id)) is None:
                raise
            found = FoundEvent(earlier, None, ())
        return _event_page(tx, found)


def _by_time(visit: Visit, tx: Transaction, source: str, event_id: str) -> RecordedEvent | None:
    """An event whose id is no longer kept for look-ups, found by its subject and time where the address has them."""
    subject, at = visit.query("subject"), visit.query("time")
    if not subject or not at:
        return None
    start = parse_instant(at, "time")
    page = browse_events(tx, subjects=[subject], start=start, end=start + _INSTANT, limit=1000)
    return next((each for each in page.items if (each.source, each.id) == (source, event_id)), None)


def _event_page(tx: Transaction, found: FoundEvent) -> Page:
    event = found.event
    values = {
        "here": "events",
        "found": found,
        "event": event,
        "raw": _pretty(found.raw) if found.raw else None,
        "corrections": [_pretty(raw) for raw in found.corrections],
        "counted": _counted(tx, event) if event is not None and event.state != "voided" else [],
        "now": tx.now,
    }
    return Page("console/event.html", values)


def _counted(tx: Transaction, event: RecordedEvent) -> list[Counted]:
    """What each meter reads from an event as it counts, by the function that counts it."""
    as_counted = Event(
        id=event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        time=event.time,
        data=event.data,
    )
    meters = load_meters(tx.connection, tx.workspace.id, tx.limits)
    rows = {row.id: row for row in meter_store.revisions(tx.connection, tx.workspace.id)}
    found = []
    for revision, reading in meters.read_recorded(as_counted):
        meter = meters.compiled[revision].meter
        found.append(
            Counted(
                meter.name or meter.key,
                rows[revision].current,
                _where(meter.dimension_names, reading),
                reading.value,
            )
        )
    return found


def _where(names: Sequence[str], reading: Reading) -> str:
    values = zip(names, reading.dimensions, strict=True)
    return ", ".join(f"{name} {value}" for name, value in values if value is not None)


def _pretty(raw: bytes) -> str:
    try:
        return msgspec.json.format(raw, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")
