"""A receiver for development: prints what is right, refuses and names what is not."""

import json
from datetime import UTC, datetime
from http.client import HTTPConnection

import pytest
from standardwebhooks.webhooks import Webhook

from valorem.cli.listening import Received, fault_of, listening, verified

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed(body: bytes, at: datetime | None = None) -> dict[str, str]:
    now = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", now, body.decode()),
    }


def test_what_was_signed_is_read_and_taken():
    body = json.dumps({"type": "alert.crossed", "data": {}}).encode()
    assert verified(Received(signed(body), body), SECRET) == {"type": "alert.crossed", "data": {}}


@pytest.mark.parametrize(
    ("headers", "body", "fault"),
    [
        ({}, b"{}", "missing required headers"),
        ({**signed(b"{}"), "webhook-signature": "v1,AAAA"}, b"{}", "no matching signature found"),
        (signed(b"{}"), b"{ }", "no matching signature found"),
        (signed(b"{}", datetime(2026, 1, 1, tzinfo=UTC)), b"{}", "message timestamp too old"),
        (signed(b"[]"), b"[]", "the body is not a JSON object"),
        (signed(b"x"), b"x", "the body is not JSON"),
    ],
)
def test_what_is_wrong_is_said(headers, body, fault):
    assert fault_of(Received(headers, body), SECRET) == fault


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
