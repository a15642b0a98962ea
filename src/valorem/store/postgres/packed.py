"""Arrays packed by hand for the hot path: psycopg's list dumpers cost more than the statement at a thousand rows.

A :class:`Packed` value is PostgreSQL's binary array format, ready to send; each subclass names one array type.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from struct import Struct
from typing import ClassVar

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = Struct(">iiiii").pack
_LENGTH = Struct(">i").pack
_BIGINT = Struct(">q").pack
_INTEGER = Struct(">i").pack
_NULL = _LENGTH(-1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Packed(bytes):
    """An array in PostgreSQL's binary format."""

    array_oid: ClassVar[int]
    element_oid: ClassVar[int]


class Uuids(Packed):
    """``uuid[]``."""

    array_oid, element_oid = 2951, 2950


class Bigints(Packed):
    """``bigint[]``."""

    array_oid, element_oid = 1016, 20


class Integers(Packed):
    """``integer[]``."""

    array_oid, element_oid = 1007, 23


class Texts(Packed):
    """``text[]``."""

    array_oid, element_oid = 1009, 25


class Instants(Packed):
    """``timestamptz[]``."""

    array_oid, element_oid = 1185, 1184


class Byteas(Packed):
    """``bytea[]``."""

    array_oid, element_oid = 1001, 17


def uuids(keys: Sequence[bytes]) -> Uuids:
    """Pack 16-byte keys."""
    return Uuids(_fixed(Uuids, 16, keys))


def bigints(numbers: Iterable[int]) -> Bigints:
    """Pack signed 64-bit integers."""
    return Bigints(_fixed(Bigints, 8, [_BIGINT(number) for number in numbers]))


def integers(numbers: Iterable[int]) -> Integers:
    """Pack signed 32-bit integers."""
    return Integers(_fixed(Integers, 4, [_INTEGER(number) for number in numbers]))


def instants(times: Sequence[datetime]) -> Instants:
    """Pack instants; few distinct ones are expected (bucket starts)."""
    packed = {time: _BIGINT((time - _EPOCH) // _MICROSECOND) for time in set(times)}
    return Instants(_fixed(Instants, 8, [packed[time] for time in times]))


def texts(values: Sequence[str]) -> Texts:
    """Pack texts."""
    return Texts(_variable(Texts, map(_text, values), len(values)))


def byteas(values: Sequence[bytes | None]) -> Byteas:
    """Pack byte strings; None is null."""
    elements = [_NULL if value is None else _LENGTH(len(value)) + value for value in values]
    return Byteas(_variable(Byteas, elements, len(values)))


def literal(values: Iterable[object]) -> str:
    """An array in text form, for values that need no quoting: numbers, and None for null.

    The server parses a text ``numeric[]`` faster than Python can pack a binary one.
    """
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def _fixed(kind: type[Packed], size: int, elements: Sequence[bytes]) -> bytes:
    if not elements:
        return _HEADER(0, 0, kind.element_oid, 0, 1)[:12]
    length = _LENGTH(size)
    return _HEADER(1, 0, kind.element_oid, len(elements), 1) + length + length.join(elements)


@lru_cache(maxsize=16_384)
def _text(value: str) -> bytes:
    """One element; subjects and dimensions come again and again."""
    encoded = value.encode()
    return _LENGTH(len(encoded)) + encoded


def _variable(kind: type[Packed], elements: Iterable[bytes], count: int) -> bytes:
    if not count:
        return _HEADER(0, 0, kind.element_oid, 0, 1)[:12]
    return _HEADER(1, 1, kind.element_oid, count, 1) + b"".join(elements)


def _dumper(kind: type[Packed]) -> type[Dumper]:
    class PackedDumper(Dumper):
        format = Format.BINARY
        oid = kind.array_oid

        def dump(self, obj: Packed) -> Buffer | None:
            return obj

    return PackedDumper


for _kind in (Uuids, Bigints, Integers, Texts, Instants, Byteas):
    psycopg.adapters.register_dumper(_kind, _dumper(_kind))
