"""Server-sent events: the numbers of a page as they change, and a heartbeat, so that a dead stream is noticed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from valorem.core.errors import ValoremError
from valorem.core.numbers import plain
from valorem.core.time import write_instant
from valorem.web.formats import money_text, quantity_text
from valorem.web.locales import language_of, spoken
from valorem.web.security import headers_for
from valorem.web.site import Site, Visit
from valorem.web.standings import Standings, Watch

_EVERY_S = 1.0
_BEAT_S = 15.0
#: The session is looked up again this often.
_SESSION_S = 30.0
_RETRY_MS = 2000


def live_route(site: Site, watch: Watch, stopped: Callable[[], bool]) -> Route:
    """``/w/{workspace}/live``: one stream a page; ``about`` says which numbers it shows.

    Args:
        site: Who may listen.
        watch: Where the numbers come from.
        stopped: Tells every stream to end.
    """

    async def live(request: Request) -> Response:
        try:
            visit = await anyio.to_thread.run_sync(site.visit, request, {})
        except ValoremError as error:
            return Response(status_code=error.status, headers=headers_for(request))
        headers = {**headers_for(request), "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = _stream(site, visit, watch, stopped)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    return Route("/w/{workspace}/live", live, methods=["GET"])


async def _stream(site: Site, visit: Visit, watch: Watch, stopped: Callable[[], bool]) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    about, language = visit.query("about"), language_of(visit.request)
    sent: dict[str, Any] = {}
    last = beat = checked = loop.time()
    number = 0
    yield f"retry: {_RETRY_MS}\n\n"
    while not stopped():
        seen = watch.look(visit.workspace.id, patience_s=0)
        with spoken(language):
            values = {key: value for key, value in values_of(seen, about).items() if sent.get(key) != value}
        now = loop.time()
        if seen.ready and (values or not number or now - last >= _BEAT_S):
            sent.update(values)
            number, last = number + 1, now
            at = write_instant(seen.at.replace(microsecond=0)) if seen.at else ""
            message = {"at": at, "events": seen.events, "missing": seen.missing, "values": values}
            yield f"id: {number}\nevent: numbers\ndata: {json.dumps(message)}\n\n"
        elif now - beat >= _BEAT_S:
            beat = now
            yield "event: beat\ndata: {}\n\n"
        if now - checked >= _SESSION_S:
            checked = now
            if await anyio.to_thread.run_sync(partial(site.session, visit.request)) is None:
                yield "event: over\ndata: {}\n\n"
                return
        await asyncio.sleep(_EVERY_S)


def values_of(seen: Standings, about: str) -> Mapping[str, Mapping[str, str]]:
    """Each live number of a page by the id of its place.

    Args:
        seen: What is known of the workspace.
        about: ``home``, ``events``, ``customers``, or ``customer:KEY``.
    """
    values = {
        "live-events": _number(quantity_text(seen.events), str(seen.events)),
        "live-rate": _number(quantity_text(seen.rate), plain(seen.rate)),
    }
    kind, _, key = about.partition(":")
    if kind in {"home", "customers"}:
        for each in seen.sums():
            for name in ("so_far", "projected", "low", "high"):
                amount = getattr(each, name)
                place = f"live-{name.replace('_', '-')}-{each.currency}"
                values[place] = _number(money_text(amount, each.currency), plain(amount))
        values["live-missing"] = _number(f"{seen.contracts - seen.missing} of {seen.contracts}", "")
    shown = (
        seen.running.values() if kind == "customers" else seen.of_customer(key) if kind == "customer" else ()
    )
    for one in shown:
        values[f"so-far-{one.contract}"] = _number(money_text(one.so_far, one.currency), plain(one.so_far))
        values[f"projected-{one.contract}"] = _number(
            money_text(one.projected, one.currency), plain(one.projected)
        )
    return values


def _number(text: str, value: str) -> dict[str, str]:
    return {"text": text, "value": value} if value else {"text": text}
