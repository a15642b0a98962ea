"""Rows of CSV, NDJSON and Parquet files, with numbers as written and never through a binary float."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from valorem.core.errors import InvalidInputError

FileFormat = Literal["csv", "ndjson", "parquet"]
_FORMATS: Mapping[str, FileFormat] = {
    ".csv": "csv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}
MAX_ROW_CHARACTERS = 1 << 20
_PARQUET_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        number: Counted from 1, the header not included.
        cells: By column; CSV cells are text.
        position: How much of the file is behind it, in the unit of :attr:`Table.size`.
        problem: Why it cannot be read at all, if so.
    """

    number: int
    cells: Mapping[str, Any]
    position: int
    problem: str | None = None


@dataclass(frozen=True)
class Table:
    """A file of rows.

    Attributes:
        path: The file.
        format: How it is read.
        digest: BLAKE2b (hex) of its bytes.
        size: Bytes, or rows for Parquet; what progress is measured against.
        columns: Known beforehand for CSV and Parquet; None where every row may differ.
    """

    path: Path
    format: FileFormat
    digest: str
    size: int
    columns: tuple[str, ...] | None

    def rows(self) -> Iterator[Row]:
        """Every row in order; one that cannot be read comes with its problem instead of stopping the rest."""
        readers = {"csv": _csv_rows, "ndjson": _ndjson_rows, "parquet": _parquet_rows}
        return readers[self.format](self.path)


def open_table(path: Path, file_format: FileFormat | None = None) -> Table:
    """Look at a file: its format, digest, size and columns.

    Raises:
        InvalidInputError: For a file that is missing or of no known format.
    """
    if not path.is_file():
        raise InvalidInputError(f"there is no file {path}", field="FILE")
    chosen = file_format or _FORMATS.get(path.suffix.lower())
    if chosen is None:
        raise InvalidInputError(
            f"{path.name} has no known ending",
            field="FILE",
            hint="name it .csv, .ndjson or .parquet, or pass --format",
        )
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if chosen == "parquet":
        try:
            metadata = pq.read_metadata(path)
            columns: tuple[str, ...] | None = tuple(pq.read_schema(path).names)
        except (pa.ArrowInvalid, OSError) as error:
            raise InvalidInputError(f"{path.name} is not Parquet: {error}", field="FILE") from None
        return Table(path, chosen, digest.hexdigest(), metadata.num_rows, columns)
    columns = _csv_header(path) if chosen == "csv" else None
    return Table(path, chosen, digest.hexdigest(), path.stat().st_size, columns)


def _text(path: Path) -> TextIO:
    # Bytes that are not UTF-8 become lone surrogates, which the row is then refused for: one bad row stops no other.
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


class _Lines:
    """Lines of a file, counting the bytes behind them."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.position = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_ROW_CHARACTERS)
        if not line:
            raise StopIteration
        if len(line) == MAX_ROW_CHARACTERS:
            raise InvalidInputError(
                f"a line of more than {MAX_ROW_CHARACTERS:,} characters",
                field="FILE",
                hint="one row is one line",
            )
        self.position += len(line.encode("utf-8", "surrogateescape"))
        return line


def _csv_header(path: Path) -> tuple[str, ...]:
    with _text(path) as file:
        header = next(csv.reader(_Lines(file)), [])
    if not header:
        raise InvalidInputError(
            f"{path.name} is empty", field="FILE", hint="the first line names the columns"
        )
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InvalidInputError(f"{path.name} names the column {repeated[0]!r} twice", field="FILE")
    return tuple(header)


def _csv_rows(path: Path) -> Iterator[Row]:
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    with _text(path) as file:
        lines = _Lines(file)
        reader = csv.reader(lines)
        header = next(reader)
        number = 0
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                number += 1
                yield Row(number, {}, lines.position, f"not CSV: {error}")
                continue
            if not cells:  # an empty line between rows
                continue
            number += 1
            problem = _shape_problem(header, cells)
            yield Row(number, dict(zip(header, cells, strict=False)), lines.position, problem)


def _shape_problem(header: list[str], cells: list[str]) -> str | None:
    if len(cells) != len(header):
        return f"{len(cells)} cells where the header names {len(header)} columns"
    return None


def _ndjson_rows(path: Path) -> Iterator[Row]:
    with _text(path) as file:
        lines = _Lines(file)
        for number, line in enumerate((line for line in lines if line.strip()), start=1):
            try:
                cells = json.loads(line, parse_float=Decimal, parse_constant=_no_constant)
                problem = None if isinstance(cells, dict) else "the line is not a JSON object"
            except (ValueError, RecursionError) as error:
                cells, problem = {}, f"not JSON: {error}"
            yield Row(number, cells if problem is None else {}, lines.position, problem)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _parquet_rows(path: Path) -> Iterator[Row]:
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
            for cells in _microseconds(batch).to_pylist():
                number += 1
                yield Row(number, cells, number)


def _microseconds(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Nanosecond instants cut to the microsecond, as every instant is."""
    fields = [
        field.with_type(pa.timestamp("us", field.type.tz))
        if pa.types.is_timestamp(field.type) and field.type.unit == "ns"
        else field
        for field in batch.schema
    ]
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type, safe=False) for column, field in zip(batch.columns, fields, strict=True)],
        schema=pa.schema(fields),
    )
