"""What the calls about the portal answer."""

from datetime import datetime

import msgspec


class PortalLink(msgspec.Struct, frozen=True):
    """A link that works once; ``url`` is None where a repeated request is answered."""

    url: str | None
    customer: str
    origin: str | None
    language: str | None
    expires_at: datetime


class PortalEnded(msgspec.Struct, frozen=True):
    """How many sessions were ended."""

    customer: str
    ended: int
