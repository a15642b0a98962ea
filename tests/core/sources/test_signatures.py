"""Each sender's signature as its documentation computes it; one changed byte, an old time or another secret is refused."""

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

from valorem.core.errors import UnauthorizedError
from valorem.core.sources.channels import WebhookTerms
from valorem.core.sources.signatures import Received, verify

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
BODY = '{"id": 1, "text": "ünïcode"}'.encode()
URL = "https://valorem.example/v1/sources/webhooks/live/x?q=a%2Fb%3Ac"
SECRET = "s3cret"


def mac(signed: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(SECRET.encode(), signed, getattr(hashlib, algorithm)).digest()


def stamp(at: datetime, per_second: int = 1) -> str:
    return str(int(at.timestamp() * per_second))


def headers_of(scheme: str, at: datetime) -> dict[str, str]:
    if scheme == "zendesk":
        time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "x-zendesk-webhook-signature-timestamp": time,
            "x-zendesk-webhook-signature": b64encode(mac(time.encode() + BODY)).decode(),
        }
    if scheme == "intercom":
        return {"x-hub-signature": f"sha1={mac(BODY, 'sha1').hex()}"}
    if scheme == "hubspot":
        time = stamp(at, 1000)
        signed = (
            b"POST" + b"https://valorem.example/v1/sources/webhooks/live/x?q=a/b:c" + BODY + time.encode()
        )
        return {
            "x-hubspot-request-timestamp": time,
            "x-hubspot-signature-v3": b64encode(mac(signed)).decode(),
        }
    time = stamp(at)
    if scheme == "stripe":
        good = mac(time.encode() + b"." + BODY).hex()
        return {"stripe-signature": f"t={time},v1={'0' * 64},v1={good},v0=zz"}
    return {"x-time": time, "x-sign": f"v1={b64encode(mac(time.encode() + b':' + BODY, 'sha512')).decode()}"}


def terms_of(scheme: str) -> WebhookTerms:
    own = {"header": "X-Sign", "timestamp": "X-Time", "signed": "{timestamp}:{body}", "algorithm": "sha512",
           "encoding": "base64", "prefix": "v1="}  # fmt: skip
    return WebhookTerms.model_validate(
        {"scheme": scheme, "secret": "a", **({"hmac": own} if scheme == "hmac" else {})}
    )


SCHEMES = ("zendesk", "intercom", "hubspot", "stripe", "hmac")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signed_message_is_taken_and_a_changed_one_refused(scheme: str) -> None:
    terms, headers = terms_of(scheme), headers_of(scheme, NOW)
    verify(terms, ["another", SECRET], Received("POST", URL, headers, BODY), NOW)
    for changed in (
        Received("POST", URL, headers, BODY + b" "),
        Received("POST", URL, headers, BODY.replace(b"1", b"2")),
        Received("POST", URL, {}, BODY),
        Received(
            "POST",
            URL,
            {name: value.replace(value[-30:-10], "0" * 20) for name, value in headers.items()},
            BODY,
        ),
        Received("POST", URL, dict.fromkeys(headers, "ä"), BODY),
    ):
        with pytest.raises(UnauthorizedError):
            verify(terms, [SECRET], changed, NOW)
    with pytest.raises(UnauthorizedError):
        verify(terms, ["another"], Received("POST", URL, headers, BODY), NOW)
    with pytest.raises(UnauthorizedError):
        verify(terms, [], Received("POST", URL, headers, BODY), NOW)


@pytest.mark.parametrize("scheme", [each for each in SCHEMES if each != "intercom"])
@pytest.mark.parametrize("away", [timedelta(minutes=-6), timedelta(minutes=6)])
def test_an_old_signature_is_refused(scheme: str, away: timedelta) -> None:
    terms = terms_of(scheme)
    near = away / 2
    verify(terms, [SECRET], Received("POST", URL, headers_of(scheme, NOW + near), BODY), NOW)
    with pytest.raises(UnauthorizedError, match="too long ago"):
        verify(terms, [SECRET], Received("POST", URL, headers_of(scheme, NOW + away), BODY), NOW)


def test_hubspot_signs_the_address_and_method() -> None:
    headers = headers_of("hubspot", NOW)
    for method, url in (("PUT", URL), ("POST", URL + "x")):
        with pytest.raises(UnauthorizedError):
            verify(terms_of("hubspot"), [SECRET], Received(method, url, headers, BODY), NOW)
    behind = terms_of("hubspot").model_copy(update={"url": URL})
    verify(behind, [SECRET], Received("POST", "http://10.0.0.1:8080/other", headers, BODY), NOW)


def test_stripe_by_its_own_library() -> None:
    stripe = pytest.importorskip("stripe", reason="the extra payments is not installed")
    time = int(NOW.timestamp())
    signed = stripe.WebhookSignature._compute_signature(f"{time}.{BODY.decode()}", SECRET)
    verify(
        terms_of("stripe"),
        [SECRET],
        Received("POST", URL, {"stripe-signature": f"t={time},v1={signed}"}, BODY),
        NOW,
    )


def test_zendesk_by_the_documented_example() -> None:
    """The signature that Zendesk's page computes for its sample: the timestamp and the body, nothing between them."""
    time = "2021-03-25T05:09:27Z"
    at = datetime(2021, 3, 25, 5, 9, 27, tzinfo=UTC)
    secret = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
    body = b'{"hello":"world"}'
    signature = b64encode(hmac.new(secret.encode(), time.encode() + body, hashlib.sha256).digest()).decode()
    headers = {"x-zendesk-webhook-signature": signature, "x-zendesk-webhook-signature-timestamp": time}
    verify(terms_of("zendesk"), [secret], Received("POST", URL, headers, body), at)
