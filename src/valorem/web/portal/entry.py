"""The ways in and out: a link that works once, the language, leaving; and what a page that frames the portal needs."""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from valorem.core.errors import NotFoundError, ValoremError
from valorem.engine.portal import choose_language, enter_portal, leave_portal
from valorem.web.assets import Assets
from valorem.web.portal.site import Answer, Go, Guest, PortalSite, headers_for
from valorem.web.security import address_of

#: A vendor's logo is its own drawing: nothing in it runs, wherever it is opened.
_LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_FOR_A_DAY = "private, max-age=86400"
_PAGES = frozenset(
    {"", "usage", "usage/events", "credits", "limits", "invoices", "plan", "plan/calculator", "outcomes"}
)


def add(site: PortalSite, assets: Assets) -> None:
    """Add the pages."""
    entry = _Entry(site, assets)
    site.open("/portal/enter", entry.enter)
    site.open("/portal/embed.js", entry.embed)
    site.page("/theme/{version}.css", _theme)
    site.page("/logo/{version}", _logo)
    site.action("/language", _language)
    site.action("/leave", entry.leave)


class _Entry:
    """What needs the site itself."""

    def __init__(self, site: PortalSite, assets: Assets) -> None:
        self._site = site
        self._assets = assets

    def enter(self, request: Request, _form: Mapping[str, str]) -> Response:
        """Use the link up and go to the page it is for; the address that holds the token is gone from then on."""
        ahead = "prefetch" in request.headers.get("sec-purpose", request.headers.get("purpose", ""))
        if ahead or request.method == "HEAD":
            return Response(
                status_code=503, headers=headers_for(request, None)
            )  # a look ahead uses nothing up
        try:
            session = enter_portal(
                self._site.engine,
                request.query_params.get("t", "")[:200],
                address=address_of(request),
            )
        except ValoremError as error:
            return self._site.ended(request, error)
        to = request.query_params.get("to", "").strip("/")
        home = self._site.home(session)
        response = RedirectResponse(
            f"{home}/{to if to in _PAGES else ''}", 303, headers_for(request, session.origin)
        )
        self._site.set_session(request, response, session)
        return response

    def embed(self, _request: Request, _form: Mapping[str, str]) -> Response:
        """The script of a page that frames the portal, at an address that stays."""
        found = self._assets.read("embed.js")
        assert found is not None  # it is one of our files
        headers = {"Cache-Control": "public, max-age=3600", "Cross-Origin-Resource-Policy": "cross-origin"}
        return Response(found[0], media_type=found[1], headers=headers)

    def leave(self, guest: Guest) -> Answer:
        """End the session."""
        leave_portal(guest.engine, guest.session)
        return Go(guest.home + "/")


def _theme(guest: Guest) -> Response:
    return Response(guest.theme.css, media_type="text/css", headers={"Cache-Control": _FOR_A_DAY})


def _logo(guest: Guest) -> Response:
    found = guest.theme.logo
    if found is None:
        raise NotFoundError("there is no logo")
    headers = {"Cache-Control": _FOR_A_DAY, "Content-Security-Policy": _LOGO_POLICY}
    return Response(found[0], media_type=found[1], headers=headers)


def _language(guest: Guest) -> Answer:
    choose_language(guest.engine, guest.session, guest.field("language"))
    back = guest.field("back")
    here = back if back.startswith(guest.home + "/") and "\n" not in back and "\\" not in back else ""
    return Go(here or guest.home + "/")
