"""A small HTTP server that answers like Stripe's API, misbehaving as the test says."""

import hmac
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

SECRET = "whsec_test_0123456789abcdef"


class StandIn:
    """The state behind the server.

    ``script`` holds what happens to the next calls that move money, one word each: ``ok``, ``lost`` (done, but the connection
    breaks before the answer), ``unheard`` (the connection breaks and nothing was done), ``broken`` (done, answered by a 500),
    ``slow`` (done, but answered later than the caller waits), ``declined``, ``pending``, ``short`` (a cent less is taken),
    ``foreign`` (another currency is taken).
    """

    def __init__(self) -> None:
        self.script: list[str] = []
        self.objects: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, tuple[dict[str, Any], int, dict[str, Any]]] = {}
        self.calls: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self.release = threading.Event()

    def charges(self) -> list[dict[str, Any]]:
        """What was really taken."""
        return [
            each
            for each in self.objects.values()
            if each["object"] == "payment_intent" and each["status"] == "succeeded"
        ]

    def move(self, path: str, params: dict[str, Any], key: str) -> tuple[str, int, dict[str, Any]]:
        """A call that moves money: what happens, and the answer. The same key gives the same answer."""
        with self.lock:
            how = self.script.pop(0) if self.script else "ok"
            if how == "unheard":
                return how, 0, {}
            if key in self.answers:
                before, status, answer = self.answers[key]
                if before != params:
                    error = {"type": "idempotency_error", "message": "the same key with other parameters"}
                    return "ok", 400, {"error": error}
                return how, status, answer
            status, answer = self._made(path, params, how)
            self.answers[key] = (params, status, answer)
            return how, status, answer

    def _made(self, path: str, params: dict[str, Any], how: str) -> tuple[int, dict[str, Any]]:
        number = len(self.objects) + 1
        if path == "/v1/customers":
            return 200, self._kept({"id": f"cus_{number}", "object": "customer", **params})
        if path == "/v1/refunds":
            fields = {**params, "amount": int(params["amount"]), "currency": "eur", "status": "succeeded"}
            return 200, self._kept({"id": f"re_{number}", "object": "refund", **fields})
        amount = int(params["amount"])
        intent = {
            "id": f"pi_{number}",
            "object": "payment_intent",
            "amount": amount,
            "amount_received": amount - 1 if how == "short" else amount,
            "currency": "usd" if how == "foreign" else params["currency"],
            "status": {"pending": "processing", "declined": "requires_payment_method"}.get(how, "succeeded"),
            "metadata": params["metadata"],
            "last_payment_error": None,
        }
        if how == "declined":
            error = {"code": "card_declined", "message": "Your card was declined.", "type": "card_error"}
            intent["last_payment_error"] = error
            self._kept(intent)
            return 402, {"error": {**error, "payment_intent": intent}}
        return 200, self._kept(intent)

    def _kept(self, made: dict[str, Any]) -> dict[str, Any]:
        self.objects[made["id"]] = made
        return made

    def read(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if path == "/v1/payment_intents/search":
                found = re.fullmatch(r"metadata\['(\w+)'\]:'([^']+)'", query["query"])
                assert found is not None
                named = [
                    each
                    for each in self.objects.values()
                    if each["object"] == "payment_intent" and each["metadata"].get(found[1]) == found[2]
                ]
                return 200, {"object": "search_result", "data": named, "has_more": False, "url": path}
            if path == "/v1/refunds":
                of = [each for each in self.objects.values() if each["object"] == "refund"]
                named = [each for each in of if each["payment_intent"] == query["payment_intent"]]
                return 200, {"object": "list", "data": named, "has_more": False, "url": path}
            found_object = self.objects.get(path.rpartition("/")[2])
            if found_object is None:
                error = {"type": "invalid_request_error", "message": "No such object", "param": "id"}
                return 404, {"error": error}
            return 200, found_object

    def event(self, kind: str, object_id: str, event_id: str = "evt_1") -> bytes:
        """The body of a webhook about an object as it stands."""
        with self.lock:
            found = dict(self.objects[object_id])
        return json.dumps(
            {"id": event_id, "object": "event", "type": kind, "data": {"object": found}}, indent=2
        ).encode()


def signed(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    """The header that Stripe signs a webhook with."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={mac}"}


def nested(form: dict[str, list[str]]) -> dict[str, Any]:
    """``metadata[a]=b`` as objects in objects."""
    read: dict[str, Any] = {}
    for key, (value, *_) in form.items():
        outer, _, inner = key.partition("[")
        if inner:
            read.setdefault(outer, {})[inner.removesuffix("]")] = value
        else:
            read[key] = value
    return read


@contextmanager
def running() -> Iterator[tuple[StandIn, str]]:
    """The server on a free port of this machine, and its address."""
    state = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            key = self.headers.get("Idempotency-Key", "")
            state.calls.append((self.path, key))
            how, status, answer = state.move(self.path, nested(parse_qs(body)), key)
            if how in ("lost", "unheard"):
                self.close_connection = True
                return
            if how == "slow":
                state.release.wait(10)
                self.close_connection = True
                return
            if how == "broken":
                status, answer = 500, {"error": {"type": "api_error", "message": "try again"}}
            self._answer(status, answer)

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            self._answer(*state.read(url.path, query))

        def _answer(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state, f"http://127.0.0.1:{server.server_port}"
    finally:
        state.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
