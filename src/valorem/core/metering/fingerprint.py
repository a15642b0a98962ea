"""The fingerprint of an event's payload: tells a retry (duplicate) from another fact under the same id (conflict)."""

from collections.abc import Mapping
from decimal import Context, Decimal
from hashlib import blake2b

import msgspec

from valorem.core.metering.event import Event

#: Encodes as they are: values whose JSON text is already canonical.
_CANONICAL = frozenset({str, int, bool, type(None)})
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
#: Wide enough that removing trailing zeros never rounds a number an event can hold.
_WIDE = Context(prec=100_000)


def fingerprint(event: Event) -> int:
    """Signed 64 bits of BLAKE2b over type, subject, time in UTC and data, with sorted members and numbers by value.

    Independent of member order, white space, and of how a number is written (1, 1.0 and 1.00 are one value; the text
    ``"1"`` is another). Take it of the event as sent: a time filled in by the receiver differs from retry to retry.
    """
    data: object = event.data
    if not _CANONICAL.issuperset(map(type, event.data.values())):
        data = by_value(data)
    payload = _encode((event.type, event.subject, event.time, data))
    return int.from_bytes(blake2b(payload, digest_size=8).digest(), "big", signed=True)


def by_value(value: object) -> object:
    """The same with numbers in one form, whichever way they were written."""
    if isinstance(value, Decimal):
        normal = value.normalize(_WIDE)
        return int(normal) if normal == normal.to_integral_value() else normal
    if isinstance(value, Mapping):
        return {key: by_value(member) for key, member in value.items()}
    if isinstance(value, list):
        return [by_value(member) for member in value]
    return value
