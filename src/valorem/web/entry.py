"""The ways in and out: set-up, sign-in, a password by a link, sign-out."""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from valorem.core.errors import ForbiddenError, ValoremError
from valorem.engine import sessions
from valorem.engine.audit import Deed
from valorem.engine.people import check_password, has_people
from valorem.engine.workspaces import list_workspaces
from valorem.store.postgres.people import Person
from valorem.web.page import Page
from valorem.web.security import address_of
from valorem.web.site import Answer, Go, Site

#: Binds the forms of those who have no session yet; where they come from is checked besides.
_NOBODY = "nobody yet"


class Entry:
    """The pages for those who are not signed in.

    Args:
        site: Where they are.
        single_sign_on: What the button for signing in elsewhere says; None without one.
    """

    def __init__(self, site: Site, single_sign_on: str | None = None) -> None:
        self._site = site
        self._engine = site.engine
        self._single_sign_on = single_sign_on
        site.open("/", self.front)
        site.open("/sign-in", self.sign_in, form=self.signed_in)
        site.open("/sign-out", self.front, form=self.sign_out)
        site.open("/set-up", self.set_up, form=self.was_set_up)
        site.open("/password", self.password, form=self.password_set)

    def front(self, request: Request, _form: Mapping[str, str]) -> Answer:
        """To the workspace, or to the way in."""
        if self._site.session(request) is None:
            return Go("/sign-in")
        return Go(self._first_workspace())

    def sign_in(self, request: Request, _form: Mapping[str, str]) -> Answer:
        """The form."""
        if self._site.session(request) is not None:
            return Go(inside(request.query_params.get("to", "")) or self._first_workspace())
        return self._sign_in(request.query_params.get("to", ""))

    def _sign_in(self, to: str, *, email: str = "", refused: ValoremError | None = None) -> Page:
        return Page(
            "entry/sign_in.html",
            {
                "csrf": self._site.csrf(_NOBODY),
                "to": inside(to),
                "email": email,
                "refused": refused,
                "unset": not has_people(self._engine),
                "single_sign_on": self._single_sign_on,
            },
            200 if refused is None else refused.status,
        )

    def signed_in(self, request: Request, form: Mapping[str, str]) -> Answer:
        """Check the password, begin a session."""
        email, to = form.get("email", ""), form.get("to", "")
        try:
            self._site.check_form(request, form, _NOBODY)
            person = check_password(
                self._engine, email=email, password=form.get("password", ""), address=address_of(request)
            )
        except ValoremError as error:
            return self._sign_in(to, email=email, refused=error)
        return self.enter(request, person, to, "session.begin")

    def enter(self, request: Request, person: Person, to: str, how: str) -> Response:
        """Begin a session and go on."""
        session = sessions.begin_session(self._engine, person, self._deed(request, how))
        response = RedirectResponse(inside(to) or self._first_workspace(), 303)
        self._site.set_session(request, response, session)
        return response

    def sign_out(self, request: Request, form: Mapping[str, str]) -> Answer:
        """End the session."""
        session = self._site.session(request)
        if session is not None:
            self._site.check_form(request, form, session.token)
            deed = self._deed(request, "session.end", session.person.email)
            sessions.end_session(self._engine, session, deed)
        return Go("/sign-in", "You are signed out.")

    def set_up(self, request: Request, _form: Mapping[str, str]) -> Answer:
        """The form of the first person."""
        token = request.query_params.get("token", "")
        sessions.check_link(self._engine, "set_up", token)
        return self._set_up(token, request.query_params.get("to", ""), {})

    def _set_up(
        self, token: str, to: str, form: Mapping[str, str], refused: ValoremError | None = None
    ) -> Page:
        values = {
            "csrf": self._site.csrf(_NOBODY),
            "token": token,
            "to": inside(to),
            "refused": refused,
            "form": {"name": form.get("name", ""), "email": form.get("email", "")},
        }
        return Page("entry/set_up.html", values, 200 if refused is None else refused.status)

    def was_set_up(self, request: Request, form: Mapping[str, str]) -> Answer:
        """Make the first person, and sign them in."""
        token, to = form.get("token", ""), form.get("to", "")
        try:
            self._site.check_form(request, form, _NOBODY)
            person = sessions.set_up(
                self._engine,
                token,
                self._deed(request, "installation.set_up"),
                email=form.get("email", ""),
                name=form.get("name", ""),
                password=form.get("password", ""),
            )
        except ForbiddenError:
            raise
        except ValoremError as error:
            if error.status == 404:
                raise
            return self._set_up(token, to, form, error)
        return self.enter(request, person, to, "session.begin")

    def password(self, request: Request, _form: Mapping[str, str]) -> Answer:
        """The form of somebody who was invited, or forgot."""
        return self._password(request.query_params.get("token", ""))

    def _password(self, token: str, refused: ValoremError | None = None) -> Page:
        person = sessions.check_link(self._engine, "password", token)
        values = {"csrf": self._site.csrf(_NOBODY), "token": token, "person": person, "refused": refused}
        return Page("entry/password.html", values, 200 if refused is None else refused.status)

    def password_set(self, request: Request, form: Mapping[str, str]) -> Answer:
        """Set it, and sign in."""
        token = form.get("token", "")
        self._site.check_form(request, form, _NOBODY)
        try:
            person = sessions.set_password(
                self._engine, token, self._deed(request, "password.set"), password=form.get("password", "")
            )
        except ValoremError as error:
            if error.status == 404:
                raise
            return self._password(token, error)
        return self.enter(request, person, "", "session.begin")

    def _deed(self, request: Request, action: str, email: str = "") -> Deed:
        request_id = str(request.scope.get("state", {}).get("request_id", ""))
        return Deed(email, action, email, request_id=request_id)

    def _first_workspace(self) -> str:
        """The workspace made last: whoever starts the demonstration wants to see that one."""
        workspaces = list_workspaces(self._engine)
        return f"/w/{quote(workspaces[-1].name)}/" if workspaces else "/reference"


def inside(to: str) -> str:
    """An address of this site, or nothing: a sign-in never leads elsewhere."""
    return to if to.startswith("/") and not to.startswith(("//", "/\\")) and "\n" not in to else ""
