"""The site: how a page or an action becomes a route, with everything that must hold for each of them.

A page is a plain function ``(visit) -> Page | Go``; it runs in a thread, for somebody who is signed in, on the workspace
that the address names. An action is the same for a form: its token and its origin are checked, and the person's role
must allow it. Errors become a page that says what was wrong and the way out.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from valorem.core.errors import (
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
    ValoremError,
)
from valorem.core.workspace import Workspace
from valorem.engine.audit import Deed, record
from valorem.engine.engine import Engine, Transaction
from valorem.engine.people import MAY, Action
from valorem.engine.retrying import acting, in_transaction, until_done
from valorem.engine.sessions import Session, session_of, sign, signing_secret
from valorem.engine.workspaces import list_workspaces
from valorem.store.postgres.people import Person
from valorem.web.forms import read_form, same
from valorem.web.locales import language_of, spoken
from valorem.web.page import Page
from valorem.web.render import Templates
from valorem.web.security import headers_for, is_https, same_origin

log = logging.getLogger(__name__)
_NOTICE = "valorem_notice"


@dataclass(frozen=True, slots=True)
class Go:
    """Send the browser to another page, which says what happened."""

    to: str
    notice: str | None = None


@dataclass(frozen=True)
class Visit:
    """One request of somebody who is signed in.

    Attributes:
        engine: What the verbs work with.
        request: As it came.
        session: Who.
        workspace: The one the address names.
        workspaces: All there are.
        form: The fields of a form, each with its last value.
        csrf: The token that this session's forms carry.
    """

    engine: Engine
    request: Request
    session: Session
    workspace: Workspace
    workspaces: tuple[Workspace, ...]
    form: Mapping[str, str]
    csrf: str

    @property
    def person(self) -> Person:
        """Who is visiting."""
        return self.session.person

    @property
    def home(self) -> str:
        """Where the pages of this workspace begin."""
        return f"/w/{quote(self.workspace.name)}"

    def path(self, name: str) -> str:
        """A variable of the address."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """A parameter of the address, without blanks around it; empty where there is none."""
        return self.request.query_params.get(name, "").strip()

    def may(self, action: Action) -> bool:
        """Whether the visitor's role allows something."""
        return action in MAY[self.person.role]

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

    def deed(
        self,
        action: str,
        obj: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> Deed:
        """What the visitor does, for the audit log."""
        return Deed(self.person.email, action, obj, before, after, self.request_id)

    def note(self, tx: Transaction, deed: Deed) -> None:
        """Write a deed to the workspace's audit log, in the transaction that does it."""
        record(tx.connection, self.workspace.id, deed, self.engine.real_now())

    def note_done(self, deed: Deed) -> None:
        """Write down a deed whose verb makes transactions of its own, after it is done."""
        in_transaction(self.engine, self.workspace.id, lambda tx: self.note(tx, deed))

    @cached_property
    def request_id(self) -> str:
        """The id under which the server's log knows this request."""
        return str(self.request.scope.get("state", {}).get("request_id", ""))


Answer: TypeAlias = Page | Go | Response
Handler: TypeAlias = Callable[[Visit], Answer]
OpenHandler: TypeAlias = Callable[[Request, Mapping[str, str]], Answer]


class Site:
    """Collects routes, and answers for all of them in one way.

    Args:
        engine: What the verbs work with.
        templates: Renders pages.
    """

    def __init__(self, engine: Engine, templates: Templates) -> None:
        self.engine = engine
        self._templates = templates
        self.routes: list[BaseRoute] = []

    @cached_property
    def secret(self) -> bytes:
        """Signs cookies and forms."""
        return signing_secret(self.engine, "pages")

    def page(self, path: str, handler: Handler) -> None:
        """A page of a workspace: ``path`` follows ``/w/{workspace}``."""
        self._add("/w/{workspace}" + path, handler, None)

    def action(self, path: str, needs: Action, handler: Handler) -> None:
        """What a form of a workspace does, for those whose role allows it."""
        self._add("/w/{workspace}" + path, handler, needs)

    def _add(self, path: str, handler: Handler, needs: Action | None) -> None:
        async def endpoint(request: Request) -> Response:
            form = await read_form(request) if needs is not None else {}
            return await anyio.to_thread.run_sync(partial(self._answer, request, handler, needs, form))

        self.routes.append(Route(path, endpoint, methods=["GET" if needs is None else "POST"]))

    def open(self, path: str, handler: OpenHandler, *, form: OpenHandler | None = None) -> None:
        """A page for whoever comes, and what its form does; the handlers check what there is to check."""

        async def endpoint(request: Request) -> Response:
            fields = await read_form(request) if request.method == "POST" else {}
            chosen = form if request.method == "POST" and form is not None else handler
            return await anyio.to_thread.run_sync(partial(self._open, request, chosen, fields))

        self.routes.append(Route(path, endpoint, methods=["GET"] if form is None else ["GET", "POST"]))

    def session(self, request: Request) -> Session | None:
        """Who is signed in."""
        token, _, signature = request.cookies.get(cookie_name(request), "").partition(".")
        if not token or not same(signature, sign(self.secret, "session", token)):
            return None
        return session_of(self.engine, token)

    def set_session(self, request: Request, response: Response, session: Session) -> None:
        """Give the browser its session."""
        response.set_cookie(
            cookie_name(request),
            f"{session.token}.{sign(self.secret, 'session', session.token)}",
            httponly=True,
            secure=is_https(request),
            samesite="lax",  # a link in a mail leads to the page it names; forms carry a token
            path="/",
        )

    def csrf(self, value: str) -> str:
        """The token of a form that belongs to a session, or to a browser that has none yet."""
        return sign(self.secret, "form", value)

    def check_form(self, request: Request, form: Mapping[str, str], value: str) -> None:
        """Refuse a form that did not come from our own page.

        Raises:
            ForbiddenError: Always the same.
        """
        if not same_origin(request) or not same(form.get("csrf", ""), self.csrf(value)):
            raise ForbiddenError(
                "this form does not belong to your session",
                hint="go back, load the page again, and send it once more",
            )

    def visit(self, request: Request, form: Mapping[str, str]) -> Visit:
        """Who visits which workspace.

        Raises:
            UnauthorizedError: For nobody.
            NotFoundError: For a workspace that does not exist.
        """
        session = self.session(request)
        if session is None:
            raise UnauthorizedError("sign in first")
        workspaces = tuple(list_workspaces(self.engine))
        name = request.path_params["workspace"]
        found = next((each for each in workspaces if each.name == name), None)
        if found is None:
            raise NotFoundError(
                f"there is no workspace {name[:60]!r}",
                hint=f"there is {', '.join(each.name for each in workspaces)}",
            )
        return Visit(self.engine, request, session, found, workspaces, form, self.csrf(session.token))

    def _answer(
        self, request: Request, handler: Handler, needs: Action | None, form: Mapping[str, str]
    ) -> Response:
        with spoken(language_of(request)):
            return self._answered(request, handler, needs, form)

    def _answered(
        self, request: Request, handler: Handler, needs: Action | None, form: Mapping[str, str]
    ) -> Response:
        visit: Visit | None = None
        try:
            visit = self.visit(request, form)
            if needs is not None:
                self._check_allowed(visit, needs)
            return self.respond(request, until_done(partial(handler, visit)), visit)
        except UnauthorizedError:
            return self._to_sign_in(request)
        except ValoremError as error:
            return self.respond(request, problem(error), visit)
        except Exception:
            log.exception("page %s failed", request.url.path)
            return self.respond(request, _BROKEN, visit)

    def _check_allowed(self, visit: Visit, needs: Action) -> None:
        self.check_form(visit.request, visit.form, visit.session.token)
        if not visit.may(needs):
            raise ForbiddenError(
                f"the role {visit.person.role} may not do this", hint="ask an owner for another role"
            )

    def _open(self, request: Request, handler: OpenHandler, form: Mapping[str, str]) -> Response:
        try:
            return self.respond(request, handler(request, form), None)
        except ValoremError as error:
            return self.respond(request, problem(error), None)
        except Exception:
            log.exception("page %s failed", request.url.path)
            return self.respond(request, _BROKEN, None)

    def respond(self, request: Request, answer: Answer, visit: Visit | None) -> Response:
        """Make an answer of what a handler gave."""
        if isinstance(answer, Response):
            answer.headers.update(headers_for(request))
            return answer
        if isinstance(answer, Go):
            response: Response = RedirectResponse(answer.to, 303, headers_for(request))
            if answer.notice:
                signed = f"{sign(self.secret, 'notice', answer.notice)}.{quote(answer.notice)}"
                response.set_cookie(
                    _NOTICE, signed, max_age=60, httponly=True, samesite="lax", secure=is_https(request)
                )
            return response
        values: dict[str, Any] = {
            "visit": visit,
            "request_id": request.scope.get("state", {}).get("request_id", ""),
            "notice": self._notice(request),
            **answer.values,
        }
        response = HTMLResponse(
            self._templates.render(answer.template, values), answer.status, headers_for(request)
        )
        if request.cookies.get(_NOTICE):
            response.delete_cookie(_NOTICE)
        return response

    def _notice(self, request: Request) -> str | None:
        signature, _, text = request.cookies.get(_NOTICE, "").partition(".")
        said = unquote(text)
        return said if said and same(signature, sign(self.secret, "notice", said)) else None

    def _to_sign_in(self, request: Request) -> Response:
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        to = "/sign-in" if request.method != "GET" or back == "/" else f"/sign-in?to={quote(back, safe='/')}"
        return RedirectResponse(to, 303, headers_for(request))


def problem(error: ValoremError) -> Page:
    """An error as a page."""
    return Page("problem.html", {"error": error}, error.status)


def cookie_name(request: Request) -> str:
    """The session's cookie; over TLS its name binds it to this host and to TLS."""
    return "__Host-valorem" if is_https(request) else "valorem_session"


class _BrokenError(ValoremError):
    code = "internal_error"


_BROKEN = problem(
    _BrokenError(
        "something went wrong on our side",
        hint="what was committed before is kept; look for the request's id in the server's log",
    )
)
