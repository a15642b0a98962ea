"""Exports as Parquet: one file for each stream, month and event type, sorted by customer and time, merged when small."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valorem.core.numbers import EXACT, MAX_FRACTION_DIGITS, ONE
from valorem.store.warehouse.folder import DataFile, Folder, Manifest, file_name, partition_folder
from valorem.store.warehouse.rows import CorrectionRow, EventRow, Export, Readings, Stream

#: Rows of a row group; a customer's rows are found by the least and greatest subject of each.
ROW_GROUP = 16_384
#: So many files of a partition that are about equally large, and smaller than :data:`SMALL_ROWS`, are merged into one:
#: a row is rewritten a few times in its life, and files of every size stay few.
MERGE_FILES = 8
SMALL_ROWS = 1_000_000

_INSTANT = pa.timestamp("us")  # UTC by convention: no reader converts anything
_KEY = pa.binary(16)
_NUMBER = pa.decimal128(38, MAX_FRACTION_DIGITS)
_QUANTUM = ONE.scaleb(-MAX_FRACTION_DIGITS)

_EVENTS = pa.schema(
    [
        ("part", pa.int16()),
        ("seq", pa.int64()),
        ("place", pa.int32()),
        ("key", _KEY),
        ("source", pa.string()),
        ("id", pa.string()),
        ("type", pa.string()),
        ("subject", pa.string()),
        ("time", _INSTANT),
        ("received_at", _INSTANT),
        ("raw", pa.binary()),
    ]
)
_CORRECTIONS = pa.schema(
    [
        ("part", pa.int16()),
        ("seq", pa.int64()),
        ("place", pa.int32()),
        ("key", _KEY),
        ("target", _KEY),
        ("received_at", _INSTANT),
        ("raw", pa.binary()),
    ]
)
_BY_CUSTOMER = [("subject", "ascending"), ("time", "ascending"), ("key", "ascending")]


def write_export(folder: Folder, export: Export) -> Manifest:
    """Write the files of an export and return the manifest that counts them; :meth:`Folder.commit` it."""
    files = [
        _write(folder, stream, event_type, month, export, table)
        for stream, event_type, month, table in _tables(export)
    ]
    return folder.manifest().with_covered(export.streams, export.part, export.last).with_files(files)


def merge_small(folder: Folder, manifest: Manifest) -> Manifest:
    """Merge the small files of crowded partitions and return the manifest that counts the merged ones."""
    crowded: dict[Any, list[DataFile]] = defaultdict(list)
    for file in manifest.files:
        if file.rows < SMALL_ROWS:
            size_class = (file.rows.bit_length() - 1) // 3  # eightfold
            crowded[file.partition, size_class].append(file)
    added, removed = [], []
    for ((stream, event_type, month, part), _), files in crowded.items():
        if len(files) < MERGE_FILES:
            continue
        tables = [pq.read_table(folder.path / file.path, partitioning=None) for file in files]
        table = pa.concat_tables(tables)
        first, last = min(file.first for file in files), max(file.last for file in files)
        added.append(_write_table(folder, stream, event_type, month, (part, first, last), table))
        removed += files
    return manifest.with_files(added, removed) if added else manifest


def _write(
    folder: Folder, stream: Stream, event_type: str, month: str, export: Export, table: pa.Table
) -> DataFile:
    return _write_table(folder, stream, event_type, month, (export.part, export.first, export.last), table)


def _write_table(
    folder: Folder, stream: Stream, event_type: str, month: str, span: tuple[int, int, int], table: pa.Table
) -> DataFile:
    if stream != "corrections":
        table = table.sort_by(_BY_CUSTOMER)
    relative = f"{partition_folder(stream, event_type, month)}/{file_name(*span)}"
    final = folder.path / relative
    waiting = folder.waiting_path(final)
    pq.write_table(
        table, waiting, row_group_size=ROW_GROUP, compression="zstd", store_decimal_as_integer=False
    )
    size = waiting.stat().st_size
    folder.place(waiting, final)
    return DataFile(relative, stream, event_type, month, *span, table.num_rows, size)


def _tables(export: Export) -> Iterable[tuple[Stream, str, str, pa.Table]]:
    by_type: dict[tuple[str, str], list[EventRow]] = defaultdict(list)
    for event in export.events:
        by_type[event.type, month_of(event.time)].append(event)
    for (event_type, month), events in sorted(by_type.items()):
        yield "events", event_type, month, _table(_EVENTS, events)
    if export.corrections:
        yield "corrections", "", "", _table(_CORRECTIONS, export.corrections)
    for readings in export.readings:
        yield from _reading_tables(readings)


def _reading_tables(readings: Readings) -> Iterable[tuple[Stream, str, str, pa.Table]]:
    value = ("text", pa.string()) if readings.text else ("number", _NUMBER)
    schema = pa.schema(
        [
            ("part", pa.int16()),
            ("seq", pa.int64()),
            ("place", pa.int32()),
            ("key", _KEY),
            ("order", pa.binary()),
            ("subject", pa.string()),
            ("time", _INSTANT),
            *((f"d{index}", pa.string()) for index in range(readings.dimensions)),
            value,
        ]
    )
    by_month: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in readings.rows:
        *before, dimensions, read = row
        by_month[month_of(row.time)].append(
            (*before, *dimensions, read if isinstance(read, str) else settled(read))
        )
    for month, rows in sorted(by_month.items()):
        yield readings.revision, "", month, _table(schema, rows)


def settled(number: Decimal) -> Decimal:
    """A reading's value with its twelve decimals written out; nothing is rounded, since it has no more."""
    return number.quantize(_QUANTUM, context=EXACT)


def month_of(at: datetime) -> str:
    """The month an instant falls in, UTC."""
    return f"{at.year:04}-{at.month:02}"


def _table(schema: pa.Schema, rows: Sequence[EventRow | CorrectionRow | tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.Table.from_arrays(
        [
            pa.array(_plain(values, field.type), field.type)
            for values, field in zip(columns, schema, strict=True)
        ],
        schema=schema,
    )


def _plain(values: Sequence[Any], kind: pa.DataType) -> Sequence[Any]:
    """Instants without their zone, which is UTC everywhere."""
    return [at.astimezone(UTC).replace(tzinfo=None) for at in values] if kind == _INSTANT else values
