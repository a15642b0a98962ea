"""What benchmarks share: a measurement, fresh databases, percentiles."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeAlias

import psycopg

from valorem.store.embedded import EmbeddedPostgres
from valorem.store.postgres.migrate import upgrade


@dataclass(frozen=True)
class Size:
    """How much of the long ones; the defaults keep all of them together under a quarter of an hour.

    Attributes:
        contracts: Sold and closed by ``close``.
        events: Behind the pages of ``pages``.
        outcomes: Folded by ``outcomes``, five pieces of evidence each.
    """

    contracts: int = 2_000
    events: int = 100_000
    outcomes: int = 40_000


#: What the figures of the documentation were taken with.
FULL = Size(contracts=10_000, events=1_000_000, outcomes=200_000)

#: Makes an empty, migrated database and returns its URL.
Fresh: TypeAlias = Callable[[], str]


@dataclass(frozen=True)
class Measurement:
    """One row of a benchmark's table: a case, and what was measured (units last in the names)."""

    name: str
    values: Mapping[str, float | int | str]


@contextmanager
def databases(url: str | None) -> Iterator[Fresh]:
    """Make databases on a given server, or on an embedded one that lives as long as the block."""
    if url is not None:
        yield _maker(lambda name: f"{url.rstrip('/')}/{name}")
        return
    with (
        tempfile.TemporaryDirectory(prefix="valorem-bench-") as folder,
        EmbeddedPostgres(Path(folder)) as server,
    ):
        yield _maker(server.url_for)


def _maker(url_of: Callable[[str], str]) -> Fresh:
    numbers = count(1)

    def fresh() -> str:
        name = f"bench_{next(numbers)}"
        admin = url_of("postgres").replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        upgrade(url_of(name))
        return url_of(name)

    return fresh


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of measured times."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
