"""The folder: a crash between any two steps leaves the old answer or the new one, and small files become large ones."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from valorem.core.ids import identity
from valorem.core.metering.aggregation import AGGREGATIONS
from valorem.store.warehouse import folder as folder_module
from valorem.store.warehouse import parquet
from valorem.store.warehouse.duckdb import DuckdbWarehouse
from valorem.store.warehouse.folder import Folder, partition_folder
from valorem.store.warehouse.rows import EventRow, Export, Question, ReadingRow, Readings

START = datetime(2026, 1, 31, 23, tzinfo=UTC)
END = datetime(2026, 3, 1, tzinfo=UTC)
QUESTION = Question(1, ("ada",), START, END, 7, 0, frozenset({"call"}))


class CrashError(Exception):
    """The process dies here."""


def export(first: int, last: int, event_type: str = "call") -> Export:
    events, readings = [], []
    for seq in range(first, last + 1):
        time, key = START + timedelta(hours=seq), identity(1, "s", seq)
        raw = b'{"id":"%d"}' % seq
        events.append(EventRow(0, seq, 0, key, "s", str(seq), event_type, "ada", time, time, raw))
        readings.append(ReadingRow(0, seq, 0, key, b"", "ada", time, (), Decimal(seq)))
    return Export(
        1,
        0,
        first,
        last,
        frozenset({"events", "corrections", 7}),
        events,
        (),
        (Readings(7, 0, False, readings),),
    )


def total(root: Path) -> Decimal:
    counted = DuckdbWarehouse(root).tallies(QUESTION, AGGREGATIONS["sum"], [START, END], ())
    return sum((tally.total for _, _, tally in counted), Decimal(0))


@contextmanager
def dying(at: int) -> Iterator[None]:
    """Let the n-th file operation raise."""
    left = at

    def step(real: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            raise CrashError
        return real(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (pq, "write_table")):
            patch.setattr(
                owner, name, partial(step, getattr(owner, name)) if owner is not Path else _bound(step, name)
            )
        yield


def _bound(step: Callable[..., Any], name: str) -> Callable[..., Any]:
    real = getattr(Path, name)
    return lambda *args, **kwargs: step(real, *args, **kwargs)


@pytest.mark.slow
def test_a_crash_at_any_step_leaves_the_old_answer_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MERGE_FILES", 2)
    crashed = True
    for at in count(1):
        if not crashed:
            break
        root = tmp_path / str(at)
        warehouse = DuckdbWarehouse(root)
        try:
            with dying(at):
                crashed = True
                warehouse.write(export(2, 3))
                warehouse.write(export(4, 5))
                crashed = False
        except CrashError:
            pass
        reached = warehouse.covered(1, 7).get(0, 1)
        assert total(root) == sum(range(2, reached + 1))
        warehouse.write(export(reached + 1, 9))
        assert total(root) == 44
        assert len(warehouse.events(1, ["ada"], START, END)) == 8
    assert at > 20


def test_a_repeat_of_an_export_changes_nothing(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path)
    for _ in range(3):
        warehouse.write(export(1, 4))
    assert total(tmp_path) == 10
    assert len(Folder(tmp_path, 1).manifest().files) == 2  # events and readings


def test_small_files_are_merged_and_stay_sorted_by_customer(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path)
    for seq in range(2, 2 + 3 * parquet.MERGE_FILES):
        warehouse.write(export(seq, seq))
    folder = Folder(tmp_path, 1)
    manifest = folder.manifest()
    february = [file for file in manifest.files if file.stream == 7 and file.month == "2026-02"]
    assert len(february) < parquet.MERGE_FILES
    assert sum(file.rows for file in february) == 3 * parquet.MERGE_FILES
    for file in february:
        times = pq.read_table(folder.path / file.path, partitioning=None)["time"].to_pylist()
        assert times == sorted(times)
    assert total(tmp_path) == sum(range(2, 2 + 3 * parquet.MERGE_FILES))
    warehouse.write(export(100, 100))
    warehouse.write(export(101, 101))
    on_disk = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*.parquet")}
    manifest = folder.manifest()
    assert on_disk == {file.path for file in manifest.files} | set(manifest.retired)


def test_files_left_behind_by_a_broken_run_do_not_count_and_are_swept(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path)
    warehouse.write(export(1, 2))
    folder = Folder(tmp_path, 1)
    parquet.write_export(folder, export(3, 9))  # and dies before the manifest
    (folder.path / "readings" / "half.parquet.new").write_bytes(b"PAR1")
    assert total(tmp_path) == 3
    warehouse.write(export(3, 4))
    assert total(tmp_path) == 10
    assert not list(folder.path.rglob("*.new"))
    assert not list(folder.path.rglob("*-000000000003-000000000009.parquet"))


@pytest.mark.parametrize(
    "event_type", ["call", "a/b", "../..", "é" * 127, "x" * 255, "A", "a", "type=1", "quo'te"]
)
def test_any_event_type_has_a_folder_of_its_own_inside(tmp_path: Path, event_type: str) -> None:
    others = {"call", "a/b", "../..", "é" * 126, "x" * 254, "A", "a", "type=1", "quo'te"} - {event_type}
    name = partition_folder("events", event_type, "2026-01")
    assert (tmp_path / name).resolve().is_relative_to(tmp_path.resolve())
    assert name.count("/") == 2
    assert name not in {partition_folder("events", other, "2026-01") for other in others}
    warehouse = DuckdbWarehouse(tmp_path)
    warehouse.write(export(1, 1, event_type))
    assert warehouse.types(1, ["ada"], {}) == {event_type: 1}


def test_decimals_are_decimals_in_the_files(tmp_path: Path) -> None:
    DuckdbWarehouse(tmp_path).write(export(1, 1))
    (file,) = [file for file in Folder(tmp_path, 1).manifest().files if file.stream == 7]
    schema = pq.read_schema(Folder(tmp_path, 1).path / file.path)
    assert str(schema.field("number").type) == "decimal128(38, 12)"
    assert not any("float" in str(field.type) or "double" in str(field.type) for field in schema)
    assert folder_module.MANIFEST == "manifest.json"
