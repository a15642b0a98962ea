"""The ways in: set-up once, sign-in with a password, links that work once, sessions that end, forms of our own."""

from dataclasses import replace
from datetime import timedelta

import pytest
from argon2 import Type

from tests.api.conftest import World, furnished, world  # noqa: F401 - fixtures
from tests.web.console import OWNER, PASSWORD, Console, person_with, sign_in, signed_up, text_of, token_of
from valorem.core.errors import ForbiddenError, NotFoundError, UnprocessableError
from valorem.engine.audit import Deed
from valorem.engine.people import (
    TooManyTriesError,
    change_role,
    check_password,
    disable_person,
    list_people,
)
from valorem.engine.people import (
    _hasher as kept_hasher,
)
from valorem.engine.sessions import IDLE, check_link, make_link, session_of
from valorem.web.entry import inside

COOKIE = "valorem_session"


def test_the_set_up_link_makes_one_owner_and_works_once(world: World) -> None:  # noqa: F811
    token = make_link(world.engine, "set_up")
    visitor = Console(world.http, {})
    page = visitor.get(f"!/set-up?token={token}")
    form = {
        "csrf": token_of(page.text),
        "token": token,
        "name": "Olga",
        "email": "OLGA@example.com ",
        "password": "short",
    }
    refused = visitor.post("!/set-up", form)
    assert refused.status_code == 400
    assert "at least 10 letters" in text_of(refused.text)
    assert 'value="Olga"' in refused.text
    done = visitor.post("!/set-up", {**form, "password": PASSWORD})
    assert (done.status_code, done.headers["location"]) == (303, "/w/two/")
    assert [(each.email, each.role) for each in list_people(world.engine)] == [(OWNER, "owner")]
    assert visitor.get("!/w/two/").status_code == 200
    again = Console(world.http, {}).post(
        "!/set-up", {**form, "password": PASSWORD, "email": "eve@example.com"}
    )
    assert again.status_code == 404
    with pytest.raises(UnprocessableError):
        make_link(world.engine, "set_up")


def test_a_set_up_link_ends_with_its_day_and_with_the_next(world: World) -> None:  # noqa: F811
    first = make_link(world.engine, "set_up")
    second = make_link(world.engine, "set_up")
    with pytest.raises(NotFoundError):
        check_link(world.engine, "set_up", first)
    assert check_link(world.engine, "set_up", second) is None
    tomorrow = world.engine.real_now() + timedelta(hours=24)
    with pytest.raises(NotFoundError):
        check_link(replace(world.engine, real_now=lambda: tomorrow), "set_up", second)


def test_a_session_cookie_is_signed_and_only_for_http(world: World) -> None:  # noqa: F811
    signed_up(world.engine)
    console = Console(world.http, {})
    page = console.get("!/sign-in")
    answer = console.post(
        "!/sign-in",
        {
            "csrf": token_of(page.text),
            "email": OWNER.upper(),
            "password": PASSWORD,
            "to": "/w/one/events?subject=a",
        },
    )
    assert answer.headers["location"] == "/w/one/events?subject=a"
    given = answer.headers["set-cookie"].lower()
    assert "httponly" in given
    assert "samesite=lax" in given
    token, _, signature = console.cookies[COOKIE].partition(".")
    other = f"{signature[:-1]}{'1' if signature.endswith('0') else '0'}"
    for forged in (f"{token}.", f"{token[:-1]}.{signature}", f"{token}.{other}", "", ".", "é.é"):
        visitor = Console(world.http, {})
        answer = world.http.get("/w/one/", headers=[(b"cookie", f"{COOKIE}={forged}".encode())])
        assert answer.headers["location"].startswith("/sign-in"), forged
        assert visitor.cookies == {}


def test_behind_tls_the_cookie_is_bound_to_host_and_tls(world: World) -> None:  # noqa: F811
    signed_up(world.engine)
    console = Console(world.http, {})
    page = console.get("!/sign-in")
    form = {"csrf": token_of(page.text), "email": OWNER, "password": PASSWORD}
    answer = console.post("!/sign-in", form, **{"x-forwarded-proto": "https"})
    assert answer.headers["set-cookie"].startswith("__Host-valorem=")
    assert "secure" in answer.headers["set-cookie"].lower()
    assert "max-age" in answer.headers["strict-transport-security"]


def test_a_wrong_password_says_the_same_for_everybody(world: World) -> None:  # noqa: F811
    signed_up(world.engine)
    console = Console(world.http, {})
    token = token_of(console.get("!/sign-in").text)
    said = [
        text_of(console.post("!/sign-in", {"csrf": token, "email": email, "password": "wrong password"}).text)
        for email in (OWNER, "nobody@example.com")
    ]
    assert said[0] == said[1]
    assert "do not go together" in said[0]


def test_too_many_failures_let_nobody_in_for_a_while(world: World) -> None:  # noqa: F811
    signed_up(world.engine)
    for _ in range(10):
        with pytest.raises(Exception, match="do not go together"):
            check_password(world.engine, email=OWNER, password="wrong password", address="10.0.0.1")
    with pytest.raises(TooManyTriesError):
        check_password(world.engine, email=OWNER, password=PASSWORD, address="10.0.0.2")
    later = world.engine.real_now() + timedelta(minutes=16)
    engine = replace(world.engine, real_now=lambda: later)
    assert check_password(engine, email=OWNER, password=PASSWORD, address="10.0.0.2").email == OWNER


def test_a_session_ends_when_it_is_not_used_and_when_signed_out(world: World) -> None:  # noqa: F811
    signed_up(world.engine)
    console = sign_in(world.http)
    token = console.cookies[COOKIE].partition(".")[0]
    later = world.engine.real_now() + IDLE
    assert session_of(replace(world.engine, real_now=lambda: later), token) is None
    assert session_of(world.engine, token) is not None
    page = console.get("/")
    assert console.post("!/sign-out", {"csrf": token_of(page.text)}).status_code == 303
    assert session_of(world.engine, token) is None


def test_another_site_or_a_form_without_its_token_does_nothing(furnished: World) -> None:  # noqa: F811
    signed_up(furnished.engine)
    console = sign_in(furnished.http)
    token = token_of(console.get("/").text)
    form = {"csrf": token, "key": "mallory", "name": "Mallory", "currency": "USD"}
    for forged, headers in (
        ({**form, "csrf": ""}, {}),
        ({**form, "csrf": "0" * 64}, {}),
        (form, {"sec-fetch-site": "cross-site"}),
        (form, {"sec-fetch-site": "same-site"}),
    ):
        assert console.post("/new-customer", forged, **headers).status_code == 403
    headers = {"cookie": console._cookie(), "origin": "https://evil.example"}
    assert furnished.http.post("/w/one/new-customer", data=form, headers=headers).status_code == 403
    assert "Mallory" not in console.get("/customers").text
    assert console.post("/new-customer", form).status_code == 303


def test_a_person_is_invited_by_a_link_and_shut_out_at_once(world: World) -> None:  # noqa: F811
    signed_up(world.engine)
    owner = sign_in(world.http)
    page = owner.submit("/settings/people", {"name": "Vi", "email": "vi@example.com", "role": "viewer"})
    link = text_of(page.text).partition("token=")[2].split()[0]
    guest = Console(world.http, {})
    form = {"csrf": token_of(guest.get(f"!/password?token={link}").text), "token": link, "password": PASSWORD}
    assert guest.post("!/password", form).status_code == 303
    assert guest.get("/customers").status_code == 200
    assert Console(world.http, {}).post("!/password", form).status_code == 404
    vi = next(each for each in list_people(world.engine) if each.email == "vi@example.com")
    disable_person(world.engine, Deed(OWNER, "person.disable", ""), vi.id, disabled=True)
    assert guest.get("/customers").headers["location"].startswith("/sign-in")


def test_somebody_must_be_left_who_may_do_everything(world: World) -> None:  # noqa: F811
    signed_up(world.engine)
    owner = list_people(world.engine)[0]
    with pytest.raises(ForbiddenError):
        change_role(world.engine, Deed(OWNER, "person.role", ""), owner.id, "viewer")
    with pytest.raises(ForbiddenError):
        disable_person(world.engine, Deed(OWNER, "person.disable", ""), owner.id, disabled=True)
    assert list_people(world.engine)[0] == owner


@pytest.mark.parametrize(
    ("role", "path", "allowed"),
    [
        ("viewer", "/new-customer", False),
        ("viewer", "/clock/advance", False),
        ("finance", "/new-customer", True),
        ("finance", "/catalog/change", False),
        ("finance", "/settings/keys", False),
        ("operator", "/catalog/change", True),
        ("operator", "/settings/people", False),
    ],
)
def test_a_role_may_do_what_it_says_and_no_more(world: World, role: str, path: str, allowed: bool) -> None:  # noqa: F811, FBT001
    signed_up(world.engine)
    console = sign_in(world.http, person_with(world.engine, role))
    answer = console.submit(path, {}, page="/")
    assert (answer.status_code != 403) == allowed
    if not allowed:
        assert f"the role {role} may not do this" in text_of(answer.text).lower()


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\nb"])
def test_a_sign_in_never_leads_elsewhere(to: str) -> None:
    assert inside(to) == ""
    assert inside("/w/one/?q=1") == "/w/one/?q=1"


def test_a_password_that_leaks_as_a_hash_is_dear_to_guess() -> None:
    """At least what OWASP asks of argon2id; the other tests' hashes are cheap."""
    assert kept_hasher.type is Type.ID
    assert kept_hasher.memory_cost * kept_hasher.time_cost >= 19 * 1024 * 2
    hashed = kept_hasher.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$")
    assert kept_hasher.verify(hashed, PASSWORD)
