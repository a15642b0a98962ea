"""The warehouse in the embedded form: Parquet files read by DuckDB, in memory.

Its SQL sees typed values between instants computed in code: no JSON, no time zone, no float. Sums are taken over the
whole and the fractional parts of the values, so none can overflow or be rounded, and are put together in Python.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from valorem.core.metering.aggregation import Aggregation
from valorem.store.warehouse.folder import DataFile, Folder, Manifest
from valorem.store.warehouse.parquet import merge_small, month_of, write_export
from valorem.store.warehouse.rows import (
    EARLIEST,
    Counted,
    EventRow,
    Export,
    Position,
    Question,
    ReadingRow,
    Sequences,
    Stream,
    epoch_us,
)
from valorem.store.warehouse.tallies import collect, tally_of

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": "1GB",
    "threads": "2",
    "autoinstall_known_extensions": "false",
}

_WHOLE = "CAST(floor(number) AS HUGEINT)"
_FRACTION = (
    "CAST(number - floor(number) AS DECIMAL(26, 12))"  # wide: a product keeps the width of its factors
)
_SECONDS = "(epoch_us(time) // 1000000)"
_MICROS = f"(epoch_us(time) - {_SECONDS} * 1000000)"
_SUMS = f"sum({_WHOLE}) AS whole, sum({_FRACTION}) AS fraction"
_MOMENTS = (
    f"sum({_WHOLE} * {_SECONDS}) AS whole_s, sum({_WHOLE} * {_MICROS}) AS whole_us,"
    f" sum({_FRACTION} * CAST({_SECONDS} AS DECIMAL(12, 0))) AS fraction_s,"
    f" sum({_FRACTION} * CAST({_MICROS} AS DECIMAL(7, 0))) AS fraction_us"
)
_EVENT = "e.part, e.seq, e.place, e.key, e.source, e.id, e.type, e.subject, e.time, e.received_at, e.raw"


class DuckdbWarehouse:
    """Parquet files in a folder.

    Args:
        root: The folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._database = duckdb.connect(":memory:", config=_SETTINGS)  # 20 ms: not for each question anew
        self._opening = threading.Lock()

    def covered(self, workspace: int, stream: Stream) -> dict[int, int]:
        """For each part group, the last sequence up to which a stream is complete."""
        return Folder(self._root, workspace).manifest().covered_of(stream)

    def write(self, export: Export) -> None:
        """Write an export's files, then count them in the manifest; merge what has become many small files."""
        folder = Folder(self._root, export.workspace)
        folder.sweep(folder.manifest())
        manifest = write_export(folder, export)
        folder.commit(manifest)
        if (merged := merge_small(folder, manifest)) is not manifest:
            folder.commit(merged)

    def tallies(
        self,
        question: Question,
        aggregation: Aggregation,
        edges: Sequence[datetime],
        corrected: Sequence[bytes],
    ) -> list[Counted]:
        """Aggregate the readings between consecutive edges; a percentile's tally counts how often each value was seen."""
        segments = ", ".join(
            f"({index}, {_instant(start)}, {_instant(end)})"
            for index, (start, end) in enumerate(pairwise(edges))
        )
        names = ["segment", *_dimensions(question)]
        with self._readings(question, corrected) as (connection, readings):
            rows = connection.execute(
                f"WITH edge (segment, starts, ends) AS (VALUES {segments}), counted AS (SELECT edge.segment, r.*"
                f" FROM {readings} JOIN edge ON r.time >= starts AND r.time < ends) {_emit(aggregation, names)}",
                _parameters(question),
            )
            columns = [column[0] for column in rows.description or ()]
            found = [dict(zip(columns, row, strict=True)) for row in rows.fetchall()]
        return collect(
            (row["segment"], tuple(row[name] for name in names[1:]), tally_of(row, _utc(row.get("last_at"))))
            for row in found
        )

    def page(
        self, question: Question, after: Position | None, limit: int, corrected: Sequence[bytes]
    ) -> list[ReadingRow]:
        """The readings in order of time, identity and place, from after a position on."""
        later = ""
        if after is not None:
            at = _instant(after.time)
            later = (
                f"WHERE r.time > {at} OR (r.time = {at} AND (r.key > {_key(after.key)}"
                f" OR (r.key = {_key(after.key)} AND r.place > {after.place:d})))"
            )
        with self._readings(question, corrected) as (connection, readings):
            rows = connection.execute(
                f'SELECT part, seq, place, key, "order", subject, time, [{", ".join(_dimensions(question))}]::VARCHAR[],'
                f" COLUMNS('^(number|text)$') FROM {readings} {later} ORDER BY time, key, place LIMIT {limit:d}",
                _parameters(question),
            ).fetchall()
        return [
            ReadingRow(part, seq, place, key, order, subject, _time(time), tuple(dimensions), value)
            for part, seq, place, key, order, subject, time, dimensions, value in rows
        ]

    def corrected_events(self, question: Question, corrected: Sequence[bytes]) -> list[EventRow]:
        """Events of the asked subjects and types, at any time, that have been corrected; as they were sent."""
        manifest, folder = self._manifest(question.workspace)
        files = [file for file in manifest.files if file.stream == "events" and file.type in question.types]
        if not files or not (corrected or any(file.stream == "corrections" for file in manifest.files)):
            return []
        with self._connection(folder, manifest, question, corrected) as connection:
            rows = connection.execute(
                f"SELECT {_EVENT} FROM {_files(folder, files)} e"
                f" WHERE {_subjects(question.subjects)} AND {_until(question, 'e')}"
                " AND (e.key IN (SELECT target FROM correction) OR e.key IN (SELECT target FROM newer))"
                " ORDER BY e.time, e.key",
                question.subjects,
            ).fetchall()
        return [_event(row) for row in rows]

    def events(
        self,
        workspace: int,
        subjects: Sequence[str],
        start: datetime,
        end: datetime,
        *,
        keys: Sequence[bytes] | None = None,
        types: Sequence[str] | None = None,
        after: tuple[datetime, bytes] | None = None,
        until: Sequences | None = None,
        limit: int | None = None,
    ) -> list[EventRow]:
        """Recorded events as sent, in order of time and identity, corrections left out."""
        manifest, folder = self._manifest(workspace)
        files = _in_months(
            (
                file
                for file in manifest.files
                if file.stream == "events" and (types is None or file.type in types)
            ),
            start,
            end,
        )
        if not files:
            return []
        question = Question(workspace, tuple(subjects), start, end, 0, 0, frozenset(), until or {})
        conditions = [
            _subjects(subjects),
            f"e.time >= {_instant(start)} AND e.time < {_instant(end)}",
            _until(question, "e"),
        ]
        if keys is not None:
            conditions.append(f"e.key IN ({', '.join(map(_key, keys)) or 'NULL'})")
        if after is not None:
            at = _instant(after[0])
            conditions.append(f"(e.time > {at} OR (e.time = {at} AND e.key > {_key(after[1])}))")
        with self._memory() as connection:
            rows = connection.execute(
                f"SELECT {_EVENT} FROM {_files(folder, files)} e WHERE {' AND '.join(conditions)}"
                f" ORDER BY e.time, e.key {'' if limit is None else f'LIMIT {limit:d}'}",
                list(subjects),
            ).fetchall()
        return [_event(row) for row in rows]

    def types(self, workspace: int, subjects: Sequence[str], until: Sequences) -> dict[str, int]:
        """How many events of each type subjects have, corrections left out; for each part group up to a sequence."""
        manifest, folder = self._manifest(workspace)
        files = [file for file in manifest.files if file.stream == "events"]
        if not files:
            return {}
        question = Question(workspace, tuple(subjects), EARLIEST, EARLIEST, 0, 0, frozenset(), until)
        with self._memory() as connection:
            rows = connection.execute(
                f"SELECT e.type, count(*) FROM {_files(folder, files)} e"
                f" WHERE {_subjects(subjects)} AND {_until(question, 'e')} GROUP BY 1 ORDER BY 1",
                list(subjects),
            ).fetchall()
        return dict(rows)

    @contextmanager
    def _memory(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own, so that questions may be asked from several threads."""
        with self._opening:
            connection = self._database.cursor()
        try:
            yield connection
        finally:
            connection.close()

    def _manifest(self, workspace: int) -> tuple[Manifest, Folder]:
        folder = Folder(self._root, workspace)
        return folder.manifest(), folder

    @contextmanager
    def _readings(
        self, question: Question, corrected: Sequence[bytes]
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """The readings a question asks for, without those of corrected events, as a table expression named ``r``."""
        manifest, folder = self._manifest(question.workspace)
        files = _in_months(
            (file for file in manifest.files if file.stream == question.revision),
            question.start,
            question.end,
        )
        with self._connection(folder, manifest, question, corrected) as connection:
            source = _files(folder, files) if files else _no_readings(question)
            within = f"e.time >= {_instant(question.start)} AND e.time < {_instant(question.end)}"
            readings = (
                f"(SELECT * FROM {source} e WHERE {_subjects(question.subjects)}{_where(question)} AND {within}"
                f" AND {_until(question, 'e')} AND e.key NOT IN (SELECT target FROM correction)"
                " AND e.key NOT IN (SELECT target FROM newer)) r"
            )
            yield connection, readings

    @contextmanager
    def _connection(
        self, folder: Folder, manifest: Manifest, question: Question, corrected: Sequence[bytes]
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """DuckDB with the exported corrections as ``correction`` and the targets of newer ones as ``newer``."""
        files = [file for file in manifest.files if file.stream == "corrections"]
        source = _files(folder, files) if files else _NO_CORRECTIONS
        with self._memory() as connection:
            connection.register("newer", pa.table({"target": pa.array(corrected, pa.binary())}))
            connection.execute(
                f"CREATE TEMP VIEW correction AS SELECT * FROM {source} c WHERE {_until(question, 'c')}"
            )
            yield connection


_NO_CORRECTIONS = "(SELECT 0 AS part, 0 AS seq, ''::BLOB AS target WHERE false)"
_LAST = 'row_number() OVER (PARTITION BY {names} ORDER BY time DESC, "order" || key DESC)'


def _emit(aggregation: Aggregation, names: Sequence[str]) -> str:
    """The query that aggregates ``counted`` by the named columns."""
    by = ", ".join(names)
    if aggregation.values or aggregation.needs_events:
        value = "text" if aggregation.values else "number"
        return f"SELECT {by}, {value} AS value, count(*) AS n FROM counted GROUP BY {by}, {value}"
    if aggregation.last:
        return (
            f"SELECT {by}, count(*) OVER (PARTITION BY {by}) AS n, number AS last, time AS last_at,"
            f' "order" || key AS last_key FROM counted QUALIFY {_LAST.format(names=by)} = 1'
        )
    parts = ["count(*) AS n"]
    parts += [_SUMS] if aggregation.total else []
    parts += [_MOMENTS] if aggregation.moment else []
    parts += ["min(number) AS low"] if aggregation.low else []
    parts += ["max(number) AS high"] if aggregation.high else []
    return f"SELECT {by}, {', '.join(parts)} FROM counted GROUP BY {by}"


def _dimensions(question: Question) -> list[str]:
    return [f"d{index}" for index in range(question.dimensions)]


def _no_readings(question: Question) -> str:
    columns = "".join(f", NULL::VARCHAR AS {name}" for name in _dimensions(question))
    return (
        "(SELECT 0 AS part, 0 AS seq, 0 AS place, ''::BLOB AS key, ''::BLOB AS \"order\", '' AS subject,"
        f" TIMESTAMP '2000-01-01' AS time{columns}, 0::DECIMAL(38, 12) AS number, '' AS text WHERE false)"
    )


def _files(folder: Folder, files: Sequence[DataFile]) -> str:
    paths = ", ".join("'" + str(folder.path / file.path).replace("'", "''") + "'" for file in files)
    return f"read_parquet([{paths}], hive_partitioning = false)"


def _in_months(files: Iterator[DataFile], start: datetime, end: datetime) -> list[DataFile]:
    first, last = month_of(start), month_of(end)
    return [file for file in files if first <= file.month <= last]


def _subjects(subjects: Sequence[str]) -> str:
    return f"e.subject IN ({', '.join('?' * len(subjects)) or 'NULL'})"


def _where(question: Question) -> str:
    """Only readings with the wanted dimension values; their texts are parameters, after the subjects."""
    conditions = ""
    for place, values in sorted(question.where.items()):
        marks = ", ".join("?" for value in values if value is not None)
        wanted = [f"e.d{place:d} IN ({marks})"] if marks else []
        wanted += [f"e.d{place:d} IS NULL"] if None in values else []
        conditions += f" AND ({' OR '.join(wanted) or 'false'})"
    return conditions


def _parameters(question: Question) -> list[str]:
    texts = [value for _, values in sorted(question.where.items()) for value in values if value is not None]
    return [*question.subjects, *texts]


def _until(question: Question, name: str) -> str:
    """Only rows up to the asked sequences."""
    limits = [
        f"NOT ({name}.part = {part:d} AND {name}.seq > {seq:d})"
        for part, seq in sorted(question.until.items())
    ]
    return " AND ".join(limits) or "true"


def _instant(at: datetime) -> str:
    return f"make_timestamp({epoch_us(at)})"


def _key(key: bytes) -> str:
    return f"from_hex('{key.hex()}')"


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)


def _time(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC)


def _event(row: Sequence[Any]) -> EventRow:
    part, seq, place, key, source, event_id, event_type, subject, time, received_at, raw = row
    times = (_time(time), _time(received_at))
    return EventRow(part, seq, place, key, source, event_id, event_type, subject, *times, raw)
