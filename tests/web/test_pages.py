"""The pages: the way in, what is shown, and what a stranger or another site cannot do."""

import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from tests.api.conftest import World, bearer, furnished, world  # noqa: F401 - fixtures
from valorem.engine.keys import authenticate, issue_key
from valorem.engine.workspaces import list_workspaces
from valorem.web.visits import COOKIE, LIFETIME_S, Visits


def enter(site: World, key: str, **headers: str) -> httpx.Response:
    return site.http.post("/session", data={"key": key}, headers={"sec-fetch-site": "same-origin", **headers})


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].split(";")[0].removeprefix(f"{COOKIE}=")


def visit(site: World, cookie: str) -> str:
    site.http.cookies.clear()
    return site.http.get("/", headers={"cookie": f"{COOKIE}={cookie}"}).text


def test_without_a_key_there_is_only_the_way_in(world: World) -> None:  # noqa: F811
    page = world.http.get("/")
    assert page.status_code == 200
    assert "API key" in page.text
    assert "one" not in re.findall(r"<h1>(.*?)</h1>", page.text)


def test_a_key_shows_its_workspace(furnished: World) -> None:  # noqa: F811
    answer = enter(furnished, furnished.admin)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    given = answer.headers["set-cookie"].lower()
    assert "httponly" in given
    assert "samesite=strict" in given
    assert furnished.admin not in given
    page = visit(furnished, cookie_of(answer))
    for shown in ("<h1>one</h1>", "acme", "2,000,000", "2026-03-10 12:00 UTC", "34.00 USD"):
        assert shown in page, shown
    other = visit(furnished, cookie_of(enter(furnished, furnished.other)))
    assert "acme" not in other


def test_what_is_not_a_key_stays_outside(world: World) -> None:  # noqa: F811
    assert enter(world, "nonsense").status_code == 401
    writer = issue_key(world.engine, list_workspaces(world.engine)[0].id, name="w", scopes=["events:write"])
    assert enter(world, writer.key).status_code == 403


def test_another_site_cannot_send_the_form(world: World) -> None:  # noqa: F811
    assert enter(world, world.admin, **{"sec-fetch-site": "cross-site"}).status_code == 403
    answer = world.http.post(
        "/session", data={"key": world.admin}, headers={"origin": "https://evil.example"}
    )
    assert answer.status_code == 403


def test_a_cookie_ends_with_its_key_and_any_change(world: World) -> None:  # noqa: F811
    workspace = list_workspaces(world.engine)[0].id
    key = issue_key(world.engine, workspace, name="visitor", scopes=["read"])
    cookie = cookie_of(enter(world, key.key))
    assert "<h1>one</h1>" in visit(world, cookie)
    claim, _, signature = cookie.partition(".")
    for forged in (cookie[:-2], "", ".", f"{claim}x.{signature}", f"{claim}.{claim}", "é.é"):
        given = [(b"cookie", f"{COOKIE}={forged}".encode())]
        assert "<h1>one</h1>" not in world.http.get("/", headers=given).text
    world.http.delete(f"/v1/keys/{key.record.id}", headers=bearer(world.admin))
    assert "<h1>one</h1>" not in visit(world, cookie)


def test_a_visit_ends_with_its_hour(world: World) -> None:  # noqa: F811
    visits = Visits(world.engine)
    cookie = visits.begin(authenticate(world.engine, world.admin))
    assert visits.visitor(cookie) is not None
    later = world.engine.real_now() + timedelta(seconds=LIFETIME_S)
    visits._engine = replace(world.engine, real_now=lambda: later)
    assert visits.visitor(cookie) is None


def test_names_are_text_and_never_markup(furnished: World) -> None:  # noqa: F811
    body = {"key": "<script>alert(1)</script>", "name": "n", "currency": "USD"}
    assert furnished.post("/v1/customers", body).status_code == 201
    contract = {"customer": body["key"], "plan": "team", "start": "2026-03-01T00:00:00Z"}
    assert furnished.post("/v1/contracts", contract).status_code == 201
    page = visit(furnished, cookie_of(enter(furnished, furnished.admin)))
    assert "&lt;script&gt;" in page
    assert "<script" not in page


@pytest.mark.parametrize("address", ["/", "/reference", "/assets/valorem.css"])
def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing(world: World, address: str) -> None:  # noqa: F811
    answer = world.http.get(address)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script|style=|\son\w+=|(src|href)=\"https?:", answer.text)


def test_the_reference_shows_every_operation(world: World) -> None:  # noqa: F811
    page = world.http.get("/reference").text
    for path, operations in world.http.get("/openapi.json").json()["paths"].items():
        for method in operations:
            anchor = f"{method}{path}".replace("/", "-").replace("{", "").replace("}", "")
            assert f'id="{anchor}"' in page


def test_only_our_own_files_are_served(world: World) -> None:  # noqa: F811
    for name in ("..%2Fpages.py", "nothing.css", "%2e%2e/pages.py", "templates"):
        assert world.http.get(f"/assets/{name}").status_code == 404
