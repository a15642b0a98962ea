"""Contracts changed over HTTP: previews write nothing, edits are one request, the history tells how it stood."""

from typing import Any

from tests.api.conftest import CATALOG, World

DEARER = {**CATALOG, "plans/team.yaml": CATALOG["plans/team.yaml"].replace("amount: 20", "amount: 25")}
SEATS = {"kind": "seats", "key": "seat", "quantity": "9"}


def contract_of(world: World) -> str:
    found: str = world.get("/v1/contracts").json()["items"][0]["id"]
    return found


def change(world: World, contract: str, *changes: Any, **said: Any) -> Any:
    return world.post(f"/v1/contracts/{contract}/changes", {"changes": list(changes), **said})


def test_a_preview_shows_the_money_and_writes_nothing(furnished: World) -> None:
    contract = contract_of(furnished)
    before = furnished.get(f"/v1/contracts/{contract}").json()
    told = change(furnished, contract, SEATS, effective="period_end", preview=True)
    assert told.status_code == 200
    body = told.json()
    assert body["contract"]["seats"]["seat"][-1]["quantity"] == "9"
    total = sum(float(each["total"]) for each in body["after"]) - sum(
        float(each["total"]) for each in body["before"]
    )
    assert float(body["difference"]) == total != 0
    assert furnished.get(f"/v1/contracts/{contract}").json() == before
    assert furnished.get(f"/v1/contracts/{contract}/history").json()["edits"] == []


def test_an_edit_is_made_once_and_told_by_the_history(furnished: World) -> None:
    contract = contract_of(furnished)
    discount = {"kind": "discount", "discount": {"id": "launch", "percent": "10%"}}
    said = {"reason": "they asked", "id": "ticket-7"}
    made = change(furnished, contract, SEATS, discount, **said)
    assert made.status_code == 201, made.text
    assert change(furnished, contract, SEATS, discount, **said).json()["edit"] == made.json()["edit"]
    assert change(furnished, contract, SEATS, **said).status_code == 409
    history = furnished.get(f"/v1/contracts/{contract}/history").json()
    assert [(each["id"], each["reason"], len(each["changes"])) for each in history["edits"]] == [
        ("ticket-7", "they asked", 2)
    ]
    assert history["edits"][0]["author"]
    assert history["standings"][-1]["discounts"][0]["id"] == "launch"
    as_of = f"/v1/contracts/{contract}/history?as_of=2026-01-01T00:00:00Z"
    assert furnished.get(as_of).json()["edits"] == []


def test_what_does_not_fit_is_refused_with_a_way_out(furnished: World) -> None:
    contract = contract_of(furnished)
    strange = change(furnished, contract, {"kind": "shrink"})
    assert strange.status_code == 400
    override = {"kind": "override", "override": {"id": "o", "fee": "gone", "amount": "1"}}
    refused = change(furnished, contract, override)
    assert refused.status_code == 400
    assert "base" in refused.text
    nul = change(
        furnished, contract, {"kind": "discount", "discount": {"id": "d", "name": "a\0b", "percent": "1%"}}
    )
    assert nul.status_code == 400
    assert change(furnished, "ctr_none", SEATS).status_code == 404
    assert furnished.get(f"/v1/contracts/{contract}/history").json()["edits"] == []


def test_a_migration_is_previewed_made_and_undone(furnished: World) -> None:
    contract = contract_of(furnished)
    body = {"files": DEARER, "message": "m", "author": "a", "expect_version": 1}
    assert furnished.post("/v1/catalog/apply", body).status_code == 201
    wanted = {"id": "to-2", "plan": "team"}
    told = furnished.post("/v1/catalog/migrations", wanted | {"preview": True})
    assert told.status_code == 200
    assert [each["contract"] for each in told.json()["moved"]] == [contract]
    assert furnished.get(f"/v1/contracts/{contract}/history").json()["edits"] == []
    made = furnished.post("/v1/catalog/migrations", wanted).json()
    assert made == told.json()
    again = furnished.post("/v1/catalog/migrations", wanted).json()
    assert not again["moved"]
    undone = furnished.post("/v1/catalog/migrations/to-2/undo").json()
    assert [each["contract"] for each in undone["moved"]] == [contract]
    standings = furnished.get(f"/v1/contracts/{contract}/history").json()["standings"]
    assert [each["catalog_version"] for each in standings] == [1]
    assert furnished.post("/v1/catalog/migrations/none/undo").status_code == 404
