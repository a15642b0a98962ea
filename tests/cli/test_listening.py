"""A receiver for development: prints what is right, refuses and names what is not."""

import json
from datetime import UTC, datetime
from http.client import HTTPConnection

import pytest
from standardwebhooks.webhooks import Webhook

from valorem.cli.listening import Received, fault_of, listening, verified

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed(body: bytes) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", now, body.decode()),
    }


def test_what_was_signed_is_read_and_taken():
    body = json.dumps({"type": "alert.crossed", "data": {}}).encode()
    assert verified(Received(signed(body), body), SECRET) == {"type": "alert.crossed", "data": {}}


@pytest.mark.parametrize(
    ("signs", "changes", "body", "fault"),
    [
        (None, {}, b"{}", "missing required headers"),
        (b"{}", {"webhook-signature": "v1,AAAA"}, b"{}", "no matching signature found"),
        (b"{}", {}, b"{ }", "no matching signature found"),
        (b"{}", {"webhook-timestamp": "1767225600"}, b"{}", "message timestamp too old"),
        (b"[]", {}, b"[]", "the body is not a JSON object"),
        (b"x", {}, b"x", "the body is not JSON"),
    ],
)
def test_what_is_wrong_is_said(signs: bytes | None, changes: dict[str, str], body: bytes, fault: str):
    # Signed here, as a signature is worth something for minutes only.
    headers = {} if signs is None else signed(signs)
    assert fault_of(Received({**headers, **changes}, body), SECRET) == fault


def test_whoever_sent_something_wrong_learns_of_it():
    body = b'{"type": "webhook.test", "data": {}}'
    with listening() as receiver:
        receiver.secret = SECRET
        statuses = []
        for headers in (signed(body), {**signed(body), "webhook-signature": "v1,AAAA"}):
            connection = HTTPConnection(
                "127.0.0.1", int(receiver.url.rsplit(":", 1)[1].strip("/")), timeout=60
            )
            connection.request("POST", "/", body, headers)
            statuses.append(connection.getresponse().status)
            connection.close()
        assert statuses == [204, 401]
        assert len(receiver.waiting()) == 2
