"""Every route of the OpenAPI document, with every kind of key that must not get in."""

import pytest

from tests.api.conftest import NOW, World, bearer
from valorem.engine.keys import SCOPES, issue_key, revoke_key
from valorem.engine.workspaces import list_workspaces

OPEN = {
    ("get", "/v1/health"),
    ("get", "/v1/ready"),
    ("get", "/metrics"),
    ("post", "/v1/outcomes/signing/look"),  # whose link is the key
    ("post", "/v1/outcomes/signing"),
}
OUTCOME = {"contract": "ctr_" + "0" * 26, "definition": "resolution"}
METHODS = ("get", "post", "put", "patch", "delete")


class Names(dict[str, str]):
    """The parts of a path; those that no test has made name nothing."""

    def __missing__(self, name: str) -> str:
        return "msg_" + "0" * 32 if name == "message" else f"no_{name}"


def operations(world: World):
    document = world.http.get("/openapi.json").json()
    for path, found in document["paths"].items():
        for method in METHODS:
            if method in found:
                yield method, path, found[method]


def example(document, method: str, path: str):
    """The body that the document shows for an operation; None where it takes none."""
    content = document["paths"].get(path, {}).get(method, {}).get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    named = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], schema)
    return next(iter(named.get("examples", ())), None)


def request(world: World, method: str, path: str, key: str | None, ids: dict[str, str] | None = None):
    names = {"key": "acme", "contract_id": "ctr_x", "invoice": "INV-1", "version": "1", "key_id": "key_x"} | (
        ids or {}
    )
    address = path.format_map(Names(names))
    return world.http.request(
        method,
        address,
        headers=bearer(key) if key else {},
        json={} if method in {"post", "put", "patch"} else None,
    )


def test_every_operation_is_open_by_declaration_or_names_its_scope(world: World) -> None:
    for method, path, operation in operations(world):
        assert ((method, path) in OPEN) != ("x-scope" in operation), f"{method} {path}"
        if "x-scope" in operation:
            assert operation["security"] == [{"key": []}]
            assert operation["x-scope"] in SCOPES


def test_whatever_is_wrong_with_a_key_the_answer_is_the_same(world: World) -> None:
    workspace = list_workspaces(world.engine)[0].id
    revoked = issue_key(world.engine, workspace, name="revoked", scopes=["admin"])
    revoke_key(world.engine, workspace, revoked.record.id)
    expired = issue_key(
        world.engine, workspace, name="expired", scopes=["admin"], expires_at=NOW.replace(year=2027)
    )
    with world.engine.database.system() as connection:
        connection.execute("UPDATE api_key SET expires_at = created_at WHERE id = %s", (expired.record.id,))
    unknown = world.admin[:-8] + "AAAAAAAA"
    for method, path, operation in operations(world):
        if "x-scope" not in operation:
            continue
        answers = []
        for key in (None, "nonsense", unknown, revoked.key, expired.key):
            answer = request(world, method, path, key)
            assert answer.status_code == 401, f"{method} {path} with {key}"
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"]
            body = answer.json()
            body.pop("request_id")
            answers.append(body)
        assert all(body == answers[0] for body in answers)


def test_a_key_without_the_scope_is_refused_by_name(world: World) -> None:
    workspace = list_workspaces(world.engine)[0].id
    keys = {scope: issue_key(world.engine, workspace, name=scope, scopes=[scope]).key for scope in SCOPES}
    for method, path, operation in operations(world):
        if "x-scope" not in operation:
            continue
        needed = operation["x-scope"]
        for scope, key in keys.items():
            answer = request(world, method, path, key)
            if scope in {needed, "admin"}:
                assert answer.status_code not in {401, 403} or path == "/v1/workspaces", (
                    f"{scope} {method} {path}"
                )
            else:
                assert answer.status_code == 403, f"{scope} may {method} {path}"
                assert needed in answer.json()["detail"]


def test_another_workspace_s_things_do_not_exist(furnished: World) -> None:
    contract = furnished.get("/v1/contracts").json()["items"][0]["id"]
    assert furnished.post("/v1/invoices/close").status_code == 200
    invoice = furnished.get("/v1/invoices").json()["items"][0]["id"]
    key = furnished.get("/v1/keys").json()["items"][0]["id"]
    ids = {"contract_id": contract, "invoice": invoice, "key_id": key, "key": "acme", "version": "1"}
    strangers = [
        *(
            (method, path, None)
            for method, path, _ in operations(furnished)
            if "{" in path and not path.endswith("as-customer")  # which refuses every admin
        ),
        ("get", f"/v1/invoices/preview?contract={contract}", None),
        ("get", "/v1/usage?customer=acme&meter=tokens", None),
        ("get", "/v1/contracts?customer=acme", None),
        ("get", "/v1/budgets?customer=acme", None),
        ("get", "/v1/concessions?customer=acme", None),
        ("post", "/v1/budgets", {"customer": "acme", "amount": "5"}),
        ("post", "/v1/concessions", {"customer": "acme", "feature": "tokens", "raised_by": "5"}),
        ("post", "/v1/alerts/rules", {"customer": "acme", "kind": "spend", "at": ["5"]}),
        ("post", "/v1/webhooks", {"url": "https://example.com/x", "customer": "acme"}),
        ("get", "/v1/credits/balance?customer=acme", None),
        ("get", "/v1/credits/statement?customer=acme&credit=ai", None),
        ("get", "/v1/ledger/entries?customer=acme&credit=ai", None),
        ("post", "/v1/credits/grants", {"customer": "acme", "credit": "ai", "amount": "1"}),
        ("get", "/v1/events?customer=acme", None),
        ("get", "/v1/events/find?source=/t&id=e1", None),
        ("get", "/v1/catalog/diff?before=1&after=1", None),
        ("post", "/v1/catalog/rollback", {"version": 1, "author": "b"}),
        ("post", "/v1/contracts", {"customer": "acme", "plan": "team"}),
    ]
    bodies = {
        "/v1/customers/{key}/aliases": {"subject": "mine"},
        "/v1/customers/{key}/account": {"parent": "mine"},
        "/v1/contracts/{contract_id}/seats": {"key": "seat", "quantity": "1"},
        "/v1/contracts/{contract_id}/changes": {"changes": [{"kind": "pause"}]},
        "/v1/customers/{key}": {"name": "mine"},
        "/v1/budgets/{budget}": {"customer": "acme", "amount": "5"},
        "/v1/holds/{hold_id}/settle": {"customer": "acme", "credit": "ai", "used": "1"},
        "/v1/holds/{hold_id}/release": {"customer": "acme", "credit": "ai"},
        "/v1/webhooks/{endpoint}": {"state": "active"},
        "/v1/outcomes/reports/{report_id}/sign": OUTCOME | {"person": "p", "role": "r"},
        "/v1/outcomes/disputes/{dispute_id}/answer": OUTCOME,
        "/v1/outcomes/disputes/{dispute_id}/resolve": OUTCOME | {"resolutions": {"k": "1"}},
        "/v1/webhooks/{endpoint}/replay": {"since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"},
    }
    document = furnished.http.get("/openapi.json").json()
    for method, path, body in strangers:
        sent = body or bodies.get(path) or example(document, method, path)
        query = "?line=1" if path.endswith("explain") else ""
        if path.startswith("/v1/credits/top-ups/") or (method == "get" and path.startswith("/v1/holds")):
            query = "?customer=acme&credit=ai"
        if method == "delete" and path.startswith(("/v1/budgets", "/v1/concessions")):
            query = "?customer=acme"
        address = path.format_map(Names(ids)) + query
        answer = furnished.http.request(method, address, headers=bearer(furnished.other), json=sent)
        assert answer.status_code == 404, f"{method} {address}: {answer.status_code} {answer.text}"
        assert "acme" not in answer.text.replace("'acme'", "")
    for listing in ("customers", "contracts", "invoices", "catalog/versions"):
        assert furnished.get(f"/v1/{listing}", key=furnished.other).json()["items"] == []


def test_a_revoked_key_stops_working_at_once(world: World) -> None:
    made = world.post("/v1/keys", {"name": "short", "scopes": ["read"]}).json()
    assert world.get("/v1/customers", key=made["key"]).status_code == 200
    answer = world.http.delete(f"/v1/keys/{made['id']}", headers=bearer(world.admin))
    assert answer.status_code == 204
    assert world.get("/v1/customers", key=made["key"]).status_code == 401


def test_a_key_is_shown_once_and_kept_nowhere(world: World) -> None:
    first = world.post("/v1/keys", {"name": "k", "scopes": ["read"]}, Idempotency_Key="once")
    again = world.post("/v1/keys", {"name": "k", "scopes": ["read"]}, Idempotency_Key="once")
    secret = first.json()["key"]
    assert again.headers["idempotent-replay"] == "true"
    assert again.json() == first.json() | {"key": None}
    with world.engine.database.system() as connection:
        for table in ("api_key", "idempotency", "outbox"):
            kept = connection.execute(
                f"SELECT coalesce(string_agg(t::text, ''), '') AS text FROM {table} t"
            ).fetchone()
            assert kept is not None
            assert secret not in kept["text"]
            assert secret.encode().hex() not in kept["text"]


@pytest.mark.parametrize("scopes", [[], ["everything"], ["read", 5], "read"])
def test_a_key_needs_scopes_that_exist(world: World, scopes: object) -> None:
    answer = world.post("/v1/keys", {"name": "k", "scopes": scopes})
    assert answer.status_code == 400
    assert answer.json()["field"].startswith("scopes")


def test_only_live_administrators_make_workspaces(world: World) -> None:
    answer = world.post("/v1/workspaces", {"name": "three"})
    assert answer.status_code == 403
    assert [each["name"] for each in world.get("/v1/workspaces").json()["items"]] == ["one"]
