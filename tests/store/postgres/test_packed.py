from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from valorem.store.postgres import packed


@pytest.fixture(scope="module")
def connection(module_database_url: str) -> Iterator[psycopg.Connection]:
    url = module_database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, options="-c timezone=UTC") as opened:
        yield opened


@pytest.mark.parametrize(
    ("array", "kind", "expected"),
    [
        (packed.uuids([bytes(16), bytes(range(16))]), "uuid[]", [UUID(int=0), UUID(bytes=bytes(range(16)))]),
        (packed.bigints([0, -1, 2**63 - 1, -(2**63)]), "bigint[]", [0, -1, 2**63 - 1, -(2**63)]),
        (packed.integers([0, -1, 2**31 - 1]), "integer[]", [0, -1, 2**31 - 1]),
        (packed.texts(["", 'é{}",\\', "NULL", "\x1f"]), "text[]", ["", 'é{}",\\', "NULL", "\x1f"]),
        (packed.byteas([b"", None, b"\x00\xff"]), "bytea[]", [b"", None, b"\x00\xff"]),
        (
            packed.instants([datetime(1999, 12, 31, 23, 45, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)]),
            "timestamptz[]",
            [datetime(1999, 12, 31, 23, 45, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC)],
        ),
        (packed.uuids([]), "uuid[]", []),
        (packed.texts([]), "text[]", []),
        (packed.literal([1, None, "2.50"]), "numeric[]", [1, None, 2.5]),
    ],
)
def test_what_is_packed_arrives(
    connection: psycopg.Connection, array: object, kind: str, expected: list[object]
) -> None:
    row = connection.execute(f"SELECT %s::{kind}".encode(), (array,)).fetchone()
    assert row == (expected,)
