"""Identity: stable hashes of length-prefixed parts, and the part of a key."""

from hashlib import blake2b

PARTS = 256


def identity(*parts: str | bytes | int) -> bytes:
    """16-byte BLAKE2b of length-prefixed parts: ``("a-b", "c")`` and ``("a", "b-c")`` differ."""
    digest = blake2b(digest_size=16)
    for part in parts:
        raw = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(raw).to_bytes(4, "big"))
        digest.update(raw)
    return digest.digest()


def part_of(workspace: int, subject: str) -> int:
    """The part (0 to 255) in which a subject's rows live, the same for ever.

    A customer's own key is its first subject, so ``part_of(workspace, customer_key)`` is the customer's part.
    """
    return identity(workspace, subject)[0]
