"""How a page or an action of the portal becomes a route, with everything that must hold for each of them.

Every address lies under ``/portal/PLACE``: the place is made from workspace and customer, and so is the name of the cookie.
So several customers' portals can be open in one browser, and a session opens the one place it is for, nothing else.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from valorem.core.billing.parties import Seller
from valorem.core.contracts.customer import Customer
from valorem.core.errors import ForbiddenError, InvalidInputError, ValoremError
from valorem.core.portal.settings import Permission, PortalSettings
from valorem.core.workspace import Workspace
from valorem.engine.audit import Deed, record
from valorem.engine.customers import get_customer
from valorem.engine.engine import Engine, Transaction
from valorem.engine.outcomes import sells_outcomes
from valorem.engine.portal import (
    PortalEndedError,
    PortalSession,
    check_may_change,
    customer_actor,
    get_portal_settings,
    portal_session_of,
)
from valorem.engine.retrying import acting, until_done
from valorem.engine.sessions import sign, signing_secret
from valorem.engine.settings import get_billing_settings
from valorem.web.forms import read_form, same
from valorem.web.page import Page
from valorem.web.portal.pace import Pace
from valorem.web.portal.render import PortalTemplates
from valorem.web.portal.said import error_text, line_text, notice
from valorem.web.portal.theme import Theme
from valorem.web.portal.words import Words, accepted, chosen, words_of
from valorem.web.security import is_https, same_origin

log = logging.getLogger(__name__)
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)


@dataclass(frozen=True, slots=True)
class Go:
    """Send the browser to another page of this portal, which says what was done: a name in ``notices``."""

    to: str
    done: str = ""


@dataclass(frozen=True)
class Guest:
    """One request of somebody who looks at one customer's portal.

    Attributes:
        engine: What the verbs work with.
        request: As it came.
        session: Whose portal, and who looks.
        workspace: The customer's.
        customer: As it stands.
        settings: What the vendor says of the portal.
        words: The language.
        form: The fields of a form.
        csrf: The token that this session's forms carry.
        home: Where the pages begin.
        seller: Who sells, where that was said.
        sells_outcomes: Whether results are paid for in this workspace.
    """

    engine: Engine
    request: Request
    session: PortalSession
    workspace: Workspace
    customer: Customer
    settings: PortalSettings
    words: Words
    form: Mapping[str, str]
    csrf: str
    home: str
    seller: Seller | None
    sells_outcomes: bool

    @property
    def key(self) -> str:
        """The customer's key."""
        return self.session.customer

    @property
    def watching(self) -> bool:
        """Whether an operator looks through the customer's eyes."""
        return self.session.actor is not None

    @cached_property
    def theme(self) -> Theme:
        """The vendor's colours and logo."""
        return Theme(self.settings)

    def path(self, name: str) -> str:
        """A variable of the address."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """A parameter of the address, without blanks around it; empty where there is none."""
        return self.request.query_params.get(name, "").strip()[:500]

    def field(self, name: str) -> str:
        """A field of the form, without blanks around it."""
        return self.form.get(name, "").strip()

    def once(self) -> str:
        """The form's own id, under which what it does is done once, however often it is sent.

        Raises:
            InvalidInputError: Where our page did not write it.
        """
        once = self.field("once")
        if not once.isalnum() or len(once) > 64:
            raise InvalidInputError("load the page again", field="once")
        return once

    def check_allowed(self, permission: Permission) -> None:
        """Refuse what the vendor does not let customers do themselves.

        Raises:
            ForbiddenError: Always the same.
        """
        if permission not in self.settings.allows:
            raise ForbiddenError("this is not done here", hint="ask us")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One transaction that sees one instant and writes nothing."""
        with self.engine.transaction(self.workspace.id, snapshot=True, read_only=True) as tx:
            yield tx

    @contextmanager
    def acting(self) -> Iterator[Transaction]:
        """One transaction for an action; :meth:`note` it in there. An action has one, and is repeated with it."""
        with acting(self.engine, self.workspace.id) as tx:
            yield tx

    def note(
        self, tx: Transaction, action: str, obj: str, *, before: Mapping[str, Any] | None = None, **after: Any
    ) -> None:
        """Write what the customer does to the audit log, in the transaction that does it."""
        request_id = str(self.request.scope.get("state", {}).get("request_id", ""))
        deed = Deed(customer_actor(self.key), action, obj, before, after or None, request_id)
        record(tx.connection, self.workspace.id, deed, self.engine.real_now())


Answer: TypeAlias = Page | Go | Response
Handler: TypeAlias = Callable[[Guest], Answer]
OpenHandler: TypeAlias = Callable[[Request, Mapping[str, str]], Response]


class PortalSite:
    """Collects the portal's routes, and answers for all of them in one way.

    Args:
        engine: What the verbs work with.
        templates: Renders pages.
    """

    def __init__(self, engine: Engine, templates: PortalTemplates) -> None:
        self.engine = engine
        self._templates = templates
        self._pace = Pace()
        self.routes: list[BaseRoute] = []

    @cached_property
    def secret(self) -> bytes:
        """Signs links, cookies, forms and places."""
        return signing_secret(self.engine, "portal")

    def page(self, path: str, handler: Handler) -> None:
        """A page: ``path`` follows ``/portal/{place}``."""
        self._add(path, handler, acts=False)

    def action(self, path: str, handler: Handler) -> None:
        """What a form does. An operator who looks through the customer's eyes may send none."""
        self._add(path, handler, acts=True)

    def _add(self, path: str, handler: Handler, *, acts: bool) -> None:
        async def endpoint(request: Request) -> Response:
            form = await read_form(request) if acts else {}
            return await anyio.to_thread.run_sync(partial(self._answer, request, handler, form, acts=acts))

        methods = ["POST"] if acts else ["GET"]
        self.routes.append(Route("/portal/{place}" + path, endpoint, methods=methods))

    def open(self, path: str, handler: OpenHandler) -> None:
        """A page for whoever comes; the handler checks what there is to check."""

        async def endpoint(request: Request) -> Response:
            return await anyio.to_thread.run_sync(handler, request, {})

        self.routes.append(Route(path, endpoint, methods=["GET"]))

    def place(self, workspace: int, customer: str) -> str:
        """Where a customer's portal is: says nothing of either, and always the same."""
        return sign(self.secret, "place", f"{workspace}\0{customer}")[:20]

    def home(self, session: PortalSession) -> str:
        """Where a session's pages begin."""
        return f"/portal/{self.place(session.workspace, session.customer)}"

    def csrf(self, session: PortalSession) -> str:
        """The token of a session's forms."""
        return sign(self.secret, "form", session.token)

    def session(self, request: Request) -> PortalSession:
        """Whose portal this request may see.

        Raises:
            PortalEndedError: For nobody, and for a session of another place.
        """
        place = request.path_params["place"]
        token, _, signature = request.cookies.get(cookie_name(request, place), "").partition(".")
        if not token or not same(signature, sign(self.secret, "session", token)):
            raise PortalEndedError
        session = portal_session_of(self.engine, token)
        if not same(place, self.place(session.workspace, session.customer)):
            raise PortalEndedError(session.origin)
        return session

    def guest(self, request: Request, form: Mapping[str, str]) -> Guest:
        """Who asks for what.

        Raises:
            PortalEndedError: For nobody.
            TooFastError: For more than a person could look at.
        """
        session = self.session(request)
        self._pace.take(session.token)
        with self.engine.transaction(session.workspace, read_only=True) as tx:
            customer = get_customer(tx, session.customer)
            settings = get_portal_settings(tx)
            seller = get_billing_settings(tx).seller
            outcomes = sells_outcomes(tx)
            workspace = tx.workspace
        language = chosen(session.language, customer.billing.locale) or accepted(
            request.headers.get("accept-language", "")
        )
        return Guest(
            engine=self.engine,
            request=request,
            session=session,
            workspace=workspace,
            customer=customer,
            settings=settings,
            words=words_of(language or settings.language),
            form=form,
            csrf=self.csrf(session),
            home=self.home(session),
            seller=seller,
            sells_outcomes=outcomes,
        )

    def _answer(self, request: Request, handler: Handler, form: Mapping[str, str], *, acts: bool) -> Response:
        guest: Guest | None = None
        try:
            guest = self.guest(request, form)
            if acts:
                self._check_form(request, guest)
            return self.respond(request, until_done(partial(handler, guest)), guest)
        except PortalEndedError as error:
            return self.ended(request, error)
        except ValoremError as error:
            return self.respond(request, problem(error), guest)
        except Exception:
            log.exception("portal page %s failed", request.url.path)
            return self.respond(
                request, Page("problem.html", {"code": "internal_error", "error": None}, 500), guest
            )

    def _check_form(self, request: Request, guest: Guest) -> None:
        if not same_origin(request) or not same(guest.form.get("csrf", ""), guest.csrf):
            raise ForbiddenError("this form does not belong to your session", hint="load the page again")
        check_may_change(guest.session)

    def respond(self, request: Request, answer: Answer, guest: Guest | None) -> Response:
        """Make an answer of what a handler gave."""
        origin = guest.session.origin if guest is not None else None
        if isinstance(answer, Response):
            answer.headers.update({**headers_for(request, origin), **dict(answer.headers)})
            return answer
        if isinstance(answer, Go):
            mark = "&" if "?" in answer.to else "?"
            to = f"{answer.to}{mark}done={answer.done}" if answer.done else answer.to
            return RedirectResponse(to, 303, headers_for(request, origin))
        words = guest.words if guest is not None else words_of(self._language(request))
        done = guest.query("done") if guest is not None else ""
        values: dict[str, Any] = {
            "guest": guest,
            "origin": origin,
            "notice": notice(words, done),
            "error_text": error_text,
            "line_text": line_text,
            **answer.values,
        }
        text = self._templates.render(answer.template, words, values)
        return HTMLResponse(text, answer.status, headers_for(request, origin))

    def ended(self, request: Request, error: ValoremError) -> Response:
        """A page that says that it is over; whoever frames it is told, and may open it again."""
        origin = error.origin if isinstance(error, PortalEndedError) else None
        words = words_of(self._language(request))
        values = {"guest": None, "origin": origin, "error": error, "error_text": error_text, "notice": None}
        text = self._templates.render("ended.html", words, values)
        return HTMLResponse(text, error.status, headers_for(request, origin))

    def _language(self, request: Request) -> str:
        return accepted(request.headers.get("accept-language", "")) or "en"

    def set_session(self, request: Request, response: Response, session: PortalSession) -> None:
        """Give the browser its session.

        In somebody else's page only a partitioned cookie is sent, which browsers take over TLS and on this machine.
        """
        place = self.place(session.workspace, session.customer)
        value = f"{session.token}.{sign(self.secret, 'session', session.token)}"
        secure = is_https(request) or _is_this_machine(request)
        framed = session.origin is not None and secure
        response.headers.append(
            "set-cookie",
            f"{cookie_name(request, place)}={value}; Path=/; HttpOnly"
            + ("; SameSite=None; Secure; Partitioned" if framed else "; SameSite=Lax")
            + ("; Secure" if secure and not framed and is_https(request) else ""),
        )


def problem(error: ValoremError) -> Page:
    """An error as a page."""
    return Page("problem.html", {"code": error.code, "error": error}, error.status)


def headers_for(request: Request, origin: str | None) -> dict[str, str]:
    """The headers of every answer of the portal: only the bound origin may frame it."""
    headers = {
        "Content-Security-Policy": _POLICY.format(ancestors=origin or "'none'"),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Cache-Control": "no-store",
    }
    if origin is None:
        headers["X-Frame-Options"] = "DENY"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if is_https(request):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def cookie_name(request: Request, place: str) -> str:
    """The session's cookie of a place; over TLS its name binds it to this host and to TLS."""
    return f"__Host-valorem_portal_{place}" if is_https(request) else f"valorem_portal_{place}"


def _is_this_machine(request: Request) -> bool:
    return request.headers.get("host", "").rpartition(":")[0] in _THIS_MACHINE
