"""The routes of the pages: the overview of a workspace, the way in and out, the API reference."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from valorem.core.errors import NotFoundError, UnauthorizedError, ValoremError
from valorem.core.numbers import plain
from valorem.engine.engine import Engine
from valorem.engine.keys import authenticate
from valorem.web.formats import day, grouped, moment, money, quantity
from valorem.web.overview import overview_of
from valorem.web.reference import reference_of
from valorem.web.visits import COOKIE, LIFETIME_S, Visits

_ASSETS = Path(__file__).parent / "assets"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # so that a form's origin can be checked
}
_MOST_FORM_BYTES = 4096


def pages(engine: Engine, document: Callable[[], Mapping[str, Any]]) -> Sequence[BaseRoute]:
    """The routes.

    Args:
        engine: What the verbs work with.
        document: Gives the API's OpenAPI document.
    """
    return _Pages(engine, document).routes()


class _Pages:
    def __init__(self, engine: Engine, document: Callable[[], Mapping[str, Any]]) -> None:
        self._engine = engine
        self._document = document
        self._visits = Visits(engine)
        self._templates = Environment(
            loader=PackageLoader("valorem.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            day=day, moment=moment, money=money, quantity=quantity, plain=plain, grouped=grouped
        )

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._overview, methods=["GET"]),
            Route("/session", self._enter, methods=["POST"]),
            Route("/session/end", self._leave, methods=["POST"]),
            Route("/reference", self._reference, methods=["GET"]),
            Route("/assets/{name}", self._asset, methods=["GET"]),
        ]

    async def _overview(self, request: Request) -> Response:
        return await anyio.to_thread.run_sync(partial(self._overview_page, request.cookies.get(COOKIE)))

    def _overview_page(self, cookie: str | None) -> Response:
        visitor = self._visits.visitor(cookie)
        if visitor is None:
            return self._page("enter.html", refused=None)
        return self._page("overview.html", seen=overview_of(self._engine, visitor.workspace))

    async def _enter(self, request: Request) -> Response:
        if not _same_origin(request):
            return self._page("enter.html", status=403, refused="This form was sent from another site.")
        body = await request.body()
        if len(body) > _MOST_FORM_BYTES:
            return self._page("enter.html", status=400, refused="That is no API key.")
        form = parse_qs(body.decode(errors="replace"))
        key = form.get("key", [""])[0].strip()
        return await anyio.to_thread.run_sync(
            partial(self._entered, key, secure=request.url.scheme == "https")
        )

    def _entered(self, key: str, *, secure: bool) -> Response:
        try:
            principal = authenticate(self._engine, key)
        except UnauthorizedError:
            refused = "This key is not known here, or it was revoked or has expired."
            return self._page("enter.html", status=401, refused=refused)
        except ValoremError as error:
            return self._page("enter.html", status=error.status, refused=error.message)
        if not principal.may("read"):
            return self._page(
                "enter.html", status=403, refused="This key may not read. Use one with the scope read."
            )
        response = RedirectResponse("/", 303, _HEADERS)
        response.set_cookie(
            COOKIE,
            self._visits.begin(principal),
            max_age=LIFETIME_S,
            httponly=True,
            samesite="strict",
            secure=secure,
        )
        return response

    async def _leave(self, request: Request) -> Response:
        response = RedirectResponse("/", 303, _HEADERS)
        if _same_origin(request):
            response.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return response

    async def _reference(self, _request: Request) -> Response:
        return self._page("reference.html", reference=reference_of(self._document()))

    async def _asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in {path.name for path in _ASSETS.iterdir()}:
            raise NotFoundError("there is nothing at this address")
        return FileResponse(_ASSETS / name, headers={**_HEADERS, "Cache-Control": "max-age=300"})

    def _page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), status, _HEADERS)


def _same_origin(request: Request) -> bool:
    """Whether a form came from our own pages; a browser says so in one of two headers."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin == f"{request.url.scheme}://{request.headers.get('host', '')}"
