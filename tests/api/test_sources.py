"""Other systems over HTTP: tried without writing, heard by signed messages, secrets never shown, freshness told."""

import hashlib
import hmac
import json
from typing import Any

from tests.api.conftest import CATALOG, NOW, World

SHOP = """
source: shop
freshness: 1 hour
webhook: {scheme: stripe, secret: signing}
map:
- event: llm.call
  meaning: fact
  key: data.id
  time: data.at
  subject: data.customer
  data: {tokens: data.tokens, model: data.model}
"""
RECORD = {
    "id": "c1",
    "at": "2026-03-05T00:00:00Z",
    "customer": "acme",
    "tokens": "1234567890123456.78",
    "model": "small",
}


def opened(world: World) -> World:
    files = {**CATALOG, "sources/shop.yaml": SHOP}
    answer = world.post("/v1/catalog/apply", {"files": files, "message": "m", "author": "a"})
    assert answer.status_code == 201, answer.text
    return world


def send(world: World, record: dict[str, Any], secret: str = "s3cret") -> Any:
    body = json.dumps(record).encode()
    time = str(int(NOW.timestamp()))
    signature = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"stripe-signature": f"t={time},v1={signature}", "content-type": "application/json"}
    return world.http.post("/v1/sources/webhooks/one/shop", content=body, headers=headers)


def test_a_source_from_its_dry_run_to_its_freshness(world: World) -> None:
    opened(world)
    files = {**CATALOG, "sources/shop.yaml": SHOP.replace("data.tokens", "data.tokns")}
    tried = world.post("/v1/sources/shop/dry_run", {"records": [RECORD, {"id": "c2"}]}).json()
    assert [each["data"] for each in tried["events"]] == [{"tokens": RECORD["tokens"], "model": "small"}]
    assert [(each["record"], each["field"]) for each in tried["unread"]] == [(2, "data.at")]
    other = world.post("/v1/sources/shop/dry_run", {"files": files, "records": [RECORD]}).json()
    assert "tokens" not in other["events"][0]["data"]
    assert send(world, RECORD).status_code == 422  # the secret has not been set
    kept = world.post("/v1/source_secrets", {"name": "signing", "secret": "s3cret"})
    assert kept.status_code == 200
    assert "s3cret" not in kept.text + world.get("/v1/source_secrets").text
    assert send(world, RECORD, "forged").status_code == 401
    first = send(world, RECORD)
    assert (first.status_code, first.json()["events"]) == (200, 1)
    assert send(world, RECORD).json()["repeated"] is True
    assert send(world, {**RECORD, "id": "c3", "at": None}).json()["parked"] == 1
    [source] = world.get("/v1/sources").json()["items"]
    assert (source["events"], source["parked"], source["fresh"], source["kind"]) == (1, 1, False, "webhook")
    [parked] = world.get("/v1/sources/shop/parked").json()["items"]
    assert parked["field"] == "data.at"
    assert world.post("/v1/sources/shop/retry", {}).json()["parked"] == 1
    assert world.post("/v1/sources/shop/poll", {}).status_code == 422  # it only sends
    assert world.get("/v1/sources/shop").json()["definition"]["webhook"]["secret"] == ["signing"]


def test_what_no_source_is_for_is_refused(world: World) -> None:
    opened(world)
    assert world.http.post("/v1/sources/webhooks/one/nobody", content=b"{}").status_code == 404
    assert world.http.post("/v1/sources/webhooks/nowhere/shop", content=b"{}").status_code == 404
    assert world.get("/v1/sources/nobody").status_code == 404
