"""Identity: stable hashes of length-prefixed parts, and the part of a key."""

import re
from functools import lru_cache
from hashlib import blake2b

from valorem.core.errors import NotFoundError

PARTS = 256
_MADE_ID = re.compile(r"[a-z]{3}_[0-9a-f]{26}", re.ASCII)


def identity(*parts: str | bytes | int) -> bytes:
    """16-byte BLAKE2b of length-prefixed parts: ``("a-b", "c")`` and ``("a", "b-c")`` differ."""
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return digest.digest()


@lru_cache(maxsize=10_000)
def _begun(workspace: int, source: str) -> blake2b:
    digest = blake2b(digest_size=16)
    for part in (workspace, source):
        raw = str(part).encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest


def event_identity(workspace: int, source: str, event: str) -> bytes:
    """``identity(workspace, source, event)``, hashing once what the events of a source share."""
    digest = _begun(workspace, source).copy()
    raw = event.encode()
    digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.digest()


@lru_cache(maxsize=100_000)
def part_of(workspace: int, subject: str) -> int:
    """The part (0 to 255) in which a subject's rows live, the same for ever.

    A customer's own key is its first subject, so ``part_of(workspace, customer_key)`` is the customer's part.
    """
    return identity(workspace, subject)[0]


def part_in(identifier: str, kind: str) -> int:
    """The part that an id made by the engine names in its last two digits.

    Raises:
        NotFoundError: For text that is no id of this kind, just as for an id that does not exist.
    """
    if _MADE_ID.fullmatch(identifier) is None or not identifier.startswith(f"{kind}_"):
        raise NotFoundError(
            f"there is nothing with the id {identifier[:60]!r}",
            hint=f"ids of this kind begin with {kind}_; look it up in its list",
        )
    return int(identifier[-2:], 16)
