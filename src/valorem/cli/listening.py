"""A receiver of webhooks on this machine: verifies signatures with the public library and prints what came."""

import json
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from valorem.cli.output import out, say

_MOST_BYTES = 1024 * 1024
_WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came in so far, in order.

    Attributes:
        url: Where webhooks are to be sent.
        secret: What they are signed with. Once it is known, a request with another signature is refused, so that whoever
            sent it learns of that.
    """

    url: str
    secret: str | None = None
    _came: "queue.Queue[Received]" = field(default_factory=queue.Queue)

    def take(self, received: Received) -> bool:
        """Keep a request; whether it is what it says it is, as far as is known."""
        self._came.put(received)
        return self.secret is None or fault_of(received, self.secret) is None

    def each(self) -> Iterator[Received]:
        """Requests as they come; never ends by itself."""
        while True:
            try:
                yield self._came.get(timeout=_WAIT_S)
            except queue.Empty:
                continue  # so that an interrupt is noticed

    def waiting(self) -> list[Received]:
        """What has come and was not taken yet."""
        found = []
        while not self._came.empty():
            found.append(self._came.get_nowait())
        return found

    def print_all(self, secret: str, count: int, *, as_json: bool) -> None:
        """Verify and print requests as they come; so many, or for ever."""
        self.secret = secret
        for number, received in enumerate(self.each(), 1):
            if as_json:
                _as_json(received, verified(received, secret))
            else:
                print_received(received, secret)
            if number == count:
                return


def verified(received: Received, secret: str) -> dict[str, Any] | None:
    """What a webhook says; None where it is not what was signed."""
    return None if fault_of(received, secret) is not None else json.loads(received.body)


def fault_of(received: Received, secret: str) -> str | None:
    """What is wrong with a webhook; None where nothing is."""
    try:
        found = Webhook(secret).verify(received.body, received.headers)
    except WebhookVerificationError as error:
        return str(error).lower() or "no matching signature"
    except ValueError:
        return "the body is not JSON"
    return None if isinstance(found, dict) else "the body is not a JSON object"


def print_received(received: Received, secret: str) -> None:
    """One webhook as a line for people."""
    if (fault := fault_of(received, secret)) is not None:
        name = received.headers.get("webhook-id", "a request")
        say(f"✗ {name} is refused: {fault} ({len(received.body)} bytes)", "bold red")
        return
    found = json.loads(received.body)
    data = found.get("data", {})
    told = data.get("text") or ", ".join(
        f"{name} {value}"
        for name, value in data.items()
        if name not in ("object", "sequence") and value is not None
    )
    say(f"✓ {found.get('timestamp')}  {found.get('type'):<16} {data.get('customer', '')}  {told}", "green")


def _as_json(received: Received, found: dict[str, Any] | None) -> None:
    line = {"id": received.headers.get("webhook-id"), "verified": found is not None, "body": found}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    out.file.flush()


@contextmanager
def listening(port: int = 0) -> Iterator[Receiver]:
    """A receiver for as long as the block runs."""
    with _served(port) as (server, attach):
        receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/")
        attach(receiver.take)
        yield receiver


@contextmanager
def _served(
    port: int,
) -> Iterator[tuple[ThreadingHTTPServer, Callable[[Callable[[Received], bool]], None]]]:
    takers: list[Callable[[Received], bool]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(min(size, _MOST_BYTES))
            headers = {name.lower(): value for name, value in self.headers.items()}
            taken = [take(Received(headers, body)) for take in takers]
            self.send_response(204 if all(taken) else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - likewise
            """Requests are printed by whoever listens."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="valorem-listen", daemon=True)
    thread.start()
    try:
        yield server, takers.append
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
