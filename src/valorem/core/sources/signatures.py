"""Signatures of webhooks, each scheme exactly as its sender computes it; compared in constant time, over raw bytes.

References: Zendesk "Verifying webhook authenticity"; Intercom "Webhook security" (``X-Hub-Signature``); HubSpot
"Validating requests", version 3; Stripe "Verify webhook signatures manually".
"""

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1, sha256, sha512
from typing import Any

from valorem.core.errors import UnauthorizedError
from valorem.core.sources.channels import HmacTerms, WebhookTerms

_HASHES: Mapping[str, Any] = {"sha1": sha1, "sha256": sha256, "sha512": sha512}
#: What HubSpot decodes in the address before it signs.
_HUBSPOT = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")",
    "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it arrived.

    Attributes:
        method: Of the request, in capitals.
        url: The whole address that was asked.
        headers: By name in lower case.
        body: Its bytes, untouched.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


def verify(terms: WebhookTerms, secrets: Sequence[str], message: Received, now: datetime) -> None:
    """Refuse a message that the sender did not sign with one of the secrets, or signed too long ago.

    Raises:
        UnauthorizedError: Without saying which byte was wrong.
    """
    match terms.scheme:
        case "zendesk":
            given = _header(message, "x-zendesk-webhook-signature")
            time = _header(message, "x-zendesk-webhook-signature-timestamp")
            expected = [b64(secret, time.encode() + message.body) for secret in secrets]
            _check(given, expected)
            _check_age(_instant(time, "x-zendesk-webhook-signature-timestamp"), now, terms)
        case "intercom":
            given = _header(message, "x-hub-signature")
            _check(given, ["sha1=" + _hmac(secret, message.body, "sha1").hex() for secret in secrets])
        case "hubspot":
            given = _header(message, "x-hubspot-signature-v3")
            time = _header(message, "x-hubspot-request-timestamp")
            signed = f"{message.method}{_hubspot_url(terms.url or message.url)}".encode() + message.body
            _check(given, [b64(secret, signed + time.encode()) for secret in secrets])
            _check_age(_seconds(time, 1000, "x-hubspot-request-timestamp"), now, terms)
        case "stripe":
            time, given_all = _stripe(_header(message, "stripe-signature"))
            signed = time.encode() + b"." + message.body
            expected = [_hmac(secret, signed, "sha256").hex() for secret in secrets]
            _check_any(given_all, expected)
            _check_age(_seconds(time, 1, "stripe-signature"), now, terms)
        case "hmac":
            assert terms.hmac is not None  # a source without it is refused when it is written
            _verify_own(terms, terms.hmac, secrets, message, now)


def b64(secret: str, signed: bytes) -> str:
    """HMAC-SHA256 in base64."""
    return b64encode(_hmac(secret, signed, "sha256")).decode()


def _hmac(secret: str, signed: bytes, algorithm: str) -> bytes:
    return hmac.new(secret.encode(), signed, _HASHES[algorithm]).digest()


def _verify_own(
    terms: WebhookTerms, own: HmacTerms, secrets: Sequence[str], message: Received, now: datetime
) -> None:
    given = _header(message, own.header.lower())
    time = "" if own.timestamp is None else _header(message, own.timestamp.lower())
    before, _, after = own.signed.partition("{body}")
    signed = (
        before.replace("{timestamp}", time).encode()
        + message.body
        + after.replace("{timestamp}", time).encode()
    )
    expected = []
    for secret in secrets:
        digest = _hmac(secret, signed, own.algorithm)
        expected.append(own.prefix + (digest.hex() if own.encoding == "hex" else b64encode(digest).decode()))
    _check(given, expected)
    if own.timestamp is not None:
        _check_age(_seconds(time, 1, own.timestamp.lower()), now, terms)


def _header(message: Received, name: str) -> str:
    value = message.headers.get(name)
    if not value or not value.isascii():
        raise UnauthorizedError(
            f"the message has no {name}", hint="only the system the source names may send here"
        )
    return value


def _check(given: str, expected: Iterable[str]) -> None:
    _check_any([given], expected)


def _check_any(given: Iterable[str], expected: Iterable[str]) -> None:
    known = list(expected)
    found = False
    for one in given:
        for each in known:
            found |= hmac.compare_digest(one.encode(), each.encode())
    if not found:
        raise UnauthorizedError(
            "the signature does not fit the message",
            hint="compare the stored secret with the sender's, and let no proxy change the body",
        )


def _check_age(signed_at: datetime, now: datetime, terms: WebhookTerms) -> None:
    if abs(now - signed_at) > terms.tolerance:
        raise UnauthorizedError(
            "the message was signed too long ago, or a clock is wrong",
            hint=f"it is taken for {terms.tolerance} around its signature",
        )


def _instant(text: str, name: str) -> datetime:
    """RFC 3339, or the sender's ``2021-03-25T05:09:27Z``."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UnauthorizedError(f"{name} is no time") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _seconds(text: str, per_second: int, name: str) -> datetime:
    if not text.isdigit() or len(text) > 16:
        raise UnauthorizedError(f"{name} holds no time")
    seconds, rest = divmod(int(text), per_second)
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1_000_000 // per_second)
    except (OverflowError, ValueError, OSError):
        raise UnauthorizedError(f"{name} holds no time") from None


def _stripe(header: str) -> tuple[str, list[str]]:
    time, given = "", []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            time = value
        elif name == "v1":
            given.append(value)
    if not time or not given:
        raise UnauthorizedError("stripe-signature holds no t and v1")
    return time, given[:10]


def _hubspot_url(url: str) -> str:
    for escaped, plain in _HUBSPOT.items():
        url = url.replace(escaped, plain).replace(escaped.lower(), plain)
    return url
