"""Unpacking a body as it comes, with a bound on what it may become."""

import zlib
from collections.abc import AsyncIterator
from typing import ClassVar

from valorem.core.errors import InvalidInputError, TooLargeError, ValoremError
from valorem.core.limits import Limits

_GZIP = 31  # zlib's name for: a gzip header, largest window
#: The ratio is looked at once this much came out: the first bytes of any text compress well.
_RATIO_FROM_BYTES = 1024 * 1024
_STEP_BYTES = 256 * 1024


class UnsupportedEncodingError(ValoremError):
    """A Content-Encoding that is not read."""

    code: ClassVar[str] = "unsupported_encoding"
    status: ClassVar[int] = 415


async def unpacked(pieces: AsyncIterator[bytes], encoding: str | None, limits: Limits) -> bytes:
    """The whole body, unpacked where it was packed.

    Raises:
        UnsupportedEncodingError: For any encoding but gzip.
        TooLargeError: As soon as it unpacks to more than declared, in all or for its size.
        InvalidInputError: When it is not gzip, or cut off.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return b"".join([piece async for piece in pieces])
    if name not in {"gzip", "x-gzip"}:
        raise UnsupportedEncodingError(
            f"the encoding {name[:40]!r} is not read", field="content-encoding", hint="use gzip, or none"
        )
    gunzip = Gunzip(limits)
    async for piece in pieces:
        gunzip.feed(piece)
    return gunzip.finish()


class Gunzip:
    """Unpacks gzip members piece by piece and stops a bomb before it grows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._unpacker = zlib.decompressobj(_GZIP)
        self._out: list[bytes] = []
        self._packed_bytes = 0
        self._unpacked_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Unpack one more piece."""
        self._packed_bytes += len(piece)
        left = piece
        while left:
            if self._unpacker.eof:  # another member follows
                self._unpacker = zlib.decompressobj(_GZIP)
            try:
                out = self._unpacker.decompress(left, _STEP_BYTES)
            except zlib.error:
                raise InvalidInputError(
                    "the body is not gzip",
                    field="body",
                    hint="send it without Content-Encoding, or pack it again",
                ) from None
            self._unpacked_bytes += len(out)
            self._out.append(out)
            self._check()
            left = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail

    def finish(self) -> bytes:
        """The whole."""
        if not self._unpacker.eof:
            raise InvalidInputError("the gzip body is cut off", field="body", hint="send it again")
        return b"".join(self._out)

    def _check(self) -> None:
        limits = self._limits
        bomb = (
            self._unpacked_bytes > _RATIO_FROM_BYTES
            and self._unpacked_bytes > limits.decompression_ratio * self._packed_bytes
        )
        if bomb or self._unpacked_bytes > limits.decompressed_bytes:
            self._out.clear()
            raise TooLargeError(
                f"the body unpacks to more than {limits.decompressed_bytes} bytes"
                f" or more than {limits.decompression_ratio} times its size",
                field="body",
                hint="send smaller batches",
            )
