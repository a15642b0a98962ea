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
    """

    url: str
    _came: "queue.Queue[Received]" = field(default_factory=queue.Queue)

    def take(self, received: Received) -> None:
        """Keep a request."""
        self._came.put(received)

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
        show = _as_json if as_json else print_received
        for number, received in enumerate(self.each(), 1):
            show(received, verified(received, secret))
            if number == count:
                return


def verified(received: Received, secret: str) -> dict[str, Any] | None:
    """What a webhook says; None where its signature is wrong."""
    try:
        found = Webhook(secret).verify(received.body, received.headers)
    except (WebhookVerificationError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def print_received(received: Received, found: dict[str, Any] | None) -> None:
    """One webhook as a line for people."""
    if found is None:
        say(f"✗ a request with a wrong signature ({len(received.body)} bytes)", "bold red")
        return
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
) -> Iterator[tuple[ThreadingHTTPServer, Callable[[Callable[[Received], None]], None]]]:
    takers: list[Callable[[Received], None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(min(size, _MOST_BYTES))
            headers = {name.lower(): value for name, value in self.headers.items()}
            for take in takers:
                take(Received(headers, body))
            self.send_response(204)
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
