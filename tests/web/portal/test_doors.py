"""A link opens one customer's portal, once; a session opens nothing of anybody else, over every route there is."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.routing import Route

from tests.web.console import Console, text_of
from tests.web.portal.conftest import NOW, Door, Portal
from valorem.engine.audit import list_audit
from valorem.engine.portal import make_portal_link
from valorem.engine.workspaces import list_workspaces

PATHS: dict[str, Any] = {
    "line": 1,
    "version": "x",
    "endpoint": "end_x",
    "budget": "bud_x",
    "outcome": "resolution",
}


def routes(door: Door) -> list[tuple[str, str]]:
    """Every route of a place, from the router itself."""
    found = [
        ("POST" if "POST" in (route.methods or ()) else "GET", route.path.removeprefix("/portal/{place}"))
        for route in door.app.router.routes
        if isinstance(route, Route) and route.path.startswith("/portal/{place}")
    ]
    assert len(found) >= 30
    assert ("GET", "/live") in found
    return found


def address(path: str, **named: Any) -> str:
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: str({**PATHS, **named}[found[1]]), path)


def test_nothing_opens_without_a_session(door: Door, acme: Portal) -> None:
    nobody = Console(door.http, {})
    for method, path in routes(door):
        at = "!" + acme.home + address(path, number="INV-000001")
        answer = nobody.get(at) if method != "POST" else nobody.post(at, {"csrf": "x"})
        assert answer.status_code == 401, (method, path, answer.status_code)
        assert "Acme" not in answer.text


def test_a_session_of_one_customer_opens_nothing_of_another(door: Door, acme: Portal) -> None:
    (cookie,) = acme.looker.cookies.values()
    for other in (door.open("beta"), door.open("acme", door.other), door.open("beta", door.other)):
        assert other.home != acme.home
        theirs = next(iter(other.looker.cookies))
        thief = Console(door.http, {**acme.looker.cookies, theirs: cookie})
        for method, path in routes(door):
            at = "!" + other.home + address(path, number="INV-000001")
            answer = thief.get(at) if method != "POST" else thief.post(at, {"csrf": "x"})
            assert answer.status_code == 401, (method, path)
            assert "Beta" not in answer.text


def test_things_of_another_customer_do_not_exist(door: Door, acme: Portal) -> None:
    theirs = door.get("/v1/invoices?customer=beta")["items"]
    mine = door.get("/v1/invoices?customer=acme")["items"]
    budget = door.post("/v1/budgets", {"customer": "beta", "amount": "5", "set_by": "customer"})["id"]
    assert {each["number"] for each in theirs}.isdisjoint(each["number"] for each in mine)
    for invoice in theirs:
        for name in (invoice["number"], invoice["id"]):
            for path in ("", "/file.pdf", "/lines/1", "/lines/1/events.csv"):
                assert acme.get(f"/invoices/{name}{path}").status_code == 404, (name, path)
    assert acme.submit(f"/budgets/{budget}/remove", {}, "/limits").status_code == 404
    assert door.get("/v1/budgets?customer=beta")["items"][0]["id"] == budget
    contract = door.get("/v1/contracts?customer=beta")["items"][0]["id"]
    for path in ("", "/one", "/bundle.zip"):
        assert acme.get(f"/outcomes/resolution{path}?contract={contract}").status_code == 404
    assert acme.submit("/notices/end_x/remove", {}, "/limits").status_code == 404


def test_the_portal_s_cookie_opens_neither_console_nor_interface(door: Door, acme: Portal) -> None:
    assert acme.looker.get("!/w/one/").status_code == 303
    assert acme.looker.get("!/v1/customers").status_code == 401
    for name in list(acme.looker.cookies):
        stolen = Console(door.http, {"valorem_session": acme.looker.cookies[name]})
        assert stolen.get("!/w/one/").status_code == 303


def test_a_link_works_once(door: Door) -> None:
    link = door.link("acme")
    door.follow(link)
    parts = urlsplit(link)
    again = Console(door.http, {}).get(f"!{parts.path}?{parts.query}")
    assert again.status_code == 401
    assert "used already" in text_of(again.text)
    assert not again.headers.get_list("set-cookie")


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "../../etc", "%00", "é", "A" * 5000])
def test_a_forged_link_opens_nothing(door: Door, token: str) -> None:
    answer = door.http.get("/portal/enter", params={"t": token})
    assert answer.status_code in (401, 429)
    assert not answer.headers.get_list("set-cookie")


def test_a_link_and_a_session_end_in_time(door: Door) -> None:
    link = door.link("acme", lasts_s=60)
    parts = urlsplit(link)
    looker = door.open("acme")
    door.clock["now"] = NOW + timedelta(seconds=61)
    try:
        assert Console(door.http, {}).get(f"!{parts.path}?{parts.query}").status_code == 401
        assert looker.get("/").status_code == 200
        door.clock["now"] += timedelta(minutes=29)
        assert looker.get("/").status_code == 200, "looking keeps it alive"
        door.clock["now"] += timedelta(minutes=31)
        assert looker.get("/").status_code == 401
        worn = door.open("acme")
        for _ in range(24 * 2 + 1):
            door.clock["now"] += timedelta(minutes=15)
            last = worn.get("/theme/x.css").status_code
        assert last == 401, "no session outlives twelve hours"
    finally:
        door.clock["now"] = NOW


def _other(text: str) -> str:
    """The same but for its last character."""
    return f"{text[:-1]}{'1' if text.endswith('0') else '0'}"


def test_a_cookie_with_another_signature_opens_nothing(door: Door) -> None:
    looker = door.open("acme")
    ((name, value),) = looker.looker.cookies.items()
    token, _, signature = value.partition(".")
    for forged in (
        f"{token}.{_other(signature)}",
        token,
        f"{token}.",
        f".{signature}",
        "x.y",
        f"{token}x.{signature}",
    ):
        looker.looker.cookies = {name: forged}
        assert looker.get("/").status_code == 401, forged


def test_leaving_and_ending_close_the_door(door: Door) -> None:
    one, two = door.open("acme"), door.open("acme")
    assert one.submit("/leave", {}).status_code == 303
    assert one.get("/").status_code == 401
    assert two.get("/").status_code == 200
    waiting = urlsplit(door.link("acme"))
    ended = door.http.delete(
        "/v1/portal/sessions?customer=acme", headers={"authorization": f"Bearer {door.admin}"}
    )
    assert ended.json()["ended"] >= 1
    assert two.get("/").status_code == 401
    assert Console(door.http, {}).get(f"!{waiting.path}?{waiting.query}").status_code == 401


def test_a_form_needs_its_token_and_its_origin(door: Door) -> None:
    looker = door.open("acme")
    token = re.search(r'name="csrf" value="([^"]+)"', looker.page("/limits"))
    assert token is not None
    form = {"amount": "10", "window": "month", "kind": "notify", "of": "usage"}
    at = f"!{looker.home}/budgets"
    assert looker.looker.post(at, form).status_code == 403
    assert looker.looker.post(at, {**form, "csrf": _other(token[1])}).status_code == 403
    assert (
        looker.looker.post(at, {**form, "csrf": token[1]}, **{"sec-fetch-site": "cross-site"}).status_code
        == 403
    )
    assert (
        looker.looker.post(at, {**form, "csrf": token[1]}, **{"sec-fetch-site": "same-site"}).status_code
        == 403
    )
    other = re.search(r'name="csrf" value="([^"]+)"', door.open("acme").page("/limits"))
    assert other is not None
    assert looker.looker.post(at, {**form, "csrf": other[1]}).status_code == 403


def test_only_the_bound_origin_may_frame_it(door: Door) -> None:
    origin = "https://app.example.com"
    refused = door.http.post(
        "/v1/portal/links",
        json={"customer": "acme", "origin": "https://evil.example"},
        headers={"authorization": f"Bearer {door.admin}"},
    )
    assert refused.status_code == 400
    assert refused.json()["field"] == "origin"
    framed, alone = door.open("acme", origin=origin), door.open("beta")
    for path in ("/", "/limits", "/nothing", "/invoices/INV-999999"):
        answer = framed.get(path)
        if answer.status_code == 404 and "content-security-policy" not in answer.headers:
            continue
        assert f"frame-ancestors {origin}" in answer.headers["content-security-policy"]
        assert "x-frame-options" not in answer.headers
    answer = alone.get("/")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert f'data-origin="{origin}"' in framed.page("/")
    link = urlsplit(door.link("acme", origin=origin))
    entered = door.http.get(f"{link.path}?{link.query}", headers={"x-forwarded-proto": "https"})
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith("__Host-valorem_portal_")
    for part in ("Path=/", "HttpOnly", "SameSite=None", "Secure", "Partitioned"):
        assert part in cookie
    assert "t=" not in entered.headers["location"]


def test_a_look_ahead_uses_no_link_up(door: Door) -> None:
    parts = urlsplit(door.link("acme"))
    assert (
        door.http.get(
            f"{parts.path}?{parts.query}", headers={"sec-purpose": "prefetch;prerender"}
        ).status_code
        == 503
    )
    assert door.http.head(f"{parts.path}?{parts.query}").status_code == 503
    assert door.follow(f"http://valorem.invalid{parts.path}?{parts.query}").get("/").status_code == 200


def test_too_many_pages_at_once_are_too_many(door: Door) -> None:
    looker = door.open("beta")
    statuses = [looker.get("/theme/x.css").status_code for _ in range(140)]
    assert statuses[0] == 200
    assert 429 in statuses


def test_an_operator_sees_what_the_customer_sees_and_changes_nothing(door: Door) -> None:
    workspace = next(each for each in list_workspaces(door.engine) if each.name == "one")
    with door.engine.transaction(workspace.id) as tx:
        made = make_portal_link(tx, "acme", real_now=NOW, by="olga@example.com", as_operator=True)
    looker = door.follow(f"http://valorem.invalid/portal/enter?t={made.token}")
    page = looker.page("/limits")
    assert "olga@example.com" in page
    assert "audit log" in text_of(page)
    assert "new-budget" not in page
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    assert token is not None
    for path in ("/budgets", "/language", "/leave", "/notices", "/plan/change", "/outcomes/x/sign"):
        answer = looker.looker.post(
            f"!{looker.home}{path}", {"csrf": token[1], "language": "de", "plan": "business"}
        )
        assert answer.status_code == 403, path
    with door.engine.transaction(workspace.id, read_only=True) as tx:
        deeds = [each.deed for each in list_audit(tx.connection, workspace.id, limit=200)]
    assert ("olga@example.com", "portal.impersonate", "acme") in {
        (each.actor, each.action, each.object) for each in deeds
    }
    assert ("olga@example.com", "portal.enter", "acme") in {
        (each.actor, each.action, each.object) for each in deeds
    }
