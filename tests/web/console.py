"""Somebody in front of the console, without a browser: signs in, reads pages, sends their forms."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from valorem.engine import people
from valorem.engine.audit import Deed
from valorem.engine.engine import Engine
from valorem.engine.people import add_person, list_people
from valorem.engine.sessions import make_link, set_password, set_up

PASSWORD = "correct horse battery"
OWNER = "olga@example.com"


@contextmanager
def cheap_passwords() -> Iterator[None]:
    """Hash passwords at the least cost; a full one takes as long as many pages."""
    least = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(people, "_hasher", least)
        yield


@dataclass
class Console:
    """A person's cookies and the workspace they look at."""

    http: httpx.Client
    cookies: dict[str, str]
    workspace: str = "one"
    engine: Engine | None = None

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._keep(self.http.get(self._at(path), headers={"cookie": self._cookie(), **headers}))

    def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        sent = {"sec-fetch-site": "same-origin", "cookie": self._cookie(), **headers}
        return self._keep(self.http.post(self._at(path), data=form, headers=sent))

    def submit(self, path: str, form: dict[str, str], page: str | None = None) -> httpx.Response:
        """Send a form with the token that its page carries."""
        return self.post(path, {"csrf": token_of(self.get(page or path).text), **form})

    def _at(self, path: str) -> str:
        return path.removeprefix("!") if path.startswith("!") else f"/w/{self.workspace}{path}"

    def _cookie(self) -> str:
        self.http.cookies.clear()
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def _keep(self, answer: httpx.Response) -> httpx.Response:
        for given in answer.headers.get_list("set-cookie"):
            name, _, value = given.partition(";")[0].partition("=")
            if "Max-Age=0" in given or value in {"", '""'}:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer


def token_of(page: str) -> str:
    """The token that a page's forms carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None, "the page has no form"
    return found[1]


def text_of(page: str) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def amounts_of(page: str) -> list[str]:
    """The exact values of a page's amounts."""
    return re.findall(r'<data[^>]* value="(-?[\d.]+)"', page)


def signed_up(engine: Engine) -> None:
    """Make the first owner."""
    token = make_link(engine, "set_up")
    set_up(engine, token, Deed("", "installation.set_up", ""), email=OWNER, name="Olga", password=PASSWORD)


def sign_in(http: httpx.Client, email: str = OWNER, password: str = PASSWORD) -> Console:
    """Sign in through the form."""
    console = Console(http, {})
    page = console.get("!/sign-in")
    answer = console.post("!/sign-in", {"csrf": token_of(page.text), "email": email, "password": password})
    assert answer.status_code == 303, text_of(answer.text)
    return console


def person_with(engine: Engine, role: str, **given: Any) -> str:
    """Somebody with a role and the usual password; their e-mail address."""
    email = f"{role}@example.com"
    deed = Deed(OWNER, "person.add", "")
    person = add_person(engine, deed, email=email, name=given.get("name", role), role=role)
    set_password(engine, make_link(engine, "password", person=person.id), deed, password=PASSWORD)
    assert any(each.email == email for each in list_people(engine))
    return email
