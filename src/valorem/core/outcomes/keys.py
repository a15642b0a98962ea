"""Canonical keys: what makes two records the same outcome, by explicit rules and never by likeness."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal

from valorem.core.errors import InvalidInputError

Normalizer = Literal["trim", "lowercase", "digits", "e164"]
_LONGEST = 255


def canonical_key(text: str, normalizers: Sequence[Normalizer]) -> str:
    """Bring an id of the source to its one form.

    ``digits`` keeps the ASCII digits alone; ``e164`` keeps them behind a ``+`` and wants the number written with its
    country code (``+49 …`` or ``0049 …``), because a missing one cannot be guessed.

    Raises:
        InvalidInputError: For an id that is empty afterwards, too long, or no international number.
    """
    for normalizer in normalizers:
        match normalizer:
            case "trim":
                text = text.strip()
            case "lowercase":
                text = text.lower()
            case "digits":
                text = _digits(text)
            case "e164":
                text = _e164(text)
    if not text or len(text.encode()) > _LONGEST:
        raise InvalidInputError(
            f"{text[:40]!r} cannot be a key", field="key", hint=f"an id has 1 to {_LONGEST} bytes"
        )
    return text


def held_out(salt: str, unit: str, share_ppm: int) -> bool:
    """Whether a unit belongs to the holdout.

    The first 8 bytes of ``SHA-256(salt + ":" + unit)`` in UTF-8, as a big-endian integer modulo 1,000,000, are below the
    share in parts per million: anybody can recompute it with standard tools.
    """
    number = int.from_bytes(sha256(f"{salt}:{unit}".encode()).digest()[:8], "big")
    return number % 1_000_000 < share_ppm


def _digits(text: str) -> str:
    return "".join(each for each in text if "0" <= each <= "9")


def _e164(text: str) -> str:
    written = text.strip()
    digits = _digits(written)
    if written.startswith("00"):
        digits = digits[2:]
    elif not written.startswith("+"):
        digits = ""
    if not 7 <= len(digits) <= 15:
        raise InvalidInputError(
            f"{text[:40]!r} is no international telephone number",
            field="key",
            hint="write it with its country code: +49 30 123456",
        )
    return f"+{digits}"
