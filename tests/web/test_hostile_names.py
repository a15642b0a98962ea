"""Whatever can be named is named by markup: no page of the console or of the portal takes it for its own.

The pages are those of the router itself, so a new one is looked at too.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from starlette.routing import Route

from tests.api.conftest import NOW, bearer
from tests.web.console import Console, sign_in, signed_up, token_of
from valorem.app import assemble
from valorem.client.in_process import InProcessTransport
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.keys import issue_key
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse

PAYLOAD = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'></title></textarea><b>{{7*7}}%(x)s"
SHORT = "<b>\"'><i>"
N, S = json.dumps(PAYLOAD), json.dumps(SHORT)
#: As parsed markup these would run or change a page; as text they are ``&lt;…``.
MARKUP = (
    "<script>alert",
    "<img src=x",
    "</textarea><b>",
    "</title></textarea>",
    "<b>{{",
    "<b>&#34;",
    "<b>\"'",
    "49%(x)s",
)
CATALOG = {
    "meters/m.yaml": f"meter: m\nname: {N}\ndescription: {N}\nevent: call\naggregate: sum\nvalue: data.n\nunit: {S}\n"
    "dimensions: {model: data.model}\ncost: {amount: 0.01}\n",
    "features/f.yaml": f"feature: f\nname: {N}\ndescription: {N}\nkind: metered\nmeter: m\n",
    "features/v.yaml": f"feature: v\nname: {N}\nkind: value\n",
    "credits/c.yaml": f"credit: c\nname: {N}\ndescription: {N}\nprice: {{USD: 1}}\n"
    f"packs: {{small: {{name: {N}, amount: 10, price: {{USD: 9}}}}}}\nburn: {{m: {{model: per_unit, amount: 2}}}}\n",
    "outcomes/o.yaml": f"outcome: o\nname: {N}\nunit: {S}\nsource: {{system: {S}, freshness: 2 hours}}\n"
    "evidence:\n  - {event: ticket, kind: success, when: {data.state: done}}\nkey: data.id\nwindow: 1 day\n"
    "currency: USD\nprice: {model: per_unit, amount: 1}\n",
    "plans/p.yaml": f"plan: p\nname: {N}\ndescription: {N}\ncurrency: USD\nevery: month\n"
    f"fees: {{base: {{amount: 1, name: {N}}}, seat: {{amount: 1, per: seat, name: {N}}}}}\noutcomes: [o]\n"
    f"prices: {{m: {{model: matrix, name: {N}, rates: [{{model: {N}, amount: 1}}, {{model: x, amount: 2}}]}}}}\n"
    f"features: {{v: {N}}}\nlimits: {{f: {{max: 100, window: day}}}}\ngrants: {{c: {{amount: 100, expires: period end}}}}\n"
    "alerts: {limits: [80%], spend: [50%]}\n",
    "plans/q.yaml": f"plan: q\nname: {N}\ncurrency: USD\nevery: month\nfees: {{base: {{amount: 2, name: {N}}}}}\n",
}


@dataclass
class Hostile:
    """A workspace in which every name is markup."""

    http: httpx.Client
    key: str
    routes: list[tuple[str, str]]
    console: Console

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, json=body, headers=bearer(self.key))
        assert answer.is_success, (path, answer.text)
        return answer.json()


@pytest.fixture(scope="module")
def hostile(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    database = Database(module_database_url)
    folder = tmp_path_factory.mktemp("warehouse")
    engine = Engine(database, lambda: NOW, warehouse=DuckdbWarehouse(folder))
    ingestor = Ingestor(engine)
    try:
        workspace = create_workspace(engine, name="one", kind="sandbox", clock_at=NOW)
        key = issue_key(engine, workspace.id, name=PAYLOAD[:100], scopes=["admin"]).key
        app = assemble(engine, ingestor)
        routes = [
            ("POST" if "POST" in (route.methods or ()) else "GET", route.path)
            for route in app.router.routes
            if isinstance(route, Route)
        ]
        with httpx.Client(
            transport=InProcessTransport(app), base_url="http://valorem.invalid", timeout=60
        ) as http:
            signed_up(engine)
            made = Hostile(http, key, routes, sign_in(http))
            furnish(made)
            yield made
    finally:
        ingestor.drain()
        database.close()


def furnish(hostile: Hostile) -> None:
    call = hostile.call
    call("POST", "/v1/catalog/apply", {"files": CATALOG, "message": PAYLOAD, "author": PAYLOAD})
    address = {"lines": [PAYLOAD], "city": PAYLOAD, "country": "US", "region": PAYLOAD}
    party = {
        "address": address,
        "tax_id": PAYLOAD,
        "registration": PAYLOAD,
        "email": PAYLOAD,
        "contact": PAYLOAD,
    }
    bank = {"holder": PAYLOAD, "iban": PAYLOAD, "bic": PAYLOAD, "bank": PAYLOAD}
    call(
        "PUT",
        "/v1/settings/billing",
        {"seller": {"name": PAYLOAD, **party}, "bank": bank, "notes": [PAYLOAD]},
    )
    look = {"name": PAYLOAD, "names": {"x": PAYLOAD}, "offers": ["p", "q"], "support": "help@example.com"}
    call("PUT", "/v1/settings/portal", look)
    customer = {"key": PAYLOAD, "name": PAYLOAD, "currency": "USD", "aliases": [f"{PAYLOAD}2"]}
    billing = {"legal_name": PAYLOAD, **party}
    call("POST", "/v1/customers", {**customer, "metadata": {PAYLOAD: PAYLOAD}, "billing": billing})
    contract = {"customer": PAYLOAD, "plan": "p", "start": "2026-01-01T00:00:00Z", "seats": {"seat": "2"}}
    made = call("POST", "/v1/contracts", {**contract, "purchase_order": PAYLOAD, "metadata": {"k": PAYLOAD}})[
        "id"
    ]
    definition = {"contract": made, "definition": "o", "effective_from": "2026-01-01T00:00:00Z"}
    call("POST", "/v1/outcomes/definitions", definition)
    event = {"specversion": "1.0", "source": PAYLOAD, "type": "call", "subject": PAYLOAD}
    for number, at in enumerate(("2026-02-20T00:00:00Z", "2026-03-05T00:00:00Z")):
        data = {"n": 3, "model": PAYLOAD}
        body = [{**event, "id": f"{PAYLOAD}{number}", "time": at, "data": data}]
        assert call("POST", "/v1/events", body)["accepted"] == 1
    call("POST", "/v1/budgets", {"customer": PAYLOAD, "amount": "50", "name": PAYLOAD})
    grant = {"customer": PAYLOAD, "credit": "c", "amount": "5", "id": "g"}
    call("POST", "/v1/credits/grants", grant)
    call("POST", "/v1/credits/purchases", {"customer": PAYLOAD, "credit": "c", "pack": "small"})
    call("POST", "/v1/webhooks", {"url": "https://hooks.example.com/x"})
    call("POST", "/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    number = call("GET", "/v1/invoices?newest_first=true")["items"][0]["number"]
    call("POST", f"/v1/invoices/{number}/pay", {"amount": "1", "reference": PAYLOAD})
    call("POST", f"/v1/invoices/{number}/credit_notes", {"reason": PAYLOAD, "lines": {"1": "1"}})

    console = hostile.console
    assert console.submit("/settings/keys", {"name": PAYLOAD[:100], "scope:read": "yes"}).status_code < 400
    person = {"name": PAYLOAD, "email": "p@example.com", "role": "viewer"}
    assert console.submit("/settings/people", person).status_code < 400
    broken = PAYLOAD.encode()
    hostile.http.post(
        "/v1/events", content=broken, headers={**bearer(hostile.key), "content-type": "application/x-ndjson"}
    )


def named(hostile: Hostile) -> dict[str, str]:
    """What the variables of addresses stand for."""
    call = hostile.call
    invoice = call("GET", "/v1/invoices?newest_first=true")["items"][0]["number"]
    endpoint = call("GET", "/v1/webhooks")["items"][0]["id"]
    messages = re.findall(
        rf"/alerts/endpoints/{endpoint}/([^\"/]+)\"",
        hostile.console.get(f"/alerts/endpoints/{endpoint}").text,
    )
    return {
        "workspace": "one",
        "key": quote(PAYLOAD, safe=""),
        "id": call("GET", "/v1/contracts")["items"][0]["id"],
        "contract": call("GET", "/v1/contracts")["items"][0]["id"],
        "outcome": "o",
        "invoice": invoice,
        "number": invoice,
        "note": "CRN-000001",
        "line": "1",
        "version": "1",
        "endpoint": endpoint,
        "message": next(
            (each for each in messages if each not in {"test", "replay", "delete", "rotate", "state"}), "x"
        ),
        "dispute": "x",
    }


def filled(path: str, names: dict[str, str]) -> str:
    if path.startswith("/w/{workspace}/alerts/endpoints"):
        names = {**names, "id": names["endpoint"]}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: names[found[1]], path)


def check(page: str, path: str) -> None:
    for markup in MARKUP:
        assert markup not in page, (path, markup)
    for block in re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL):
        assert json.loads(block)
        assert "<" not in block
    assert not re.search(r"<[^>]*\son\w+=", re.sub(r'"[^"]*"', '""', page)), path


def test_the_console_shows_every_name_as_text(hostile: Hostile) -> None:
    names = named(hostile)
    paths = [path for method, path in hostile.routes if method == "GET" and path.startswith("/w/{workspace}")]
    assert len(paths) > 40
    more = [f"/w/one/search?q={names['key'][:90]}", f"/w/one/customers?q={names['key'][:90]}", "/w/one/revenue?plan=p",
        "/w/one/search.json?q=script", f"/w/one/events?subject={names['key']}", f"/w/one/customers/{names['key']}?meter=m&by=model",
        f"/w/one/event?source={names['key']}&id={names['key']}0&subject={names['key']}&time=2026-02-20T00:00:00Z"]  # fmt: skip
    seen, fine = 0, 0
    for path in [*(filled(path, names) for path in paths if path != "/w/{workspace}/live"), *more]:
        answer = hostile.console.get("!" + path)
        assert answer.status_code < 500, (path, answer.status_code)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        fine += answer.status_code == 200
        seen += "&lt;script&gt;" in answer.text
        check(answer.text, path)
    assert fine > 35
    assert seen > 25


def test_the_portal_shows_every_name_as_text(hostile: Hostile) -> None:
    link = urlsplit(hostile.call("POST", "/v1/portal/links", {"customer": PAYLOAD})["url"])
    looker = Console(hostile.http, {})
    home = looker.get(f"!{link.path}?{link.query}").headers["location"].rstrip("/")
    names = {**named(hostile), "place": home.rpartition("/")[2], "budget": "x"}
    paths = [
        path for method, path in hostile.routes if method == "GET" and path.startswith("/portal/{place}")
    ]
    more = [f"{home}/credits/buy?credit=c&pack=small", f"{home}/credits/buy?credit=c&amount=5", f"{home}/plan/change?plan=q",
        f"{home}/plan/change?seat=seat&quantity=9", f"{home}/usage?by=model", f"{home}/plan/calculator?plan=q"]  # fmt: skip
    seen, fine = 0, 0
    for path in [*(filled(path, names) for path in paths if not path.endswith("/live")), *more]:
        answer = looker.get("!" + path)
        assert answer.status_code < 500, (path, answer.status_code)
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        fine += answer.status_code == 200
        seen += "&lt;script&gt;" in answer.text
        check(answer.text, path)
    assert fine > 15
    assert seen > 12


def test_nothing_of_the_console_opens_without_signing_in(hostile: Hostile) -> None:
    names = named(hostile)
    nobody = Console(hostile.http, {})
    routes = [(method, path) for method, path in hostile.routes if path.startswith("/w/{workspace}")]
    assert len(routes) > 90
    for method, path in routes:
        at = "!" + filled(path, names)
        answer = nobody.get(at) if method == "GET" else nobody.post(at, {"csrf": "x"})
        assert answer.status_code in {303, 401}, (method, path, answer.status_code)
        assert answer.headers.get("location", "/sign-in").startswith("/sign-in"), (method, path)
        assert "script" not in answer.text


def test_no_form_of_the_console_is_taken_from_elsewhere(hostile: Hostile) -> None:
    names = named(hostile)
    token = token_of(hostile.console.get("/new-customer").text)
    for method, path in hostile.routes:
        if method != "POST" or not path.startswith("/w/{workspace}"):
            continue
        at = "!" + filled(path, names)
        assert hostile.console.post(at, {"csrf": "x"}).status_code == 403, path
        cross = hostile.console.post(at, {"csrf": token}, **{"sec-fetch-site": "cross-site"})
        assert cross.status_code == 403, path
