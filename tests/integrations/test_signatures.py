"""Signatures as the public library has them: what was sent verifies, and nothing else does."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from valorem.engine.webhooks import new_secret
from valorem.integrations.webhooks import signatures

BODY = b'{"type":"alert.crossed","data":{"customer":"ada","level":"8"}}'


def signed(secrets: tuple[str, ...], at: datetime) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures(secrets, "msg_1", at, BODY),
    }


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_d4_a_changed_body_is_refused(place, change):
    secret, now = new_secret(), datetime.now(UTC)
    headers = signed((secret,), now)
    Webhook(secret).verify(BODY, headers)
    forged = BODY[:place] + bytes([BODY[place] ^ change]) + BODY[place + 1 :]
    with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
        Webhook(secret).verify(forged, headers)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"},
        {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) + 1)},
        {"webhook-signature": "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
    ],
)
def test_d4_another_id_time_or_signature_is_refused(change):
    secret, now = new_secret(), datetime.now(UTC)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, {**signed((secret,), now), **change})


@pytest.mark.parametrize(("age_s", "fresh"), [(290, True), (310, False), (-290, True), (-310, False)])
def test_d4_what_is_five_minutes_off_is_refused(age_s, fresh):
    secret = new_secret()
    headers = signed((secret,), datetime.now(UTC) - timedelta(seconds=age_s))
    if fresh:
        Webhook(secret).verify(BODY, headers)
    else:
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, headers)


def test_d4_while_a_rotation_overlaps_either_secret_verifies_and_a_third_does_not():
    new, old = new_secret(), new_secret()
    headers = signed((new, old), datetime.now(UTC))
    Webhook(new).verify(BODY, headers)
    Webhook(old).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)
