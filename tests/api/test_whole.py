"""From usage to a proven invoice over HTTP; and the OpenAPI document, held to its word by random requests."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase

from tests.api.conftest import CATALOG, World, bearer


def test_usage_becomes_an_invoice_that_proves_itself(furnished: World) -> None:
    moved = furnished.post("/v1/clock/advance", {"periods": 1})
    assert moved.status_code == 200
    assert (
        furnished.post("/v1/clock/advance", {"to": "2026-04-02T00:00:00Z"}).json()["now"]
        == "2026-04-02T00:00:00Z"
    )
    listed = furnished.get("/v1/invoices?status=issued").json()["items"]
    assert [each["number"] for each in listed] == ["INV-000001", "INV-000002"]
    newest = furnished.get("/v1/invoices?newest_first=true&limit=1").json()
    assert newest["items"][0]["number"] == "INV-000002"
    assert newest["next"]
    invoice = furnished.get("/v1/invoices/INV-000002").json()
    lines = invoice["document"]["lines"]
    usage = next(place for place, line in enumerate(lines, 1) if line["kind"] == "usage")
    assert lines[usage - 1]["amount"] == "4"  # 2 million tokens at 2 a million
    page = furnished.get(f"/v1/invoices/INV-000002/explain?line={usage}&limit=1").json()
    rest = furnished.get(f"/v1/invoices/INV-000002/explain?line={usage}&after={page['next']}").json()
    assert [each["id"] for each in page["events"] + rest["events"]] == ["e1", "e2"]
    assert sum(int(each["value"]) for each in page["events"] + rest["events"]) == 2_000_000
    proof = furnished.get("/v1/invoices/INV-000002/verify").json()
    assert proof["same"] is True
    assert proof["digest"] == invoice["digest"]


def test_pages_of_a_list_hold_everything_once(world: World) -> None:
    for number in range(7):
        body = {"key": f"c{number}/ü", "name": "n", "currency": "USD"}
        assert world.post("/v1/customers", body).status_code == 201
    seen, after = [], ""
    while True:
        page = world.get(f"/v1/customers?limit=3{after}").json()
        seen += [each["key"] for each in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == [f"c{number}/ü" for number in range(7)]
    assert world.get("/v1/customers/c3%2F%C3%BC").json()["key"] == "c3/ü"


def test_a_catalog_is_planned_applied_compared_and_rolled_back(world: World) -> None:
    plan = world.post("/v1/catalog/plan", {"files": CATALOG}).json()
    assert plan["base_version"] == 0
    assert plan["changes"]
    body = {"files": CATALOG, "message": "m", "author": "a", "expect_version": 0}
    assert world.post("/v1/catalog/apply", body).json()["version"] == 1
    dearer = {**CATALOG, "plans/team.yaml": CATALOG["plans/team.yaml"].replace("amount: 20", "amount: 25")}
    assert world.post("/v1/catalog/apply", body | {"files": dearer}).status_code == 409
    assert (
        world.post("/v1/catalog/apply", body | {"files": dearer, "expect_version": 1}).json()["version"] == 2
    )
    changes = world.get("/v1/catalog/diff?before=1&after=2").json()["changes"]
    assert [(each["what"], each["path"]) for each in changes] == [("plan team", "fees.base.amount")]
    assert world.post("/v1/catalog/rollback", {"version": 1, "author": "a"}).json()["files"] == CATALOG
    assert [each["version"] for each in world.get("/v1/catalog/versions").json()["items"]] == [3, 2, 1]


def test_the_document_is_openapi_with_examples(world: World) -> None:
    document = world.http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert "4XX" in operation["responses"], f"{method} {path}"
            assert "422" not in operation["responses"]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                schema = content["schema"]
                name = schema.get("$ref", "").rpartition("/")[2]
                found = document["components"]["schemas"].get(name, schema)
                inline = path == "/v1/events"
                files = "files" in found.get("properties", {})
                assert inline or files or found.get("examples"), f"{method} {path} has no example"


@pytest.mark.slow
def test_no_request_breaks_the_server(furnished: World) -> None:
    schema = schemathesis.openapi.from_dict(furnished.http.get("/openapi.json").json())
    asked: set[str] = set()

    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]

        @hypothesis.settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            arguments = case.as_transport_kwargs(base_url="http://valorem.invalid")
            arguments.pop("cookies", None)
            arguments["headers"] = {**dict(arguments.get("headers") or {}), **bearer(furnished.admin)}
            data = arguments.pop("data", None)
            if data is not None:
                arguments["content"] = data if isinstance(data, (bytes, str)) else str(data)
            try:
                request = furnished.http.build_request(**arguments)
            except (UnicodeEncodeError, TypeError, ValueError):
                return  # what no client can put on the wire cannot reach the server
            answer = furnished.http.send(request)
            asked.add(f"{case.method} {case.path}")
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.text}"

        ask()
    assert len(asked) >= 30
