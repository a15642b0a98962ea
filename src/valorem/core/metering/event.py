"""Events: CloudEvents 1.0 read exactly, or refused with the field that is wrong.

The hot path decodes once and proves with a few C-speed scans of the bytes that nothing slower is needed; only an event
that fails one of these proofs is looked at member by member (:mod:`valorem.core.metering.suspect`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from valorem.core.errors import InvalidInputError
from valorem.core.limits import LIMITS, Limits
from valorem.core.metering import suspect
from valorem.core.time import parse_instant, write_instant

VOID = "valorem.void"
AMEND = "valorem.amend"
CORRECTIONS = frozenset({VOID, AMEND})
#: A source that begins so sends history: its events may be of any age, and their keys are never forgotten, so that a
#: retry is known for ever. Live events have other sources, and the two can never count one fact twice by one id.
BACKFILL = "backfill:"
#: Events that a source of the catalog brings in, of any age as well: other systems repeat what they said years later.
CONNECTOR = "connector:"

_NO_DATA: dict[str, Any] = {}
_WHITE_SPACE = b" \t\r\n"
#: A JSON time of microseconds in UTC; more digits are cut by the full parser, where this decoder would round.
_LONGEST_TIME = len(b'"2026-03-05T14:30:00.123456Z"')
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Event(msgspec.Struct, frozen=True, gc=False):
    """One fact: a CloudEvents 1.0 event in its JSON format. Extension attributes stay in the raw bytes only.

    Attributes:
        id: Unique within ``source``; together with the workspace they are the event's identity.
        source: Who sent it.
        type: What happened; meters select events by it.
        subject: Whose usage it is: a customer's key or alias. Empty only for a correction.
        time: When it happened, in UTC; ``None`` as sent without one, see :meth:`at`.
        data: The payload. Integers are ``int``, other numbers ``Decimal``; never a float.
        sequence: Orders events of the same instant for ``latest``, where the sender numbers them.
        datacontenttype: As sent; a JSON media type.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime | None = None
    data: Mapping[str, Any] = _NO_DATA
    sequence: str | None = None
    datacontenttype: str | None = None

    def at(self, received: datetime) -> "Event":
        """The event with its time: as sent, else the instant it was received.

        Take :func:`~valorem.core.metering.fingerprint.fingerprint` before, or a retry would look like a conflict.
        """
        return self if self.time is not None else msgspec.structs.replace(self, time=received)

    @property
    def order(self) -> bytes:
        """Orders events of one instant by the sender's ``sequence``: digits by value, other text bytewise."""
        sequence = self.sequence
        if sequence is None:
            return b""
        if sequence.isascii() and sequence.isdigit():
            sequence = sequence.lstrip("0").zfill(40)
        return sequence.encode() + b"\0"


_NO_TIME = msgspec.Raw()


class _Sent(msgspec.Struct, gc=False):
    """The members of an event that metering reads, as a plain sender writes them."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    data: dict[str, Any]
    time: msgspec.Raw = _NO_TIME
    sequence: str | None = None
    datacontenttype: str | None = None


_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_sent = msgspec.json.Decoder(_Sent, float_hook=Decimal).decode
_decode_time = msgspec.json.Decoder(datetime).decode


def decode_event(raw: bytes, limits: Limits = LIMITS) -> Event:
    """Read one event in the JSON format of CloudEvents 1.0.

    Numbers are read exactly. The clock is not consulted: see :func:`check_time`.

    Args:
        raw: The bytes of one JSON object, UTF-8.
        limits: What is declared acceptable.

    Raises:
        InvalidInputError: For anything that can never be accepted, naming the field (``data.tokens``, ``time``).
    """
    return _decode_plain(raw, limits) or _decode_any(raw, limits)


def _decode_plain(raw: bytes, limits: Limits) -> Event | None:
    """The event, where fast scans prove that it is whole and unambiguous; ``None`` on any doubt."""
    most = limits.attribute_bytes
    if len(raw) > limits.data_bytes or b"\\" in raw:
        return None
    try:
        sent = _decode_sent(raw)
        if not raw.isascii():
            raw.decode()  # members that are skipped must be valid text as well
            most //= 4
    except (ValueError, RecursionError):
        return None
    data, time = sent.data, None
    if (
        not 0 < len(sent.id) <= most
        or not 0 < len(sent.source) <= most
        or not 0 < len(sent.type) <= most
        or not 0 < len(sent.subject) <= most
        or sent.specversion != "1.0"
        or sent.sequence is not None
        or (sent.datacontenttype is not None and sent.datacontenttype != "application/json")
    ):
        return None
    keys = _count_keys(data, limits) + (6 if sent.datacontenttype is None else 7)
    if sent.time is not _NO_TIME:
        text = bytes(sent.time)
        if len(text) > _LONGEST_TIME or not text.endswith(b'Z"'):
            return None
        try:
            time = _decode_time(text)
        except ValueError:
            return None
        keys += 1
    # Every member name ends in a quote and a colon. More such pairs than members that were read: a repeated name, an
    # extension attribute, or text like ":x".
    if raw.translate(None, _WHITE_SPACE).count(b'":') != keys:
        return None
    return Event(sent.id, sent.source, sent.type, sent.subject, time, data, None, sent.datacontenttype)


def _count_keys(data: dict[str, Any], limits: Limits) -> int:
    """How many member names stand in data, at any depth, after checking its numbers, names and depth."""
    keys, longest = len(data), limits.key_bytes
    for key, value in data.items():
        kind = type(value)
        if kind is not str and not (kind is int and -suspect.HUGE < value < suspect.HUGE):
            keys += suspect.count_keys(value, ("data", key), limits)
        if len(key) > longest or not key.isascii():
            suspect.check_key(key, ("data",), limits)
    return keys


def _decode_any(raw: bytes, limits: Limits) -> Event:
    """The same for any event, with the words for what is wrong."""
    try:
        envelope = _decode(raw)
        raw.decode()
    except (ValueError, RecursionError) as error:
        raise suspect.explain(raw, error) from None
    if type(envelope) is not dict:
        raise InvalidInputError("an event is a JSON object", hint='send {"specversion": "1.0", "id": …, …}')
    suspect.check_document(raw, envelope, limits)
    return _event(envelope, limits)


def _event(envelope: dict[str, Any], limits: Limits) -> Event:
    get = envelope.get
    if get("specversion") != "1.0":
        raise InvalidInputError(
            f"specversion must be the text '1.0', found {get('specversion')!r}"[:200],
            field="specversion",
            hint='add "specversion": "1.0"',
        )
    kind = _attribute(envelope, "type", limits)
    sequence = get("sequence")
    if sequence is not None:
        if type(sequence) is int:
            envelope["sequence"] = str(sequence)
        sequence = _attribute(envelope, "sequence", limits)
    content_type = get("datacontenttype")
    if content_type is not None and content_type != "application/json":
        suspect.check_content_type(content_type)
    if "data_base64" in envelope:
        raise InvalidInputError(
            "binary data cannot be metered", field="data_base64", hint="send a JSON object in data"
        )
    data = get("data", _NO_DATA)
    if type(data) is not dict:
        raise InvalidInputError(
            "data must be a JSON object", field="data", hint='wrap the value: {"data": {"value": …}}'
        )
    time = get("time")
    return Event(
        _attribute(envelope, "id", limits),
        _attribute(envelope, "source", limits),
        kind,
        "" if kind in CORRECTIONS and "subject" not in envelope else _attribute(envelope, "subject", limits),
        None if time is None else parse_instant(time, "time"),
        data,
        sequence,
        content_type,
    )


def _attribute(envelope: dict[str, Any], name: str, limits: Limits) -> str:
    value = envelope.get(name)
    if type(value) is str:
        if 0 < len(value) <= limits.attribute_bytes and (
            value.isascii() or len(value.encode()) <= limits.attribute_bytes
        ):
            return value
        if value:
            raise InvalidInputError(
                f"{name} is longer than {limits.attribute_bytes} bytes",
                field=name,
                hint="shorten it, or send a hash of it",
            )
    problem = "is missing" if name not in envelope else "is empty" if value == "" else "must be text"
    raise InvalidInputError(f"{name} {problem}", field=name, hint=_ATTRIBUTE_HINTS[name])


_ATTRIBUTE_HINTS = {
    "id": "give every event its own id, and send the same id again on a retry",
    "source": "name the sender, such as /checkout or urn:example:gateway",
    "type": "name what happened, such as llm.call",
    "subject": "name whose usage it is: the customer's key or one of its aliases",
    "sequence": "write it as text or as an integer",
}


def check_time(time: datetime, now: datetime, limits: Limits = LIMITS) -> None:
    """Refuse a time outside the accept window ``[now - accept_late_s, now + accept_future_s]``.

    Raises:
        InvalidInputError: Naming ``time``; an older event belongs into a backfill, which has its own keys.
    """
    offset = now - time
    if offset > timedelta(seconds=limits.accept_late_s):
        raise InvalidInputError(
            f"{write_instant(time)} is older than the accept window of {limits.accept_late_s // 86_400} days",
            field="time",
            hint="import older events as a backfill",
        )
    if offset < -timedelta(seconds=limits.accept_future_s):
        raise InvalidInputError(
            f"{write_instant(time)} is more than {limits.accept_future_s} s ahead of the clock ({write_instant(now)})",
            field="time",
            hint="check the sender's clock and that the time carries the right zone",
        )
