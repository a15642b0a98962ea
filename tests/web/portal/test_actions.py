"""What customers do: budgets, notices, plans; names are text everywhere; forms keep what was typed."""

import json
import re
from decimal import Decimal

import pytest

from tests.web.console import text_of
from tests.web.portal.conftest import Door, Portal
from valorem.core.payments.built_in import NotedPayments
from valorem.engine.audit import Deed, list_audit
from valorem.engine.payments import set_payer
from valorem.engine.workspaces import list_workspaces

PAYLOAD = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>{{7*7}}%(x)s"


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


def deeds(door: Door) -> list[Deed]:
    workspace = next(each for each in list_workspaces(door.engine) if each.name == "one")
    with door.engine.transaction(workspace.id, read_only=True) as tx:
        return [each.deed for each in list_audit(tx.connection, workspace.id, limit=20)]


def field_of(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None, name
    return found[1]


def test_credits_are_bought_once_for_what_the_page_said(door: Door, acme: Portal) -> None:
    balance = "/v1/credits/balance?customer=acme&credit=coins"
    before = door.get(balance)["items"][0]
    assert "Small pack" in acme.page("/credits")
    page = acme.page("/credits/buy?credit=coins&pack=small")
    assert 'value="9"' in page
    assert door.get(balance)["items"][0] == before  # a look buys nothing
    form = {"credit": "coins", "pack": "small", "amount": "", "once": field_of(page, "once")}
    for _ in range(2):
        answer = acme.submit("/credits/buy", form, "/credits")
        assert answer.headers["location"] == acme.home + "/credits?done=credits_bought"
    after = door.get(balance)["items"][0]
    assert Decimal(after["available"]) == Decimal(before["available"]) + 100
    assert deeds(door)[0].action == "credits.buy"
    single = acme.page("/credits/buy?credit=coins&amount=25")
    assert 'value="2.5"' in single
    for query in ("credit=coins&amount=many", "credit=coins&pack=large"):
        assert acme.get(f"/credits/buy?{query}").status_code == 400, query
    assert acme.get("/credits/buy?credit=none&amount=1").status_code == 404


def test_seats_are_changed_for_what_the_page_said(door: Door, acme: Portal) -> None:
    contract = door.get("/v1/contracts?customer=acme")["items"][0]["id"]
    page = acme.page("/plan/change?seat=seat&quantity=4")
    assert "seat: 4" in text_of(page)
    body = {"changes": [{"kind": "seats", "key": "seat", "quantity": "4"}], "effective": "now"}
    preview = door.post(f"/v1/contracts/{contract}/changes", {**body, "preview": True})
    assert f'value="{preview["difference"]}"' in page
    form = {"seat": "seat", "quantity": "4", "once": field_of(page, "once")}
    for _ in range(2):
        assert acme.submit("/plan/change", form, "/plan").headers["location"].endswith("done=seats_changed")
    assert door.get(f"/v1/contracts/{contract}")["seats"]["seat"][-1]["quantity"] == "4"
    assert [each.action for each in deeds(door)].count("seats.change") == 1
    for quantity in ("many", "-1", "1.5", "4"):
        assert acme.get(f"/plan/change?seat=seat&quantity={quantity}").status_code == 400, quantity
    assert acme.get("/plan/change?seat=other&quantity=3").status_code == 403


def test_billing_details_are_changed_and_the_rest_of_them_stays(door: Door, acme: Portal) -> None:
    details = {"legal_name": "Acme Inc", "locale": "de_DE", "exempt_reason": "certificate 7"}
    door.patch("/v1/customers/acme", {"billing": details})
    form = {
        "legal_name": "Acme GmbH",
        "line1": "Hauptstraße 1",
        "city": "Berlin",
        "country": "de",
        "tax_id": "DE1",
    }
    answer = acme.submit("/plan/billing", form, "/plan/billing")
    assert answer.headers["location"].endswith("/plan/billing?done=billing_changed")
    kept = door.get("/v1/customers/acme")["billing"]
    assert (kept["legal_name"], kept["locale"], kept["exempt_reason"]) == (
        "Acme GmbH",
        "de_DE",
        "certificate 7",
    )
    assert kept["address"]["country"] == "DE"
    last = deeds(door)[0]
    assert (last.action, last.actor) == ("billing.change", "customer acme")
    assert last.before is not None
    assert last.before["legal_name"] == "Acme Inc"
    wrong = acme.submit("/plan/billing", {**form, "country": "Germany"}, "/plan/billing")
    assert wrong.status_code == 400
    assert 'value="Hauptstraße 1"' in wrong.text
    assert 'name="country"' in wrong.text
    assert 'aria-invalid="true"' in wrong.text
    door.patch("/v1/customers/acme", {"billing": {}})


def test_an_invoice_is_paid_by_the_method_that_is_known_or_by_transfer(door: Door, acme: Portal) -> None:
    bank = {"holder": "Metered GmbH", "iban": "DE02120300000000202051"}
    door.put("/v1/settings/billing", {"seller": {"name": "Metered GmbH"}, "bank": bank})
    invoice = next(
        each for each in door.get("/v1/invoices?customer=acme")["items"] if each["status"] != "paid"
    )
    path = f"/invoices/{invoice['number']}"
    page = acme.page(path)
    assert "DE02120300000000202051" in page
    assert "RF" in text_of(page)
    assert f"{path}/pay" not in page
    refused = acme.submit(f"{path}/pay", {}, path)
    assert refused.status_code == 422
    workspace = next(each for each in list_workspaces(door.engine) if each.name == "one")
    with door.engine.transaction(workspace.id) as tx:
        set_payer(tx, "acme", NotedPayments("card"), "cus_1", "pm_1")
    assert f"{path}/pay" in acme.page(path)
    for _ in range(2):  # hit twice, asked once
        answer = acme.submit(f"{path}/pay", {}, path)
        assert answer.headers["location"] == f"{acme.home}{path}?done=payment_asked"
    asked = door.get(f"/v1/payments?invoice={invoice['number']}")["items"]
    assert [each["provider"] for each in asked] == ["card"]
    assert "is on its way" in text_of(acme.page(path))
    assert [each.action for each in deeds(door)].count("invoice.pay") == 1
    theirs = door.get("/v1/invoices?customer=beta")["items"][0]["number"]
    assert acme.submit(f"/invoices/{theirs}/pay", {}, path).status_code == 404


def test_what_the_vendor_does_not_allow_is_not_done_here(door: Door, acme: Portal) -> None:
    settings = door.get("/v1/settings/portal")
    door.put("/v1/settings/portal", {**settings, "allows": []})
    try:
        assert "Small pack" not in acme.page("/credits")
        assert "f-seat-seat" not in acme.page("/plan")
        assert acme.get("/credits/buy?credit=coins&pack=small").status_code == 403
        assert acme.get("/plan/change?seat=seat&quantity=9").status_code == 403
        assert acme.submit("/plan/billing", {"legal_name": "X"}, "/plan").status_code == 403
        number = door.get("/v1/invoices?customer=acme")["items"][0]["number"]
        assert acme.submit(f"/invoices/{number}/pay", {}, "/plan").status_code == 403
    finally:
        door.put("/v1/settings/portal", settings)


def test_what_is_reserved_is_not_left(door: Door, acme: Portal) -> None:
    def left() -> str:
        found = re.search(r'<data id="room-calls-0" value="([\d.]+)"', acme.page("/limits"))
        assert found is not None
        return found[1]

    before = left()
    body = {"customer": "acme", "feature": "calls", "quantity": "30", "hold": {"id": "job", "lasts_s": 900}}
    answer = door.post("/v1/check", body)
    assert answer["hold"] is not None
    assert Decimal(left()) == Decimal(before) - 30
    assert "Reserved: 30" in text_of(acme.page("/limits"))


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
