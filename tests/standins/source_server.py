"""A help desk and shop that misbehaves in every way the real ones do, each way a switch; a program of its own.

``python -m tests.standins.source_server --seed 1 --faults all`` prints its address and serves until it is stopped.
In a test it runs in a thread: the same program, over the same sockets.
"""

import argparse
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.standins.world import Change, Faults, World

TOKEN_USES = 7
_STALLS, _PATIENCE_S = 2, 60


class SourceServer:
    """The server.

    Args:
        world: What happens.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.requests = 0
        self.stalled = 0
        self._asked_for = 0
        self.refused = 0
        self.pushed: list[tuple[str, str, Any]] = []
        self.push_fails = 0
        self.answers: dict[str, tuple[str, bytes]] = {}  # plain files, for those who want them
        self._tokens: dict[str, int] = {}
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._serve(self)

            do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: object) -> None:
                return

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                return  # a connection that this very server broke off

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/"

    @contextmanager
    def running(self) -> Iterator["SourceServer"]:
        thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            self._http.server_close()
            thread.join(5)

    def serve_forever(self) -> None:
        self._http.serve_forever()

    def _serve(self, http: BaseHTTPRequestHandler) -> None:
        body = http.rfile.read(int(http.headers.get("content-length") or 0))
        if self._stalls():
            http.connection.settimeout(_PATIENCE_S)
            with suppress(TimeoutError):
                http.rfile.read(1)  # until the other side has had enough
            http.close_connection = True
            return
        with self._lock:
            self.requests += 1
            number = self.requests
            address = urlsplit(http.path)
            query = {name: values[-1] for name, values in parse_qs(address.query).items()}
            if address.path in self.answers:
                kind, content = self.answers[address.path]
                _send(http, 200, content, {"content-type": kind})
                return
            if address.path == "/oauth/token":
                token = f"t{number}"
                self._tokens[token] = TOKEN_USES
                _send_json(http, 200, {"access_token": token, "token_type": "bearer", "expires_in": 3600})
                return
            if http.command in ("POST", "PUT", "PATCH"):
                self._take_push(http, address.path, body)
                return
            if not self._is_let_in(http) or self._misbehaves(http, number):
                self.refused += 1
                return
            answer: dict[str, Callable[[dict[str, str]], tuple[Any, dict[str, str]]]] = {
                "/orders": self._orders,
                "/feed": self._feed,
            }
            if address.path.startswith("/orders/"):
                self._send_order(http, address.path.removeprefix("/orders/"))
                return
            if address.path not in answer:
                _send_json(http, 404, {"error": "there is nothing here"})
                return
            value, headers = answer[address.path](query)
            text = _encode(value)
            if self.world.faults.broken and number % 7 == 5:
                text = text[: len(text) // 2]  # it says it is whole, and is not
            _send(http, 200, text, {"content-type": "application/json", **headers})
            if self.world.faults.shifting:
                self.world.next_change()

    def _stalls(self) -> bool:
        with self._lock:
            self._asked_for += 1
            stalls = self.world.faults.stalled and self._asked_for % 6 == 4 and self.stalled < _STALLS
            self.stalled += stalls
            return stalls

    def _is_let_in(self, http: BaseHTTPRequestHandler) -> bool:
        given = (http.headers.get("authorization") or "").removeprefix("Bearer ")
        if given == "good":
            return True
        left = self._tokens.get(given, 0)
        if left <= 0:
            _send_json(http, 401, {"error": "expired"})
            return False
        if self.world.faults.expiry:
            self._tokens[given] = left - 1
        return True

    def _misbehaves(self, http: BaseHTTPRequestHandler, number: int) -> bool:
        faults = self.world.faults
        if faults.throttle and number % 4 == 1:
            when = (
                "0"
                if number % 8 == 1
                else format_datetime(datetime.now().astimezone() - timedelta(seconds=5))
            )
            _send(http, 429, b"{}", {"retry-after": when, "content-type": "application/json"})
            return True
        if faults.broken and number % 5 == 2:
            if number % 10 == 2:
                http.close_connection = True
                http.connection.close()
            else:
                _send(http, 502 if number % 3 else 500, b"<html>oops</html>", {"content-type": "text/html"})
            return True
        return False

    def _orders(self, query: dict[str, str]) -> tuple[Any, dict[str, str]]:
        """The list, with every way of paging that is asked for; at most five on a page whatever is asked."""
        since = query.get("updated_since")
        rows = [
            one for one in self.world.rows() if since is None or self._time_key(one) >= self._asked(since)
        ]
        limit = min(int(query.get("limit", "5")), 5)
        first = int(query.get("offset", "0")) if "page" not in query else (int(query["page"]) - 1) * limit
        if "after" in query:
            first = next((n + 1 for n, one in enumerate(rows) if one.key == query["after"]), 0)
        page = rows[first : first + limit]
        more = first + limit < len(rows)
        following = f"{self.url}orders?offset={first + limit}&limit={limit}" + (
            f"&updated_since={since.replace(' ', '%20')}" if since else ""
        )
        answer = {
            "orders": [self.world.written(one) for one in page],
            "next": following if more else None,
            "paging": {"after": page[-1].key if page and more else None},
            "has_more": more,
        }
        return answer, {"link": f'<{following}>; rel="next"'} if more else {}

    def _send_order(self, http: BaseHTTPRequestHandler, key: str) -> None:
        """One order by its own address; one that was deleted is not there, whether or not the list said so."""
        found = next((one for one in self.world.rows() if one.key == key and one.gone is None), None)
        _send_json(http, 404 if found is None else 200, {} if found is None else self.world.written(found))

    def _time_key(self, change: Change) -> datetime:
        return self.world.stamp(change).replace(microsecond=0)

    def _asked(self, text: str) -> datetime:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = (moment - timedelta(hours=1)).replace(tzinfo=self.world.now.tzinfo)
        return moment.replace(microsecond=0)

    def _feed(self, query: dict[str, str]) -> tuple[Any, dict[str, str]]:
        """Everything that ever happened to a ticket, in the order in which it could be seen."""
        changes = self.world.visible("ticket")
        first = int(query.get("cursor") or 0)
        page = changes[first : first + 5]
        last = first + len(page)
        answer = {
            "changes": [self.world.written(one) for one in page],
            "after_cursor": str(last),
            "end_of_stream": last >= len(changes),
        }
        return answer, {}

    def _take_push(self, http: BaseHTTPRequestHandler, path: str, body: bytes) -> None:
        if self.push_fails > 0:
            self.push_fails -= 1
            _send_json(http, 503, {"error": "later"})
            return
        self.pushed.append((http.command, path, json.loads(body or b"null")))
        _send_json(http, 200, {"ok": True})


def _encode(value: Any) -> bytes:
    """JSON whose decimals are numbers with every digit."""
    marks: list[str] = []

    def mark(number: Any) -> str:
        assert isinstance(number, Decimal)
        marks.append(format(number, "f"))
        return f"\x00{len(marks) - 1}\x00"

    text = json.dumps(value, default=mark)
    for place, number in enumerate(marks):
        text = text.replace(f'"\\u0000{place}\\u0000"', number)
    return text.encode()


def _send_json(http: BaseHTTPRequestHandler, status: int, value: Any) -> None:
    _send(http, status, _encode(value), {"content-type": "application/json"})


def _send(http: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]) -> None:
    http.send_response(status)
    for name, value in headers.items():
        http.send_header(name, value)
    http.send_header("content-length", str(len(content)))
    http.end_headers()
    if http.command != "HEAD":
        http.wfile.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--faults", default="", help=f"all, or some of {', '.join(one.name for one in fields(Faults))}"
    )
    asked = parser.parse_args()
    some: dict[str, Any] = {
        name: 420 if name == "clock_s" else True for name in asked.faults.split(",") if name
    }
    world = World(asked.seed, Faults.everything() if asked.faults == "all" else Faults(**some))
    world.now = world.end
    server = SourceServer(world)
    print(server.url, flush=True)  # noqa: T201 - whoever started it reads it
    server.serve_forever()


if __name__ == "__main__":
    main()
