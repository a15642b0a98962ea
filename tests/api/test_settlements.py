"""Invoices to their end over HTTP."""

from decimal import Decimal
from typing import Any

import pytest

from tests.api.conftest import World, bearer

BERLIN = {"lines": ["Hauptstraße 1"], "postcode": "10115", "city": "Berlin", "country": "DE"}
SELLER = {
    "seller": {"name": "Metered GmbH", "address": BERLIN, "tax_id": "DE123456789"},
    "bank": {"holder": "Metered GmbH", "iban": "DE02120300000000202051"},
    "terms": {"net_days": 14},
}
VAT = "tax: vat\nname: VAT\nrates:\n- {country: DE, share: 0.19}\n"


@pytest.fixture
def issued(furnished: World) -> World:
    """With two final invoices, taxed in Berlin."""
    assert put(furnished, "/v1/settings/billing", SELLER).status_code == 200
    catalog = furnished.get("/v1/catalog").json()
    body = {"files": {**catalog["files"], "taxes/vat.yaml": VAT}, "message": "m", "author": "a"}
    assert furnished.post("/v1/catalog/apply", body).status_code == 201
    changed = furnished.http.patch(
        "/v1/customers/acme",
        json={"billing": {"address": BERLIN, "email": "ap@acme.example", "locale": "de_DE"}},
        headers=bearer(furnished.admin),
    )
    assert changed.json()["billing"]["address"]["city"] == "Berlin"
    assert furnished.post("/v1/clock/advance", {"to": "2026-04-02T00:00:00Z"}).status_code == 200
    return furnished


def put(world: World, path: str, body: Any) -> Any:
    return world.http.put(path, json=body, headers=bearer(world.admin))


def test_lines_taxes_and_notes_add_up(issued: World) -> None:
    invoice = issued.get("/v1/invoices/INV-000002").json()
    lines = sum(Decimal(line["amount"]) for line in invoice["document"]["lines"])
    assert lines + Decimal(invoice["settlement"]["tax"]) == Decimal(invoice["total"])
    assert invoice["due_on"] == "2026-04-15"
    body = {"reason": "outage", "lines": {"1": "2.50"}}
    preview = issued.post("/v1/invoices/INV-000002/credit_notes/preview", body).json()
    note = issued.post("/v1/invoices/INV-000002/credit_notes", body, Idempotency_Key="n1")
    again = issued.post("/v1/invoices/INV-000002/credit_notes", body, Idempotency_Key="n1")
    assert note.status_code == 201
    assert again.json() == note.json()
    assert {name: note.json()[name] for name in preview} == preview
    after = issued.get("/v1/invoices/INV-000002").json()
    notes = issued.get("/v1/credit_notes?invoice=INV-000002").json()["items"]
    assert len(notes) == 1
    assert Decimal(after["owed"]) == Decimal(after["total"]) - sum(Decimal(each["total"]) for each in notes)
    assert issued.get("/v1/credit_notes/CRN-000001").json() == notes[0]


def test_it_is_paid_once_and_what_is_too_much_waits(issued: World) -> None:
    owed = Decimal(issued.get("/v1/invoices/INV-000002").json()["owed"])
    body = {"amount": str(owed + 5), "provider": "bank_transfer", "reference": "T1"}
    assert issued.post("/v1/invoices/INV-000002/pay", body).json()["state"] == "succeeded"
    assert issued.post("/v1/invoices/INV-000002/pay", body).status_code in (409, 422)
    assert issued.get("/v1/invoices?status=paid").json()["items"][0]["number"] == "INV-000002"
    assert len(issued.get("/v1/payments?invoice=INV-000002").json()["items"]) == 1
    balances = issued.get("/v1/balances?customer=acme").json()["balances"]
    assert [(each["currency"], each["amount"]) for each in balances] == [("USD", "5")]
    assert issued.post("/v1/invoices/INV-000001/pay_from_balance").json()["from_balance"] == "5"
    assert issued.post("/v1/invoices/INV-000002/void", {"reason": "r"}).status_code == 422


def test_voided_reissued_written_off(issued: World) -> None:
    assert issued.post("/v1/invoices/INV-000001/void", {"reason": "r"}).json()["status"] == "void"
    drafts = issued.get("/v1/invoices?status=draft").json()["items"]
    (draft,) = [each for each in drafts if each["replaces"]]
    assert (draft["status"], draft["replaces"]) == ("draft", "INV-000001")
    assert issued.post("/v1/invoices/close").json()["finalised"] == 1
    again = issued.get(f"/v1/invoices/{draft['id']}").json()
    assert (again["number"], again["replaces"]) == ("INV-000003", "INV-000001")
    assert issued.get("/v1/invoices/INV-000003/verify").json()["same"]
    done = issued.post("/v1/invoices/INV-000003/write_off", {"reason": "insolvent"}).json()
    assert (done["status"], done["reason"]) == ("uncollectible", "insolvent")


def test_an_invoice_by_hand_is_printed_and_sent(issued: World) -> None:
    body = {"customer": "acme", "lines": [{"description": "Workshop", "unit_amount": "950", "quantity": "2"}]}
    made = issued.post("/v1/invoices", body).json()
    assert (made["total"], made["status"]) == ("2261", "finalised")
    for path in ("pdf?locale=fr_FR", "pdf", "facturx"):
        printed = issued.get(f"/v1/invoices/{made['number']}/{path}")
        assert printed.status_code == 200, printed.text
        assert printed.content.startswith(b"%PDF")
        assert printed.headers["content-type"] == "application/pdf"
    assert issued.get(f"/v1/invoices/{made['number']}/pdf?locale=xx").status_code == 400
    note = issued.post(f"/v1/invoices/{made['number']}/credit_notes", {"reason": "cancelled"}).json()
    assert issued.get(f"/v1/credit_notes/{note['number']}/pdf").content.startswith(b"%PDF")


def test_a_provider_that_is_not_set_up_is_named(issued: World) -> None:
    refused = issued.post("/v1/invoices/INV-000001/charge", {"provider": "stripe"})
    assert refused.status_code == 422
    assert "VALOREM_STRIPE" in refused.json()["hint"]
    assert issued.post("/v1/payments/webhooks/one/stripe", {}).status_code == 422


def test_another_workspace_sees_none_of_it(issued: World) -> None:
    issued.post("/v1/invoices/INV-000001/credit_notes", {"reason": "outage"})
    for path in (
        "/v1/invoices/INV-000001",
        "/v1/invoices/INV-000001/pdf",
        "/v1/credit_notes/CRN-000001",
        "/v1/balances?customer=acme",
    ):
        assert issued.get(path, key=issued.other).status_code == 404
    assert issued.get("/v1/payments", key=issued.other).json()["items"] == []
