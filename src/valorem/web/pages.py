"""The routes of the pages: the ways in, the console, live numbers, static files, the API reference."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from valorem.core.errors import NotFoundError
from valorem.engine.engine import Engine
from valorem.engine.heard import Heard
from valorem.web.assets import Assets
from valorem.web.charts.drawing import Drawing
from valorem.web.console import add_console
from valorem.web.entry import Entry
from valorem.web.live import live_route
from valorem.web.openid import OpenIdEntry, Provider
from valorem.web.page import Page
from valorem.web.portal.routes import portal_routes
from valorem.web.reference import reference_of
from valorem.web.render import Templates
from valorem.web.site import Answer, Site
from valorem.web.standings import Watch

_FOR_EVER = "public, max-age=31536000, immutable"


def pages(
    engine: Engine,
    document: Callable[[], Mapping[str, Any]],
    stopped: Callable[[], bool],
    heard: Heard,
    *,
    provider: Provider | None = None,
) -> Sequence[BaseRoute]:
    """The routes.

    Args:
        engine: What the verbs work with.
        document: Gives the API's OpenAPI document.
        stopped: Whether the server is stopping; streams and background work end then.
        heard: What senders of events are told.
        provider: By whom people may sign in besides passwords.
    """
    assets, drawing = Assets(), Drawing()
    site = Site(engine, Templates(assets, drawing))
    watch = Watch(engine, stopped)

    def reference(_request: Request, _form: Mapping[str, str]) -> Answer:
        return Page("reference.html", {"reference": reference_of(document())})

    async def asset(request: Request) -> Response:
        # The chart library is put together when first asked for, which takes seconds.
        found = await anyio.to_thread.run_sync(assets.read, request.path_params["name"])
        if found is None:
            raise NotFoundError("there is nothing at this address")
        content, media_type, encoding = found
        headers = {"Cache-Control": _FOR_EVER, "Cross-Origin-Resource-Policy": "same-origin"}
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        return Response(content, media_type=media_type, headers=headers)

    entry = Entry(site, None if provider is None else (urlsplit(provider.issuer).hostname or provider.issuer))
    if provider is not None:
        OpenIdEntry(site, entry, provider)
    site.open("/reference", reference)
    add_console(site, watch, heard)
    return [
        live_route(site, watch, stopped),
        *site.routes,
        *portal_routes(engine, assets, drawing, stopped),
        Route("/assets/{version}/{name}", asset, methods=["GET"]),
    ]
