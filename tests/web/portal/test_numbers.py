"""One truth: what a page shows is what the API answers, to the letter, and what the invoice says."""

import re
from decimal import Decimal

import pytest

from tests.web.console import text_of
from tests.web.portal.conftest import Door, Portal


def value(page: str, mark: str) -> str:
    found = re.search(rf'<data id="{re.escape(mark)}"[^>]* value="(-?[\d.]+)"', page)
    assert found is not None, mark
    return found[1]


def contract_of(door: Door) -> str:
    return str(door.get("/v1/contracts?customer=acme")["items"][0]["id"])


def test_the_overview_is_the_preview(door: Door, acme: Portal) -> None:
    contract = contract_of(door)
    preview = door.get(f"/v1/invoices/preview?contract={contract}")
    page = acme.page("/")
    assert value(page, f"so-far-{contract}") == preview["so_far"]["total"]
    assert value(page, f"projected-{contract}") == preview["projected"]["total"]
    if preview["low"] != preview["high"]:
        assert value(page, f"low-{contract}") == preview["low"]
        assert value(page, f"high-{contract}") == preview["high"]


def test_usage_is_the_usage_and_costs_what_the_lines_say(door: Door, acme: Portal) -> None:
    used = door.get("/v1/usage?customer=acme&meter=tokens")
    page = acme.page("/usage?meter=tokens")
    assert value(page, "used-tokens") == used["total"]
    preview = door.get(f"/v1/invoices/preview?contract={contract_of(door)}")
    lines = [
        each for each in preview["so_far"]["lines"] if each["kind"] == "usage" and each["key"] == "tokens"
    ]
    cost = sum((Decimal(each["amount"]) for each in lines), Decimal(0))
    assert Decimal(value(page, "cost-tokens")) == cost
    assert cost > 0
    total = re.search(r"<tfoot>.*?</tfoot>", page, re.DOTALL)
    assert total is not None
    assert f'value="{used["total"]}"' in total[0]


@pytest.mark.parametrize("meter", ["tokens", "calls"])
def test_the_costs_of_single_events_add_up_to_the_lines(door: Door, acme: Portal, meter: str) -> None:
    rows = [line.split(",") for line in acme.page(f"/usage/events.csv?meter={meter}").splitlines()[1:]]
    assert len(rows) == 8
    cost = sum((Decimal(row[6]) for row in rows), Decimal(0))
    lines = [
        each
        for each in door.get(f"/v1/invoices/preview?contract={contract_of(door)}")["so_far"]["lines"]
        if each["kind"] == "usage" and each["key"] == meter
    ]
    assert abs(cost - sum((Decimal(each["amount"]) for each in lines), Decimal(0))) < Decimal("0.01")
    assert sum(Decimal(row[4]) for row in rows) == Decimal(
        door.get(f"/v1/usage?customer=acme&meter={meter}")["total"]
    )


def test_included_use_is_told_apart_from_paid_use(acme: Portal) -> None:
    page = text_of(acme.page("/"))
    assert "included: 5 of 5" in page
    assert "paid: 3" in page


def test_credits_are_the_balance(door: Door, acme: Portal) -> None:
    (balance,) = door.get("/v1/credits/balance?customer=acme&credit=coins")["items"]
    page = acme.page("/credits")
    assert value(page, "credit-coins") == balance["available"] == "86"
    assert "pages" in text_of(page)


def test_limits_are_what_a_check_says(door: Door, acme: Portal) -> None:
    said = door.post("/v1/check", {"customer": "acme", "feature": "calls"})
    page = acme.page("/limits")
    used = said["results"][0]["limits"][0]["used"]
    assert value(page, "limit-calls-0") == used == "8"
    assert "Blocks new use" in text_of(page)


def test_an_invoice_is_the_invoice_line_by_line(door: Door, acme: Portal) -> None:
    for header in door.get("/v1/invoices?customer=acme")["items"]:
        invoice = door.get(f"/v1/invoices/{header['id']}")
        page = acme.page(f"/invoices/{header['number']}")
        amounts = re.findall(r'value="(-?[\d.]+)"', page)
        assert invoice["document"]["total"] in amounts
        for number, line in enumerate(invoice["document"]["lines"], 1):
            assert line["amount"] in amounts
            opened = acme.page(f"/invoices/{header['number']}/lines/{number}")
            assert f'value="{line["amount"]}"' in opened


def test_the_calculator_gives_the_bill_for_what_was_used(door: Door, acme: Portal) -> None:
    page = acme.page("/plan/calculator")
    assert Decimal(value(page, "estimate")) == Decimal("30.00"), (
        "nothing was used in February: the fees alone"
    )
    fields = re.findall(r'<input id="f-(q\d+)"', page)
    assert len(fields) == 5
    labels = dict(zip(re.findall(r'<label for="f-q\d+">([^<]+)', page), fields, strict=True))
    asked = {labels["Tokens: large, input"]: "1,000,000", labels["Calls"]: "105", "seats-seat": "4"}
    page = acme.page("/plan/calculator?" + "&".join(f"{name}={text}" for name, text in asked.items()))
    # 20 + 4 × 5 fees, 5 for a million tokens, 100 paid calls of 0.01
    assert value(page, "estimate") == "46"
    assert "Business" in text_of(page)
    wrong = acme.get("/plan/calculator?q0=many")
    assert wrong.status_code == 400
    assert 'value="many"' in wrong.text


def test_what_another_plan_would_have_cost_is_what_it_bills(door: Door) -> None:
    door.post("/v1/customers", {"key": "gamma", "name": "Gamma", "currency": "USD"})
    contract = door.post(
        "/v1/contracts",
        {"customer": "gamma", "plan": "business", "start": "2026-02-01T00:00:00Z", "seats": {"seat": "3"}},
    )["id"]
    event = {
        "specversion": "1.0",
        "id": "g",
        "source": "/t",
        "type": "llm.call",
        "subject": "gamma",
        "time": "2026-02-05T00:00:00Z",
        "data": {"model": "small", "user": "u", "input": 3_000_000, "output": 1_000_000},
    }
    assert door.post("/v1/events", [event])["accepted"] == 1
    looker = door.open("gamma")
    page = looker.page("/plan")
    past = re.findall(r'class="past".*?</table>', page, re.DOTALL)
    own = re.findall(r'value="([\d.]+)"', past[0])
    assert own == ["216"], "200 + 3 × 4 fees, 4 for four million tokens, 0.001 for a call rounded to nothing"
    team = re.findall(r'value="([\d.]+)"', past[1])
    assert team == ["49"], "20 + 3 × 5 fees, 6 and 8 for tokens, and the call is included"
    assert contract


def test_a_change_of_plan_shows_its_money_then_does_it_once(door: Door) -> None:
    looker = door.open("beta")
    page = looker.page("/plan/change?plan=business")
    once = re.search(r'name="once" value="(\w+)"', page)
    assert once is not None
    contract = door.get("/v1/contracts?customer=beta")["items"][0]["id"]
    preview = door.post(
        f"/v1/contracts/{contract}/changes",
        {"changes": [{"kind": "plan", "plan": "business", "catalog_version": 1}], "preview": True},
    )
    assert preview["difference"] in re.findall(r'value="(-?[\d.]+)"', page)
    form = {"plan": "business", "once": once[1]}
    for _ in range(2):
        answer = looker.submit("/plan/change", form, "/plan")
        assert answer.status_code == 303, text_of(answer.text)
    edits = door.get(f"/v1/contracts/{contract}/history")["edits"]
    assert len(edits) == 1
    assert edits[0]["author"] == "customer beta"
    assert "Business" in text_of(looker.page("/plan"))
    refused = looker.submit("/plan/change", {"plan": "secret", "once": "abc"}, "/plan")
    assert refused.status_code == 403
