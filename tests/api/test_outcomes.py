"""Outcomes over HTTP: both sides sign with keys of their own, read the same dashboard, and dispute what was billed."""

import base64
import io
import json
import zipfile

import httpx
import pytest

from tests.api.conftest import World
from valorem.engine.keys import SCOPES, issue_key
from valorem.engine.workspaces import list_workspaces

CATALOG = {
    "outcomes/resolution.yaml": "outcome: resolution\nsource: {system: desk}\n"
    "evidence:\n  - {event: solved, kind: success}\n  - {event: reopened, kind: refute}\n"
    "key: data.key\nwindow: 24 hours\ncurrency: USD\nprice: {model: per_unit, amount: 0.99}\n",
    "plans/agents.yaml": "plan: agents\nname: Agents\ncurrency: USD\nevery: month\noutcomes: [resolution]\n",
}
SIGNED = {"person": "Ada Lovelace", "role": "CFO", "number": 1}


def fact(kind: str, key: str, time: str) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{kind}-{key}-{time}",
            "source": "/desk",
            "type": kind,
            "subject": "acme",
            "time": time,
            "data": {"key": key},
        }
    ).encode()


@pytest.fixture
def deal(world: World) -> dict[str, str]:
    """A contract, and where its definition is."""
    assert (
        world.post("/v1/catalog/apply", {"files": CATALOG, "message": "m", "author": "a"}).status_code == 201
    )
    assert world.post("/v1/customers", {"key": "acme", "name": "Acme", "currency": "USD"}).status_code == 201
    body = {"customer": "acme", "plan": "agents", "start": "2026-03-01T00:00:00Z"}
    contract = world.post("/v1/contracts", body).json()["id"]
    return {"contract": contract, "definition": "resolution"}


def customer_key(world: World) -> str:
    workspace = list_workspaces(world.engine)[0].id
    return issue_key(world.engine, workspace, name="acme", scopes=["read", "outcomes:sign"]).key


def test_keys_of_every_scope_can_be_made_over_http(world: World) -> None:
    for scope in SCOPES:
        assert world.post("/v1/keys", {"name": scope, "scopes": [scope]}).status_code == 201


def test_a_key_speaks_for_one_side_only(world: World, deal: dict[str, str]) -> None:
    made = world.post("/v1/outcomes/definitions", deal).json()
    assert (made["status"], made["missing"]) == ("draft", ["vendor", "customer"])
    body = {**deal, **SIGNED, "digest": made["digest"]}
    theirs = customer_key(world)
    refused = world.post("/v1/outcomes/definitions/sign-as-customer", body)  # an admin's key is the vendor's
    assert refused.status_code == 403
    assert "customer" in refused.json()["detail"]
    assert world.post("/v1/outcomes/definitions/sign", body, key=theirs).status_code == 403
    assert world.post("/v1/outcomes/definitions/sign", {**body, "digest": "0" * 64}).status_code == 422
    assert world.post("/v1/outcomes/definitions/sign", body).json()["status"] == "proposed"
    signed = world.post("/v1/outcomes/definitions/sign-as-customer", body, key=theirs).json()
    assert signed["missing"] == []
    assert [each["party"] for each in signed["signatures"]] == ["vendor", "customer"]


def test_both_sides_read_the_same_dashboard_and_open_it_to_the_evidence(
    world: World, deal: dict[str, str]
) -> None:
    proposal = {
        **deal,
        "retroactive": True,
        "effective_from": "2026-03-01T00:00:00Z",
        "live_from": "2026-03-01T00:00:00Z",
    }
    digest = world.post("/v1/outcomes/definitions", proposal).json()["digest"]
    theirs = customer_key(world)
    body = {**deal, **SIGNED, "digest": digest}
    assert world.post("/v1/outcomes/definitions/sign", body).status_code == 201
    assert world.post("/v1/outcomes/definitions/sign-as-customer", body, key=theirs).status_code == 201
    facts = [
        fact("solved", "c1", "2026-03-05T00:00:00Z"),
        fact("solved", "c2", "2026-03-06T00:00:00Z"),
        fact("reopened", "c2", "2026-03-08T00:00:00Z"),
        fact("solved", "c3", "2026-03-10T06:00:00Z"),
    ]
    assert world.send(b"\n".join(facts)).json()["accepted"] == 4
    where = f"contract={deal['contract']}&definition=resolution"
    board = world.get(f"/v1/outcomes?{where}").json()
    assert board == world.get(f"/v1/outcomes?{where}", key=theirs).json()
    assert (board["assumed"], board["confirmed"], board["reversed"]) == (1, 2, 1)
    assert board["next_matures_at"] == "2026-03-11T06:00:00Z"
    assert board["periods"][0]["amount"] == "0.99"
    assert board["if_silent"] == "1.98"
    page = world.get(f"/v1/outcomes?{where}&limit=2").json()
    rest = world.get(f"/v1/outcomes?{where}&after={page['next']}").json()
    assert [each["key"] for each in page["outcomes"] + rest["outcomes"]] == ["c1", "c2", "c3"]
    opened = world.get(f"/v1/outcomes/evidence?{where}&key=c2").json()
    assert opened["state"] == "reversed"
    assert [each["type"] for each in opened["events"]] == ["solved", "reopened"]
    assert world.get(f"/v1/outcomes/bills?{where}").json()["total"] == "0.99"
    bundles = [world.get(f"/v1/outcomes/bundle?{where}&key=c2").json() for _ in range(2)]
    assert bundles[0] == bundles[1]
    names = zipfile.ZipFile(io.BytesIO(base64.b64decode(bundles[0]["content"]))).namelist()
    assert "definitions/1.signatures.json" in names
    found = world.get(f"/v1/outcomes/definitions?contract={deal['contract']}").json()["items"]
    assert [(each["status"], each["terms"]["price"]["amount"]) for each in found] == [("live", "0.99")]

    assert world.post("/v1/clock/advance", {"to": "2026-04-02T00:00:00Z"}).status_code == 200
    (invoice,) = world.get("/v1/invoices?status=finalised").json()["items"]
    assert invoice["total"] == "1.98"
    assert world.get(f"/v1/invoices/{invoice['number']}/verify").json()["same"] is True
    contested = {**deal, "keys": ["c1"], "reason": "not_achieved", "invoice": invoice["number"]}
    opened_one = world.post("/v1/outcomes/disputes/as-customer", contested, key=theirs).json()
    address = f"/v1/outcomes/disputes/{opened_one['id']}"
    assert world.post(f"{address}/answer", deal).json()["answered_at"] == "2026-04-02T00:00:00Z"
    resolved = world.post(f"{address}/resolve", {**deal, "resolutions": {"c1": "1"}}).json()
    assert resolved["resolutions"]["c1"]["share"] == "1"
    assert [each["id"] for each in world.get(f"/v1/outcomes/disputes?{where}").json()["items"]] == [
        opened_one["id"]
    ]
    report = world.post(
        "/v1/outcomes/reports", {**deal, "listed": [{"key": "c1"}, {"key": "c9"}], "period_index": 0}
    ).json()
    assert report["report"]["source_only"] == ["c9"]
    assert world.post("/v1/clock/advance", {"to": "2026-05-02T00:00:00Z"}).status_code == 200
    (note,) = world.get(f"/v1/credit_notes?invoice={invoice['number']}").json()["items"]
    assert note["total"] == "0.99"
    billed = [each["number"] for each in world.get("/v1/invoices").json()["items"]]
    assert billed == [invoice["number"]]  # nothing is given back twice


def test_a_link_signs_exactly_one_text_once(world: World, deal: dict[str, str]) -> None:
    made = world.post("/v1/outcomes/definitions", deal).json()
    first = world.post("/v1/outcomes/signing/links", deal).json()
    link = world.post("/v1/outcomes/signing/links", {**deal, "number": 1, "lasts_days": 3}).json()
    assert link["digest"] == made["digest"]

    def ask(path: str, body: dict[str, object]) -> httpx.Response:
        return world.http.post(f"/v1/outcomes/{path}", json=body)  # without a key

    assert ask("signing/look", {"token": first["token"]}).status_code == 404  # the newer one took its place
    seen = ask("signing/look", {"token": link["token"]}).json()
    assert (seen["customer"], seen["definition"]["missing"]) == ("acme", ["vendor", "customer"])
    yes = {"token": link["token"], "person": "Cora", "role": "CFO", "digest": made["digest"]}
    assert ask("signing", {**yes, "digest": "0" * 64}).status_code == 422
    signed = ask("signing", yes)
    assert signed.status_code == 201
    (signature,) = signed.json()["signatures"]
    assert (signature["party"], signature["method"], signature["person"]) == ("customer", "portal", "Cora")
    assert ask("signing", yes).status_code == 404
    assert world.post("/v1/outcomes/signing/links", deal).status_code == 422  # nothing left to sign


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "vl_sign.1.ctr_019b0000000000000000000000." + "x" * 43,
        "vl_sign.99999.ctr_019b0000000000000000000000." + "x" * 43,
        "vl_sign.99999999999999.ctr_019b0000000000000000000000." + "x" * 43,
        "vl_sign.1.cus_1." + "x" * 43,
    ],
)
def test_whatever_is_wrong_with_a_link_the_answer_is_the_same(world: World, token: str) -> None:
    answer = world.http.post("/v1/outcomes/signing/look", json={"token": token})
    assert answer.status_code == 404
    assert "link" in answer.json()["detail"] or "workspace" in answer.json()["detail"]


SAVINGS = {
    "outcomes/energy.yaml": "outcome: energy\nsource: {system: meters}\n"
    "evidence:\n  - {event: cost, kind: success}\nkey: data.key\nvalue: {amount: data.cost}\ncurrency: USD\n"
    "savings: {share: 25%, baseline: {method: fixed, amount: 1000}}\n",
    "plans/energy.yaml": "plan: energy\nname: Energy\ncurrency: USD\nevery: month\noutcomes: [energy]\n",
}


def test_savings_are_read_with_their_arithmetic(world: World) -> None:
    assert (
        world.post("/v1/catalog/apply", {"files": SAVINGS, "message": "m", "author": "a"}).status_code == 201
    )
    world.post("/v1/customers", {"key": "acme", "name": "Acme", "currency": "USD"})
    body = {"customer": "acme", "plan": "energy", "start": "2026-03-01T00:00:00Z"}
    contract = world.post("/v1/contracts", body).json()["id"]
    deal = {"contract": contract, "definition": "energy"}
    made = world.post("/v1/outcomes/definitions", {**deal, "effective_from": "2026-03-01T00:00:00Z"})
    assert made.status_code == 201
    found = world.get(f"/v1/outcomes/savings?contract={contract}&definition=energy")
    assert found.status_code == 200
    assert [each["over"] for each in found.json()["items"]] == [False]  # nobody has signed it
    estimated = world.post("/v1/outcomes/savings/estimates", {**deal, "period_index": 0})
    assert estimated.status_code == 422
    assert "is not over" in estimated.json()["detail"]
