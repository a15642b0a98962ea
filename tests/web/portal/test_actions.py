"""What customers do: budgets, notices, plans; names are text everywhere; forms keep what was typed."""

import json
import re

import pytest

from tests.web.console import text_of
from tests.web.portal.conftest import Door, Portal
from valorem.engine.audit import list_audit
from valorem.engine.workspaces import list_workspaces

PAYLOAD = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>{{7*7}}%(x)s"


@pytest.fixture(scope="module")
def acme(door: Door) -> Portal:
    return door.open("acme")


def test_a_customer_sets_its_own_budget_and_removes_it(door: Door, acme: Portal) -> None:
    form = {
        "amount": "250",
        "window": "month",
        "kind": "hard",
        "of": "meter:tokens",
        "at-80": "yes",
        "name": "Tokens",
    }
    answer = acme.submit("/budgets", form, "/limits")
    assert answer.headers["location"] == acme.home + "/limits?done=budget_set"
    assert "Your budget is set" in text_of(acme.page("/limits?done=budget_set"))
    (kept,) = door.get("/v1/budgets?customer=acme")["items"]
    assert (kept["amount"], kept["kind"], kept["meter"], kept["at"], kept["set_by"]) == (
        "250",
        "hard",
        "tokens",
        ["80%"],
        "customer",
    )
    page = acme.page("/limits")
    assert f'id="spent-{kept["id"]}" class="money" value="{kept["spent"]}"' in page
    assert "Blocks new use that costs money" in text_of(page)
    assert acme.submit(f"/budgets/{kept['id']}/remove", {}, "/limits").status_code == 303
    assert door.get("/v1/budgets?customer=acme")["items"] == []
    workspace = next(each for each in list_workspaces(door.engine) if each.name == "one")
    with door.engine.transaction(workspace.id, read_only=True) as tx:
        actions = {
            each.deed.action: each.deed.actor for each in list_audit(tx.connection, workspace.id, limit=20)
        }
    assert actions["budget.set"] == actions["budget.remove"] == "customer acme"


def test_a_budget_that_is_spent_already_is_asked_about_first(door: Door, acme: Portal) -> None:
    form = {
        "amount": "0.01",
        "window": "billing period",
        "kind": "notify",
        "of": "everything",
        "name": "Tiny",
    }
    answer = acme.submit("/budgets", form, "/limits")
    assert answer.status_code == 400
    assert "is spent already" in text_of(answer.text)
    assert 'value="Tiny"' in answer.text
    assert door.get("/v1/budgets?customer=acme")["items"] == []
    assert acme.submit("/budgets", {**form, "anyway": "yes"}, "/limits").status_code == 303
    (kept,) = door.get("/v1/budgets?customer=acme")["items"]
    acme.submit(f"/budgets/{kept['id']}/remove", {}, "/limits")


@pytest.mark.parametrize("amount", ["", "0", "-5", "many", "1e9999", "NaN", "1" * 40])
def test_an_amount_that_is_none_is_said_and_kept(acme: Portal, amount: str) -> None:
    answer = acme.submit("/budgets", {"amount": amount, "window": "month", "name": "Keep me"}, "/limits")
    assert answer.status_code == 400, amount
    assert 'value="Keep me"' in answer.text
    assert 'aria-invalid="true"' in answer.text


def test_a_customer_cannot_touch_what_the_vendor_set(door: Door, acme: Portal) -> None:
    made = door.post("/v1/budgets", {"customer": "acme", "amount": "9999"})
    page = acme.page("/limits")
    assert "set by us" in text_of(page)
    assert f"/budgets/{made['id']}/remove" not in page
    assert acme.submit(f"/budgets/{made['id']}/remove", {}, "/limits").status_code == 403
    door.http.delete(
        f"/v1/budgets/{made['id']}?customer=acme", headers={"authorization": f"Bearer {door.admin}"}
    )


def test_two_budgets_of_which_one_never_speaks_are_pointed_out(door: Door, acme: Portal) -> None:
    for amount in ("500", "900"):
        acme.submit(
            "/budgets", {"amount": amount, "window": "month", "kind": "notify", "of": "usage"}, "/limits"
        )
    assert text_of(acme.page("/limits")).count("another one speaks first") == 1
    for each in door.get("/v1/budgets?customer=acme")["items"]:
        acme.submit(f"/budgets/{each['id']}/remove", {}, "/limits")


def test_notices_go_to_the_customer_s_own_addresses(door: Door, acme: Portal) -> None:
    assert acme.submit("/notices", {"address": "ops@acme.example"}, "/limits").status_code == 303
    (made,) = door.get("/v1/webhooks")["items"]
    assert made["customer"] == "acme"
    assert made["topics"] == ["alert.*"]
    assert "ops@acme.example" in acme.page("/limits")
    assert "ops@acme.example" not in door.open("beta").page("/limits")
    bad = acme.submit("/notices", {"address": "nonsense"}, "/limits")
    assert bad.status_code == 400
    assert 'value="nonsense"' in bad.text
    assert acme.submit(f"/notices/{made['id']}/remove", {}, "/limits").status_code == 303
    assert door.get("/v1/webhooks")["items"] == []


def test_names_are_text_on_every_page(door: Door) -> None:
    door.post("/v1/customers", {"key": PAYLOAD, "name": PAYLOAD, "currency": "USD"})
    contract = door.post(
        "/v1/contracts", {"customer": PAYLOAD, "plan": "team", "start": "2026-02-01T00:00:00Z"}
    )["id"]
    door.use(PAYLOAD, subject=PAYLOAD, model=PAYLOAD, user=PAYLOAD)
    door.post("/v1/budgets", {"customer": PAYLOAD, "amount": "5", "name": PAYLOAD, "set_by": "customer"})
    settings = door.get("/v1/settings/portal")
    door.put("/v1/settings/portal", {**settings, "name": PAYLOAD[:200], "names": {"small": PAYLOAD}})
    try:
        looker = door.open(PAYLOAD)
        numbers = [
            each["number"]
            for each in door.get(f"/v1/invoices?contract={contract}")["items"]
            if each["number"]
        ]
        pages = ["/", "/usage", "/usage?by=model", "/usage?meter=calls&by=user", "/usage/events?by=model", "/credits", "/limits", "/invoices",
            "/plan", "/plan/calculator", "/plan/change?plan=business", "/outcomes", f"/invoices/{PAYLOAD}", "/usage?meter=%3Cscript%3E&only=%3Cb%3E",
            "/limits?done=%3Cscript%3E", *(f"/invoices/{number}" for number in numbers)]  # fmt: skip
        seen = 0
        for path in pages:
            page = looker.get(path).text
            seen += "&lt;script&gt;" in page
            for markup in ("<script>alert", "<img src=x", "<b>{{", "49%(x)s"):
                assert markup not in page, (path, markup)
            for block in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL):
                assert json.loads(block)
                assert "<" not in block
        assert seen > 8
        sheet = looker.page("/usage/events.csv?by=model")
        assert not any(
            cell.startswith(("=", "+", "@")) for line in sheet.splitlines() for cell in line.split(",")
        )
    finally:
        door.put("/v1/settings/portal", settings)


def test_the_vendor_s_colours_and_logo_are_a_file_of_their_own(door: Door) -> None:
    settings = door.get("/v1/settings/portal")
    logo = {"format": "svg", "data": "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciLz4="}
    door.put(
        "/v1/settings/portal",
        {**settings, "accent": "#0b6e4f", "logo": logo, "corners": "round", "mode": "dark"},
    )
    try:
        looker = door.open("acme")
        page = looker.page("/")
        assert "style=" not in page
        sheet = re.search(r'href="([^"]+/theme/\w+\.css)"', page)
        image = re.search(r'src="([^"]+/logo/\w+)"', page)
        assert sheet is not None
        assert image is not None
        css = looker.looker.get("!" + sheet[1])
        assert css.headers["content-type"].startswith("text/css")
        assert "color-scheme: dark" in css.text
        assert "--radius: 12px" in css.text
        drawn = looker.looker.get("!" + image[1])
        assert drawn.headers["content-type"] == "image/svg+xml"
        assert "sandbox" in drawn.headers["content-security-policy"]
        refused = door.http.put(
            "/v1/settings/portal",
            json={**settings, "accent": "#ffd200"},
            headers={"authorization": f"Bearer {door.admin}"},
        )
        assert refused.status_code == 400
        assert "the nearest that can be is #" in json.dumps(refused.json())
    finally:
        door.put("/v1/settings/portal", settings)


def test_what_is_empty_says_what_to_do(door: Door) -> None:
    door.post("/v1/customers", {"key": "new", "name": "New", "currency": "EUR"})
    looker = door.open("new")
    for path, said in (
        ("/", "No plan runs for you now"),
        ("/usage", "Nothing is counted by use"),
        ("/usage/events", "Nothing is counted by use"),
        ("/credits", "works without credits"),
        ("/limits", "No budget yet"),
        ("/invoices", "No invoice yet"),
        ("/plan", "No plan runs for you now"),
        ("/outcomes", "No results are agreed with you"),
    ):
        assert said in text_of(looker.page(path)), path
    for path in ("/plan/calculator", "/plan/change?plan=team", "/invoices/INV-000001", "/outcomes/none"):
        answer = looker.get(path)
        assert answer.status_code in (403, 404), path
        assert "To the overview" in text_of(answer.text)
