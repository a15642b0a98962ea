"""The numbers of a portal page as they change: a stream of its own, for one customer, that ends with the session."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from valorem.core.errors import ValoremError
from valorem.core.numbers import plain
from valorem.core.time import quarter_hour_of
from valorem.engine.budgets import list_budgets
from valorem.engine.engine import Transaction
from valorem.engine.overview import arrivals
from valorem.store.postgres import ingest, limits
from valorem.store.postgres.batches import subject_hash
from valorem.web.portal import figures, said
from valorem.web.portal.site import Guest, PortalSite, headers_for

_EVERY_S = 1.0
_BEAT_S = 15.0
_SESSION_S = 30.0
_RETRY_MS = 2000
_MOST_STREAMS = 6
Values = dict[str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was known at the last look."""

    stamp: str
    seq: int
    quarter: datetime


@dataclass(frozen=True, slots=True)
class _Look:
    """One look: whether anything of this customer changed, and its numbers if so."""

    seen: _Seen
    text: str
    values: Values | None
    crossed: str


def live_route(site: PortalSite, stopped: Callable[[], bool]) -> Route:
    """``/portal/{place}/live``: one stream a page.

    Args:
        site: Who may listen.
        stopped: Tells every stream to end.
    """
    open_streams: dict[str, int] = {}

    async def live(request: Request) -> Response:
        try:
            guest = await anyio.to_thread.run_sync(site.guest, request, {})
        except ValoremError as error:
            return Response(status_code=error.status, headers=headers_for(request, None))
        if open_streams.get(guest.session.token, 0) >= _MOST_STREAMS:
            return Response(status_code=429, headers=headers_for(request, guest.session.origin))
        headers = {**headers_for(request, guest.session.origin), "X-Accel-Buffering": "no"}
        stream = _counted(open_streams, guest.session.token, _stream(site, guest, stopped))
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    return Route("/portal/{place}/live", live, methods=["GET"])


async def _counted(streams: dict[str, int], token: str, stream: AsyncIterator[str]) -> AsyncIterator[str]:
    streams[token] = streams.get(token, 0) + 1
    try:
        async for each in stream:
            yield each
    finally:
        streams[token] -= 1
        if not streams[token]:
            del streams[token]


async def _stream(site: PortalSite, guest: Guest, stopped: Callable[[], bool]) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    sent: Values = {}
    seen: _Seen | None = None
    last = checked = loop.time()
    number = 0
    yield f"retry: {_RETRY_MS}\n\n"
    while not stopped():
        try:
            look = await anyio.to_thread.run_sync(partial(_look, guest, seen))
        except ValoremError:
            await asyncio.sleep(_EVERY_S * 5)  # the database is away; the page says since when
            continue
        seen, now = look.seen, loop.time()
        changed = {key: value for key, value in (look.values or {}).items() if sent.get(key) != value}
        if changed or not number or now - last >= _BEAT_S:
            sent.update(changed)
            number, last = number + 1, now
            message = {"text": look.text, "values": changed, "crossed": look.crossed if changed else ""}
            yield f"id: {number}\nevent: numbers\ndata: {json.dumps(message)}\n\n"
        if now - checked >= _SESSION_S:
            checked = now
            try:
                await anyio.to_thread.run_sync(site.session, guest.request)
            except ValoremError:
                yield "event: over\ndata: {}\n\n"
                return
        await asyncio.sleep(_EVERY_S)


def _look(guest: Guest, seen: _Seen | None) -> _Look:
    with guest.engine.transaction(guest.workspace.id, snapshot=True, read_only=True) as tx:
        stamp = limits.stamp(tx.connection, tx.workspace.id, guest.key, guest.key)
        now = _Seen(stamp, ingest.committed(tx.connection, tx.workspace.id), quarter_hour_of(tx.now))
        values = numbers(tx, guest) if seen is None or _moved(tx, guest, seen, now) else None
        zone = guest.customer.zone
        text = guest.words.say(
            "live, as of %(time)s, %(zone)s", time=guest.words.clock_text(tx.now, zone), zone=zone
        )
        crossed = _near(tx, guest) if values is not None and seen is not None else ""
    return _Look(now, text, values, crossed)


def _moved(tx: Transaction, guest: Guest, before: _Seen, now: _Seen) -> bool:
    """Whether events of this customer came in, its terms changed, or a quarter hour passed."""
    if (before.stamp, before.quarter) != (now.stamp, now.quarter):
        return True
    if before.seq == now.seq:
        return False
    mine = {subject_hash(subject) for subject in guest.customer.subjects}
    return any(not mine.isdisjoint(batch.subjects) for batch in arrivals(tx, before.seq))


def numbers(tx: Transaction, guest: Guest) -> Values:
    """Every live number by the id of its place; pages show those of them that they have a place for."""
    return dict(_numbers(tx, guest))


def _numbers(tx: Transaction, guest: Guest) -> Iterator[tuple[str, dict[str, str]]]:
    yield from _of_invoices(tx, guest)
    yield from _of_edges(tx, guest)
    words = guest.words
    for balance in figures.credits_of(tx, guest):
        yield f"credit-{balance.credit}", _number(words.quantity_text(balance.available), balance.available)
        yield f"stock-{balance.credit}", _number("", figures.share(balance.available, balance.granted))


def _of_invoices(tx: Transaction, guest: Guest) -> Iterator[tuple[str, dict[str, str]]]:
    words = guest.words
    for each in figures.running(tx, guest):
        if each.preview is None:
            continue
        currency, key = each.contract.currency, each.contract.id
        amounts = {
            "so-far": each.preview.so_far.total,
            "projected": each.preview.projected.total,
            "low": each.preview.low,
            "high": each.preview.high,
        }
        for name, amount in amounts.items():
            if amount is not None:
                yield f"{name}-{key}", _number(words.money_text(amount, currency), amount)
        for burned in figures.burned(tx, each):
            yield f"used-{burned.key}", _number(words.quantity_text(burned.used), burned.used)
            yield f"cost-{burned.key}", _number(words.money_text(burned.cost, currency), burned.cost)
            for part in burned.parts:
                yield f"bar-{burned.key}-{part.name}", _number("", figures.width(burned, part.name))


def _of_edges(tx: Transaction, guest: Guest) -> Iterator[tuple[str, dict[str, str]]]:
    words, currency = guest.words, guest.customer.currency
    for budget in list_budgets(tx, guest.key):
        yield f"spent-{budget.id}", _number(words.money_text(budget.spent, currency), budget.spent)
        yield f"left-{budget.id}", _number(words.money_text(budget.left, currency), budget.left)
        yield f"part-{budget.id}", _number("", figures.share(budget.spent, budget.budget.amount))
    for access in figures.limits_of(tx, guest):
        for place, standing in enumerate(access.standings):
            name, state = f"{access.feature}-{place}", standing.state
            yield f"limit-{name}", _number(words.quantity_text(state.used), state.used)
            yield f"room-{name}", _number(words.quantity_text(state.remaining), state.remaining)
            yield f"fill-{name}", _number("", figures.share(state.taken, state.limit.max))


def _near(tx: Transaction, guest: Guest) -> str:
    """What is said aloud: only limits that are near or passed, never each tick."""
    for access in figures.limits_of(tx, guest):
        for standing in access.standings:
            word, tone = said.standing_word(guest.words, standing.state)
            if tone != "good":
                return f"{access.name}: {word}"
    return ""


def _number(text: str, value: Decimal) -> dict[str, str]:
    return {"text": text, "value": plain(value)}
