"""Every refusal has one shape, names what was wrong, and tells nothing of our insides."""

import pytest

from tests.api.conftest import World, bearer
from valorem.api import health

BODIES = [
    (b"", "body"),
    (b"nonsense", "body"),
    (b"[1]", "body"),
    (b"\xef\xbb\xbf{}", "body"),
    (b"\xff", "body"),
    (b'{"key": "a", "key": "b"}', "key"),
    (b'{"key": NaN}', "body"),
    (b'{"key": 1' + b"0" * 5000 + b"}", "body"),
    (b"[" * 100_000, "body"),
    (b'{"key": ' + b"[" * 70 + b"]" * 70 + b"}", "body"),
    (b'{"key": "a\\u0000b", "name": "n", "currency": "USD"}', "key"),
    (b'{"key": "\\ud800", "name": "n", "currency": "USD"}', "key"),
    (b'{"name": "n", "currency": "USD"}', "key"),
    (b'{"key": "a", "name": "n", "currency": "USD", "workspace": 2}', "workspace"),
    (b'{"key": "a", "name": "n", "currency": "XXX"}', "currency"),
    (b'{"key": "a", "name": "n", "currency": "USD", "zone": "Mars/Olympus"}', None),
    (b'{"key": 5, "name": "n", "currency": "USD"}', "key"),
]


@pytest.mark.parametrize(("body", "field"), BODIES)
def test_a_body_that_is_not_right_is_refused_by_field(
    shared_world: World, body: bytes, field: str | None
) -> None:
    headers = bearer(shared_world.admin) | {"content-type": "application/json"}
    answer = shared_world.http.post("/v1/customers", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"].startswith("https://")
    assert problem["status"] == 400
    assert problem["request_id"] == answer.headers["x-request-id"]
    if field is not None:
        assert problem["field"] == field


def test_seats_are_read_exactly_from_numbers_and_text(furnished: World) -> None:
    contract = furnished.get("/v1/contracts").json()["items"][0]["id"]
    address = f"/v1/contracts/{contract}/seats"
    headers = bearer(furnished.admin) | {"content-type": "application/json"}
    body = b'{"key": "seat", "quantity": 0.1, "since": "2026-03-06T00:00:00Z"}'
    answer = furnished.http.post(address, content=body, headers=headers)
    assert answer.json()["seats"]["seat"][-1]["quantity"] == "0.1"
    for wrong in (b"1e400", b'"1_000"', b'"\\u0661"', b"true", b'" 1 "', b'"0x10"'):
        body = b'{"key": "seat", "quantity": ' + wrong + b"}"
        answer = furnished.http.post(address, content=body, headers=headers)
        assert (answer.status_code, answer.json()["field"]) == (400, "quantity"), wrong


@pytest.mark.parametrize(
    "at", ["2026-03-10", "2026-03-10T00:00:00", "1773100800", "2026-02-30T00:00:00Z", "x"]
)
def test_an_instant_without_a_zone_or_day_is_refused(furnished: World, at: str) -> None:
    answer = furnished.get(f"/v1/usage?customer=acme&meter=tokens&start={at}")
    assert (answer.status_code, answer.json()["field"]) == (400, "start")
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/", 404),
        ("DELETE", "/v1/customers", 405),
        ("GET", "/v1/invoices/INV-000001", 404),
        ("GET", "/v1/contracts/ctr_0", 404),
        ("GET", "/v1/contracts/%2e%2e", 404),
        ("GET", "/v1/customers/a%00b", 400),
        ("GET", "/v1/customers?after=%00", 400),
        ("GET", "/v1/customers?after=$$", 400),
        ("GET", "/v1/customers?limit=0", 400),
        ("GET", "/v1/customers?limit=1000000000000000000000", 400),
        ("GET", "/v1/customers/%ff%fe", 400),
        ("GET", "/v1/catalog/versions/99999999999999999999", 400),
        ("GET", "/v1/catalog", 404),
    ],
)
def test_addresses_that_are_not_right(shared_world: World, method: str, path: str, status: int) -> None:
    answer = shared_world.http.request(method, path, headers=bearer(shared_world.admin))
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_a_catalog_s_problems_are_all_told(world: World) -> None:
    files = {
        "plans/a.yaml": "plan: a\nname: A\ncurrency: USD\nfees: {x: {amount: many}}\nprices: {nothing: gone}\n"
    }
    answer = world.post("/v1/catalog/plan", {"files": files})
    assert answer.status_code == 400
    problems = answer.json()["problems"]
    assert len(problems) >= 2
    assert all(each["file"] == "plans/a.yaml" and each["line"] and each["hint"] for each in problems)


def test_what_is_unforeseen_tells_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_engine: object) -> None:
        raise RuntimeError("SELECT secret FROM /home/someone")

    monkeypatch.setattr(health, "_ask", break_down)
    answer = world.http.get("/v1/ready")
    assert answer.status_code == 500
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    for inside in ("SELECT", "secret", "RuntimeError", "Traceback", ".py"):
        assert inside not in answer.text


def test_a_sensible_request_id_is_kept(world: World) -> None:
    assert (
        world.http.get("/v1/health", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    )
    assert world.http.get("/v1/health", headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_metrics_count_by_route_and_result(furnished: World) -> None:
    text = furnished.http.get("/metrics").text
    assert 'valorem_events_total{result="accepted"} 2.0' in text
    assert 'route="/v1/customers"' in text
    assert "acme" not in text
