"""Recorded batches as bytes: events one a line, as received, compressed."""

from collections.abc import Sequence
from struct import Struct
from zlib import crc32

from pyarrow import Codec

_SIZE = Struct(">I")
#: Level -5 packs as fast as lz4 and unpacks in a tenth of a millisecond per thousand events.
_ZSTD = Codec("zstd", compression_level=-5)


def pack_lines(raws: Sequence[bytes]) -> bytes:
    """Compress events to one block; a line break between JSON tokens becomes a space."""
    text = b"\n".join(raws)
    if text.count(b"\n") != len(raws) - 1:
        text = b"\n".join([raw.replace(b"\n", b" ") for raw in raws])
    return _SIZE.pack(len(text)) + bytes(_ZSTD.compress(text, asbytes=True))


def unpack_lines(block: bytes) -> list[bytes]:
    """The events of a block, by place."""
    (size,) = _SIZE.unpack_from(block)
    text: bytes = _ZSTD.decompress(block[_SIZE.size :], decompressed_size=size, asbytes=True)
    return text.split(b"\n")


def subject_hash(subject: str) -> int:
    """A short signed hash by which batches without a subject are skipped; never an identity."""
    return crc32(subject.encode()) - 0x80000000
