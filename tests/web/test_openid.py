"""Signing in by an issuer: only for those who were added, and only with an answer that holds."""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.api.conftest import NOW
from tests.web.console import OWNER, Console, signed_up, text_of
from valorem.app import assemble
from valorem.client.in_process import InProcessTransport
from valorem.engine.audit import Deed
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.people import disable_person, list_people, person_of
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.web.openid import Provider

ISSUER = "https://id.example.com"


class Issuer:
    """An issuer without a network; what it says of somebody can be bent."""

    def __init__(self, address: str = ISSUER) -> None:
        self.address = address
        self.key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})
        self.signs_with = self.key
        self.claims: dict[str, Any] = {}
        self.asked: dict[str, str] = {}

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/.well-known/openid-configuration":
            places = {"authorization_endpoint": "/authorize", "token_endpoint": "/token", "jwks_uri": "/keys"}
            return httpx.Response(
                200, json={"issuer": self.address} | {name: self.address + at for name, at in places.items()}
            )
        if path == "/keys":
            return httpx.Response(200, json={"keys": [self.key.as_dict(private=False)]})
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if form["code"] != "right" or challenge.rstrip(b"=").decode() != self.asked["code_challenge"]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        claims = {
            "iss": self.address,
            "aud": "valorem",
            "sub": "u1",
            "exp": int(time.time()) + 300,
            "nonce": self.asked["nonce"],
            "email": OWNER,
            "email_verified": True,
        } | self.claims
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.signs_with)
        return httpx.Response(200, json={"id_token": token})


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def console(database_url: str, issuer: Issuer) -> Iterator[Console]:
    with console_by(database_url, Provider(ISSUER, "valorem", "secret", issuer.client)) as made:
        yield made


@contextmanager
def console_by(database_url: str, provider: Provider) -> Iterator[Console]:
    database = Database(database_url)
    engine = Engine(database, lambda: NOW)
    ingestor = Ingestor(engine)
    create_workspace(engine, name="one", kind="sandbox", clock_at=NOW)
    signed_up(engine)
    try:
        transport = InProcessTransport(assemble(engine, ingestor, provider=provider))
        with httpx.Client(transport=transport, base_url="http://valorem.invalid") as http:
            yield Console(http, {}, engine=engine)
    finally:
        ingestor.drain()
        database.close()


def come_back(console: Console, issuer: Issuer, **changed: str) -> httpx.Response:
    gone = console.get("!/sign-in/openid?to=/w/one/events")
    issuer.asked = {
        name: values[0] for name, values in parse_qs(urlsplit(gone.headers["location"]).query).items()
    }
    query = {"code": "right", "state": issuer.asked["state"]} | changed
    return console.get(f"!/sign-in/openid/back?{httpx.QueryParams(query)}")


def test_somebody_who_was_added_comes_in_and_is_known_by_subject_from_then_on(
    console: Console, issuer: Issuer
) -> None:
    assert "Sign in with id.example.com" in text_of(console.get("!/sign-in").text)
    answer = come_back(console, issuer)
    assert (answer.status_code, answer.headers["location"]) == (303, "/w/one/events")
    assert console.get("/events").status_code == 200
    engine = console.engine
    assert engine is not None
    (owner,) = list_people(engine)
    assert owner.subject == f"{ISSUER} u1"
    issuer.claims = {"email": "new-name@example.com"}
    assert come_back(Console(console.http, {}), issuer).status_code == 303
    issuer.claims = {"sub": "u2"}
    assert come_back(Console(console.http, {}), issuer).status_code == 401
    with pytest.raises(Exception, match="must be left"):
        disable_person(engine, Deed("", "", ""), owner.id, disabled=True)
    assert person_of(engine, Deed("", "", ""), subject=f"{ISSUER} u1", email="").id == owner.id


def test_an_issuer_over_http_lets_in_by_its_own_client(database_url: str) -> None:
    """The same issuer behind a socket: discovery, keys and token are fetched by the client that is used in earnest."""
    asked: list[str] = []
    served = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(self.path)
            sent = self.rfile.read(int(self.headers.get("content-length", "0")))
            found = served.answer(httpx.Request(self.command, served.address + self.path, content=sent))
            self.send_response(found.status_code)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(found.content)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with console_by(database_url, Provider(served.address, "valorem", "secret")) as console:
            assert come_back(console, served).headers["location"] == "/w/one/events"
            assert console.get("/events").status_code == 200
            assert come_back(Console(console.http, {}), served, code="wrong").status_code == 503
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
    assert {"/.well-known/openid-configuration", "/keys", "/token"} <= set(asked)


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "stranger@example.com"},
        {"email_verified": False},
        {"email": ""},
        {"aud": "somebody-else"},
        {"iss": "https://evil.example"},
        {"nonce": "another"},
        {"exp": 1},
    ],
)
def test_an_answer_that_does_not_hold_lets_nobody_in(
    console: Console, issuer: Issuer, claims: dict[str, Any]
) -> None:
    issuer.claims = claims
    answer = come_back(console, issuer)
    assert answer.status_code == 401
    assert "valorem_session" not in console.cookies


def test_a_forged_token_state_code_or_cookie_lets_nobody_in(console: Console, issuer: Issuer) -> None:
    assert come_back(console, issuer, state="another").status_code == 401
    assert come_back(console, issuer, code="wrong").status_code == 503
    issuer.signs_with = RSAKey.generate_key(2048, parameters={"kid": "one", "alg": "RS256"})
    assert come_back(console, issuer).status_code == 401
    issuer.signs_with = issuer.key
    console.cookies["valorem_openid"] = (
        base64.urlsafe_b64encode(json.dumps({"state": "s"}).encode()).decode() + ".0"
    )
    assert console.get("!/sign-in/openid/back?code=right&state=s").status_code == 401
    assert re.match("valorem_session", " ".join(console.cookies)) is None
