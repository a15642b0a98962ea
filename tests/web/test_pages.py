"""The console's pages: what they show is what the API answers, whoever's names are in it, and nothing runs inline."""

import re
from html import unescape

import pytest

from tests.api.conftest import CATALOG, NOW, World, bearer, event, furnished, world  # noqa: F401 - fixtures
from tests.web.console import Console, amounts_of, sign_in, signed_up, text_of, token_of
from valorem.engine.audit import list_audit, verify_audit
from valorem.engine.workspaces import list_workspaces

PAGES = (
    "/", "/events", "/meters", "/catalog", "/catalog/versions/1", "/catalog/change", "/customers", "/customers/acme",
    "/customers/acme?by=model&meter=tokens", "/new-customer", "/customers/acme/contracts/new", "/invoices", "/clock",
    "/settings/keys", "/settings/people", "/settings/workspaces", "/settings/audit",
    "/settings/audit?of=installation&verify=yes", "/search?q=zz", "/events?subject=acme&order=oldest", "/alerts", "/credits", "/customers/acme/credits",
    "/event?source=/t&id=e1", "/backtests",
)  # fmt: skip


@pytest.fixture
def console(furnished: World) -> Console:  # noqa: F811
    signed_up(furnished.engine)
    return sign_in(furnished.http)


def test_a_page_reads_without_scripts_and_runs_nothing_inline(console: Console) -> None:
    for path in PAGES:
        answer = console.get(path)
        assert answer.status_code == 200, path
        page = answer.text
        assert page.count("<h1") == 1, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        scripts = re.findall(r"<script([^>]*)>", page)
        assert all("src=" in given or 'type="application/json"' in given for given in scripts), path
        assert not re.search(r'\sstyle="|\son\w+="|(?:src|href|action)="(?:https?:)?//', page), path
        ids = re.findall(r'\sid="([^"]+)"', page)
        assert len(ids) == len(set(ids)), path


def test_money_on_a_page_is_the_money_of_the_api(furnished: World, console: Console) -> None:  # noqa: F811
    contract = furnished.get("/v1/contracts?customer=acme").json()["items"][0]["id"]
    preview = furnished.get(f"/v1/invoices/preview?contract={contract}").json()
    shown = amounts_of(console.get("/customers/acme").text)
    assert preview["so_far"]["total"] in shown
    assert preview["projected"]["total"] in shown
    for line in preview["so_far"]["lines"]:
        assert line["amount"] in shown
    furnished.post("/v1/clock/advance", {"periods": 1})
    furnished.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    for header in furnished.get("/v1/invoices").json()["items"]:
        document = furnished.get(f"/v1/invoices/{header['id']}").json()["document"]
        page = console.get(f"/invoices/{header['number']}").text
        wanted = [document["total"], *(line["amount"] for line in document["lines"])]
        assert [amount for amount in wanted if amount not in amounts_of(page)] == []
        assert header["number"] in console.get("/invoices").text


def test_a_line_is_explained_down_to_its_events(furnished: World, console: Console) -> None:  # noqa: F811
    furnished.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    header = furnished.get("/v1/invoices").json()["items"][-1]
    lines = furnished.get(f"/v1/invoices/{header['id']}").json()["document"]["lines"]
    number = 1 + next(place for place, line in enumerate(lines) if line["kind"] == "usage")
    page = console.get(f"/invoices/{header['number']}/lines/{number}")
    said = text_of(page.text)
    assert "2000000 × 2 / 1000000" in said
    assert "e1" in said
    link = re.search(r'href="(/w/one/event\?[^"]+)"', page.text)
    assert link is not None
    assert "Tokens" in text_of(console.get("!" + link[1].replace("&amp;", "&")).text)
    assert "the same bytes" in text_of(console.get(f"/invoices/{header['number']}?verify=yes").text)


def test_a_price_change_is_previewed_then_applied(furnished: World, console: Console) -> None:  # noqa: F811
    page = console.get("/catalog/change").text
    files = {
        "file:meters/tokens.yaml": _file(page, "meters/tokens.yaml"),
        "file:plans/team.yaml": _file(page, "plans/team.yaml").replace("amount: 2,", "amount: 3,"),
    }
    form = {"expect_version": "1", "message": "", **files}
    preview = console.submit("/catalog/change", {**form, "do": "preview"})
    said = text_of(preview.text)
    assert "1 change in meaning" in said
    assert "1 contract on a changed plan" in said
    assert "Acme" in said
    refused = console.submit("/catalog/change", {**form, "do": "apply"})
    assert refused.status_code == 400
    assert "amount: 3" in refused.text
    applied = console.submit("/catalog/change", {**form, "do": "apply", "message": "Dearer"})
    assert applied.headers["location"] == "/w/one/catalog/versions/2"
    assert furnished.get("/v1/catalog").json()["version"] == 2
    late = console.submit("/catalog/change", {**form, "do": "apply", "message": "Again"})
    assert late.status_code == 409


def _file(page: str, path: str) -> str:
    found = re.search(rf'name="file:{re.escape(path)}"[^>]*>([^<]*)</textarea>', page)
    assert found is not None
    return unescape(found[1])


def test_a_broken_catalog_says_where_and_keeps_what_was_typed(console: Console) -> None:
    files = {"file:plans/x.yaml": "plan: x\nname: X\ncurrency: USD\nfees: {base: {amont: 1}}\n"}
    answer = console.submit("/catalog/change", {"expect_version": "1", "do": "preview", **files})
    assert answer.status_code == 400
    assert "plans/x.yaml:4" in text_of(answer.text)
    assert "amont" in answer.text


def test_the_clock_says_what_comes_and_does_it(furnished: World, console: Console) -> None:  # noqa: F811
    furnished.post("/v1/invoices/close")
    page = console.get("/clock").text
    assert "a period of Acme ends" in text_of(page)
    to = re.findall(r'name="to" value="(2026-04[^"]+)"', page)[0]
    moved = console.submit("/clock/advance", {"to": to}, page="/clock")
    assert moved.status_code == 303
    assert "It is 1 Apr 2026 now." in text_of(console.get("/clock").text)
    assert furnished.get("/v1/invoices").json()["items"]
    back = console.submit("/clock/advance", {"to": "2026-03-01T00:00"}, page="/clock")
    assert back.status_code == 422
    assert "only moves forward" in text_of(back.text).lower()


def test_every_action_is_in_a_log_that_is_a_chain(furnished: World, console: Console) -> None:  # noqa: F811
    console.submit("/new-customer", {"key": "beta", "name": "Beta", "currency": "EUR"})
    console.submit("/settings/keys", {"name": "k", "scope:read": "yes"})
    console.submit("/clock/advance", {"to": "2026-03-11T00:00"}, page="/clock")
    assert "key.issue" in text_of(console.get("/settings/audit").text)
    workspace = list_workspaces(furnished.engine)[0].id
    with furnished.engine.database.system() as connection:
        entries = list_audit(connection, workspace)
        assert [each.deed.action for each in entries] == ["clock.advance", "key.issue", "customer.create"]
        assert all(each.deed.actor == "olga@example.com" and each.deed.request_id for each in entries)
        assert entries[0].deed.before == {"clock": "2026-03-10T12:00:00Z"}
        assert verify_audit(connection, workspace).broken_at is None
        connection.execute(
            "UPDATE audit_entry SET document = replace(document, 'beta', 'gamma') WHERE workspace = %s",
            (workspace,),
        )
        assert verify_audit(connection, workspace).broken_at == 1
        connection.execute(
            "UPDATE audit_entry SET document = replace(document, 'gamma', 'beta') WHERE workspace = %s",
            (workspace,),
        )
        connection.execute("DELETE FROM audit_entry WHERE workspace = %s AND seq = 2", (workspace,))
        assert verify_audit(connection, workspace).broken_at == 3


def test_an_invoice_is_written_off_for_a_reason(furnished: World, console: Console) -> None:  # noqa: F811
    furnished.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    number = furnished.get("/v1/invoices").json()["items"][-1]["number"]
    path = f"/invoices/{number}"
    assert console.submit(f"{path}/settle", {"do": "write_off", "reason": ""}, page=path).status_code == 400
    done = console.submit(f"{path}/settle", {"do": "write_off", "reason": "They are gone"}, page=path)
    assert done.status_code == 303
    assert "They are gone" in text_of(console.get(path).text)
    assert furnished.get(f"/v1/invoices/{number}").json()["status"] == "uncollectible"
    assert number in console.get("/invoices?status=uncollectible").text


def test_credits_are_given_once_however_often_the_button_is_hit(furnished: World, console: Console) -> None:  # noqa: F811
    files = {**CATALOG, "credits/coins.yaml": "credit: coins\nname: coin\n"}
    applied = furnished.post("/v1/catalog/apply", {"files": files, "message": "m", "author": "a"})
    assert applied.status_code == 201, applied.text
    page = console.get("/customers/acme/credits").text
    once = re.search(r'name="once" value="(\w+)"', page)
    assert once is not None
    form = {"csrf": token_of(page), "once": once[1], "credit": "coins", "amount": "50"}
    for _ in range(2):
        assert console.post("/customers/acme/credits", form).status_code == 303
    balance = furnished.get("/v1/credits/balance?customer=acme&credit=coins").json()
    assert "50" in str(balance)
    assert "100" not in str(balance)
    assert "50" in amounts_of(console.get("/customers/acme/credits").text)


def test_an_endpoint_is_made_tested_and_removed(console: Console) -> None:
    made = console.submit(
        "/alerts/endpoints", {"kind": "webhook", "address": "https://hooks.example.com/x"}, page="/alerts"
    )
    assert "shown this once" in text_of(made.text)
    link = re.search(r'href="/w/one(/alerts/endpoints/[^"]+)"', made.text)
    assert link is not None
    assert console.submit(f"{link[1]}/test", {}, page=link[1]).status_code == 303
    assert console.submit(f"{link[1]}/replay", {"of": "day"}, page=link[1]).status_code == 303
    assert console.submit(f"{link[1]}/delete", {}, page=link[1]).status_code == 303
    assert "hooks.example.com" not in console.get("/alerts").text
    bad = console.submit("/alerts/endpoints", {"kind": "webhook", "address": "ftp://x"}, page="/alerts")
    assert bad.status_code == 400
    assert 'value="ftp://x"' in bad.text


def test_forms_keep_what_was_typed_and_say_what_is_wrong(console: Console) -> None:
    answer = console.submit("/new-customer", {"key": "acme", "name": "Another", "currency": "USD"})
    assert answer.status_code == 409
    assert 'value="Another"' in answer.text
    answer = console.submit("/customers/acme/contracts/new", {"plan": "team", "seats-seat": "many"})
    assert answer.status_code == 400
    assert 'value="many"' in answer.text


def test_search_leads_to_the_one_thing_it_finds(console: Console) -> None:
    assert console.get("/search?q=acme").headers["location"] == "/w/one/customers/acme"
    items = console.get("/search.json?q=Acm").json()["items"]
    assert items == [{"name": "Acme (acme)", "kind": "customer", "to": "/w/one/customers/acme"}]
    assert console.get("/search?q=%25").status_code == 200
    assert console.get("/search.json?q=%25").json()["items"] == []


def test_one_workspace_shows_nothing_of_another(console: Console) -> None:
    for path in ("/customers/acme", "/event?source=/t&id=e1"):
        assert console.get("!/w/two" + path).status_code == 404
    assert "acme" not in console.get("!/w/two/events").text.replace('"subject":"acme"', "")
    assert console.get("!/w/three/").status_code == 404


def test_what_is_not_there_says_so(console: Console) -> None:
    for path in ("/customers/nobody", "/contracts/ctr_x", "/invoices/INV-999999", "/invoices/INV-1/lines/1"):
        answer = console.get(path)
        assert answer.status_code == 404
        assert "There is no" in text_of(answer.text), path


def test_the_reference_shows_every_operation(world: World) -> None:  # noqa: F811
    page = world.http.get("/reference").text
    for path, operations in world.http.get("/openapi.json").json()["paths"].items():
        for method in operations:
            anchor = f"{method}{path}".replace("/", "-").replace("{", "").replace("}", "").replace(":", "-")
            assert f'id="{anchor}"' in page


def test_only_our_own_files_are_served_and_may_be_kept(world: World) -> None:  # noqa: F811
    page = world.http.get("/sign-in").text
    addresses = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
    assert len(addresses) >= 6
    for address in addresses:
        answer = world.http.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    for name in ("x/..%2Fpages.py", "x/nothing.css", "x/%2e%2e/pages.py"):
        assert world.http.get(f"/assets/{name}").status_code == 404


def test_bearer_and_console_do_not_mix(furnished: World) -> None:  # noqa: F811
    assert furnished.http.get("/w/one/", headers=bearer(furnished.admin)).status_code == 303
    assert NOW.tzinfo is not None
    assert token_of(furnished.http.get("/sign-in").text)
