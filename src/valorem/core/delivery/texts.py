"""How notices read: as JSON for programs, as lines for people; and what never leaves in either."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from valorem.core.time import write_instant

_SECRETS = re.compile(
    r"vl_(?:live|test)_[A-Za-z0-9_\-]{6,}|whsec_[A-Za-z0-9+/=_\-]{6,}|v1a?,[A-Za-z0-9+/=]{20,}"
    r"|(?i:bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_HIDDEN = "[redacted]"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message of the outbox, as it is told.

    Attributes:
        id: Its name for ever: the same in every attempt.
        topic: What happened.
        object: To what.
        sequence: Which message about that object it is, counted from 1.
        payload: What is told.
        at: When it happened.
    """

    id: str
    topic: str
    object: str
    sequence: int
    payload: Mapping[str, Any]
    at: datetime


def body_of(notice: Notice) -> bytes:
    """The body of a webhook, the same in every attempt."""
    document = {
        "type": notice.topic,
        "timestamp": write_instant(notice.at),
        "data": {**notice.payload, "object": notice.object, "sequence": notice.sequence},
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def line_of(notice: Notice) -> str:
    """The notice as one line for people."""
    payload = notice.payload
    who = payload.get("customer")
    match notice.topic:
        case "alert.crossed":
            text = f"{payload.get('text')}"
        case "alert.recovered":
            text = f"{payload.get('alert')}: back below {payload.get('threshold')}"
        case "expansion.signal":
            text = f"nearly out of {payload.get('on')}: {payload.get('level')} of {payload.get('of')}"
        case "paywall.hit":
            text = f"met the limit on {payload.get('feature')} ({payload.get('reason')})"
        case "invoice.finalised":
            text = f"invoice {payload.get('number')} over {payload.get('total')} {payload.get('currency')}"
        case _:
            text = notice.topic
    return f"{who}: {text}" if who else text


def mail_of(notices: Sequence[Notice]) -> tuple[str, str]:
    """Subject and text of a mail about one notice, or of a digest of several."""
    subject = line_of(notices[0]) if len(notices) == 1 else f"{len(notices)} notices"
    lines = [f"{write_instant(each.at)}  {line_of(each)}" for each in notices]
    return _one_line(subject)[:200], "\n".join([*map(_one_line, lines), ""])


def slack_of(notices: Sequence[Notice]) -> bytes:
    """The body of a Slack-compatible webhook; nothing in it is taken for a mention or a link."""
    text = "\n".join(line_of(each) for each in notices)
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return json.dumps({"text": escaped}, ensure_ascii=False).encode()


def redacted(text: str) -> str:
    """The text without anything that looks like a key, a secret, a signature or a password."""
    return _SECRETS.sub(_HIDDEN, text)


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
