"""Ingest over HTTP: forms of a body, what each event is told, and what is refused before anything is taken."""

import gzip
import json

import pytest

from tests.api.conftest import World, bearer, event


def total(world: World) -> str:
    return str(world.get("/v1/usage?customer=acme&meter=tokens").json()["total"])


def test_a_single_event_says_by_its_status_what_became_of_it(furnished: World) -> None:
    single = "application/cloudevents+json"
    assert furnished.send(event("n1"), single).json() == {
        "accepted": 1,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 0,
        "items": [{"status": "accepted"}],
    }
    assert furnished.send(event("n1"), single).json()["duplicate"] == 1
    conflict = furnished.send(event("n1", tokens="5"), "application/json")
    assert (conflict.status_code, conflict.json()["field"]) == (409, "id")
    rejected = furnished.send(event("n2", tokens="null"), single)
    assert (rejected.status_code, rejected.json()["field"]) == (400, "data.tokens")
    assert rejected.headers["content-type"] == "application/problem+json"
    assert total(furnished) == "3000000"


@pytest.mark.parametrize(
    "form", ["application/x-ndjson", "application/cloudevents-batch+json", "application/json"]
)
def test_one_bad_event_never_spoils_a_batch(furnished: World, form: str) -> None:
    parts = [event("b1"), event("b2", tokens='"many"'), event("b1"), event("b1", tokens="7"), event("b3")]
    body = b"\n".join(parts) if form.endswith("ndjson") else b"[" + b",".join(parts) + b"]"
    answer = furnished.send(body, form)
    assert answer.status_code == 200
    found = answer.json()
    assert [item["status"] for item in found["items"]] == [
        "accepted",
        "rejected",
        "duplicate",
        "conflict",
        "accepted",
    ]
    assert found["items"][1]["field"] == "data.tokens"
    assert found["items"][1]["reason"]
    assert (found["accepted"], found["duplicate"], found["conflict"], found["rejected"]) == (2, 1, 1, 1)
    assert furnished.send(body, form).json()["duplicate"] == 3  # the whole batch again is safe
    assert total(furnished) == "4000000"


def test_what_is_answered_is_in_every_number(furnished: World) -> None:
    contract = furnished.get("/v1/contracts").json()["items"][0]["id"]
    for count in range(3, 6):
        furnished.send(event(f"x{count}"))
        assert total(furnished) == f"{count}000000"
        preview = furnished.get(f"/v1/invoices/preview?contract={contract}").json()
        usage = [line for line in preview["so_far"]["lines"] if line["kind"] == "usage"]
        assert [line["quantity"] for line in usage] == [f"{count}000000"]


def test_a_body_may_be_gzip_in_several_members(furnished: World) -> None:
    body = gzip.compress(event("g1") + b"\n") + gzip.compress(event("g2"))
    assert furnished.send(body, content_encoding="gzip").json()["accepted"] == 2


def test_gzip_that_is_none_or_cut_off_is_refused(furnished: World) -> None:
    for body in (b"no gzip", gzip.compress(event("g1") * 50)[:-9], b""):
        answer = furnished.send(body, content_encoding="gzip")
        assert (answer.status_code, answer.json()["field"]) == (400, "body")
    assert furnished.send(event("g1"), content_encoding="br").status_code == 415


def test_a_gzip_bomb_is_stopped(furnished: World) -> None:
    for size in (2_000_000, 50_000_000):
        answer = furnished.send(gzip.compress(b" " * size), content_encoding="gzip")
        assert (answer.status_code, answer.json()["field"]) == (413, "body")


def test_a_body_past_its_limit_is_refused_with_and_without_a_length(furnished: World) -> None:
    piece = event("big") + b"\n"
    body = piece * (200_000 // len(piece) + 1)
    assert furnished.send(body).status_code == 413
    headers = bearer(furnished.admin) | {"content-type": "application/x-ndjson"}
    chunked = furnished.http.post("/v1/events", content=(piece for _ in range(2000)), headers=headers)
    assert chunked.status_code == 413
    assert (
        furnished.post("/v1/customers", {"key": "k", "name": "n" * 300_000, "currency": "USD"}).status_code
        == 413
    )
    assert total(furnished) == "2000000"


def test_more_events_than_declared_are_refused_whole(furnished: World) -> None:
    body = b"\n".join(b"{}" for _ in range(1001))
    assert furnished.send(body).status_code == 413


def test_an_unknown_content_type_is_named(furnished: World) -> None:
    answer = furnished.send(event("t1"), "text/csv")
    assert (answer.status_code, answer.json()["field"]) == (400, "content-type")


def test_an_event_is_found_again_with_what_corrected_it(furnished: World) -> None:
    found = furnished.get("/v1/events/find?source=/t&id=e1").json()
    assert found["received"].encode() == event("e1")
    assert found["event"]["state"] == "recorded"
    void = {
        "specversion": "1.0",
        "id": "v1",
        "source": "/t",
        "type": "valorem.void",
        "subject": "acme",
        "data": {"source": "/t", "id": "e1"},
    }
    assert furnished.send(json.dumps(void).encode(), "application/cloudevents+json").status_code == 200
    found = furnished.get("/v1/events/find?source=/t&id=e1").json()
    assert found["event"]["state"] == "voided"
    assert len(found["corrections"]) == 1
    assert total(furnished) == "1000000"
    listed = furnished.get("/v1/events?customer=acme&limit=1").json()
    rest = furnished.get(f"/v1/events?customer=acme&after={listed['next']}").json()
    assert [each["id"] for each in listed["items"] + rest["items"]] == ["e1", "e2"]
