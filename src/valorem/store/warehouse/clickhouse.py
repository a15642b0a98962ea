"""The warehouse in the distributed form: ClickHouse, asked over HTTP or, in tests, in process.

Rows are written by ranges of sequences and replaced by their like, so a repeat changes nothing: every read uses FINAL and
looks no further than what is known to be complete. Sums are of Decimal256, since those of smaller decimals overflow
silently. Bytes are written in hexadecimal, which keeps their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Protocol

from valorem.core.metering.aggregation import Aggregation
from valorem.core.metering.event import EPOCH
from valorem.store.warehouse.parquet import settled
from valorem.store.warehouse.rows import (
    CorrectionRow,
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

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS event (
        workspace Int32, part Int16, seq Int64, place Int32, key String, source String, id String, type String,
        subject String, time_us Int64, month Int32, received_us Int64, raw String
    ) ENGINE = ReplacingMergeTree PARTITION BY month ORDER BY (workspace, subject, time_us, source, id)
    SETTINGS fsync_after_insert = 1
    """,
    """
    CREATE TABLE IF NOT EXISTS reading (
        workspace Int32, revision Int32, part Int16, seq Int64, place Int32, key String, sequence String, subject String,
        time_us Int64, month Int32, dimensions Array(Nullable(String)), number Decimal(38, 12), text String
    ) ENGINE = ReplacingMergeTree PARTITION BY month ORDER BY (workspace, revision, subject, time_us, key, place)
    SETTINGS fsync_after_insert = 1
    """,
    """
    CREATE TABLE IF NOT EXISTS correction (
        workspace Int32, part Int16, seq Int64, place Int32, key String, target String, received_us Int64, raw String
    ) ENGINE = ReplacingMergeTree ORDER BY (workspace, target, key)
    SETTINGS fsync_after_insert = 1
    """,
    """
    CREATE TABLE IF NOT EXISTS covered (workspace Int32, stream String, part Int16, seq Int64)
    ENGINE = ReplacingMergeTree(seq) ORDER BY (workspace, stream, part)
    SETTINGS fsync_after_insert = 1
    """,
)
_EVENT = ("part", "seq", "place", "key", "source", "id", "type", "subject", "time_us", "received_us", "raw")
_CORRECTION = ("part", "seq", "place", "key", "target", "received_us", "raw")
_READING = ("part", "seq", "place", "key", "sequence", "subject", "time_us", "dimensions")
_NUMBER = "toDecimal256(number, 12)"
_Parameters = dict[str, Any]


class Result(Protocol):
    """The rows of a query."""

    @property
    def column_names(self) -> Sequence[str]:
        """Names, in order."""

    @property
    def result_rows(self) -> Sequence[Sequence[Any]]:
        """Rows."""


class ClickhouseClient(Protocol):
    """What is used of ``clickhouse_connect``'s client."""

    def command(self, cmd: str) -> Any:
        """Run a statement that returns no rows."""

    def query(self, query: str, parameters: Mapping[str, Any] | None = None) -> Result:
        """Run a query."""

    def insert(self, table: str, data: Sequence[Sequence[Any]], column_names: Sequence[str]) -> Any:
        """Insert rows."""


class ClickhouseWarehouse:
    """Tables of the database a client is connected to, made at the first use where they are missing.

    Args:
        client: From ``clickhouse_connect.get_client``, or :func:`valorem.store.warehouse.connecting.connect`.
    """

    def __init__(self, client: ClickhouseClient) -> None:
        self._unprepared = client
        self._preparing = Lock()
        self._prepared = False

    @property
    def _client(self) -> ClickhouseClient:
        if not self._prepared:
            with self._preparing:
                for statement in _TABLES:
                    self._unprepared.command(statement)
                self._prepared = True
        return self._unprepared

    def covered(self, workspace: int, stream: Stream) -> dict[int, int]:
        """For each part group, the last sequence up to which a stream is complete."""
        rows = self._rows(
            "SELECT part, max(seq) FROM covered WHERE workspace = {workspace:Int32} AND stream = {stream:String} GROUP BY part",
            {"workspace": workspace, "stream": str(stream)},
        )
        return {int(part): int(seq) for part, seq in rows}

    def write(self, export: Export) -> None:
        """Insert an export's rows, then say that they are complete."""
        workspace = export.workspace
        self._insert(
            "event",
            ("workspace", "month", *_EVENT),
            ((workspace, _month(row.time), *_event_values(row)) for row in export.events),
        )
        self._insert(
            "correction",
            ("workspace", *_CORRECTION),
            ((workspace, *_correction_values(row)) for row in export.corrections),
        )
        for readings in export.readings:
            self._insert(
                "reading",
                ("workspace", "revision", "month", *_READING, "number", "text"),
                (
                    (
                        workspace,
                        readings.revision,
                        _month(row.time),
                        *_reading_values(row, text=readings.text),
                    )
                    for row in readings.rows
                ),
            )
        covered = [
            (workspace, str(stream), export.part, export.last) for stream in sorted(map(str, export.streams))
        ]
        self._insert("covered", ("workspace", "stream", "part", "seq"), covered)

    def tallies(
        self,
        question: Question,
        aggregation: Aggregation,
        edges: Sequence[datetime],
        corrected: Sequence[bytes],
    ) -> list[Counted]:
        """Aggregate the readings between consecutive edges; a percentile's tally counts how often each value was seen."""
        source, parameters = self._readings(question, corrected)
        rows = self._named(
            f"WITH counted AS (SELECT toInt32(arrayCount(edge -> edge <= time_us, {{edges:Array(Int64)}})) - 1 AS segment, *"
            f" FROM {source} WHERE segment >= 0 AND time_us < {{last:Int64}}) {_emit(aggregation)}",
            {**parameters, "edges": [epoch_us(edge) for edge in edges], "last": epoch_us(edges[-1])},
        )
        return collect((row["segment"], tuple(row["dimensions"]), _tally(row)) for row in rows)

    def page(
        self, question: Question, after: Position | None, limit: int, corrected: Sequence[bytes]
    ) -> list[ReadingRow]:
        """The readings in order of time, identity and place, from after a position on."""
        source, parameters = self._readings(question, corrected)
        later = ""
        if after is not None:
            later = "WHERE (time_us, key, place) > ({at:Int64}, {key:String}, {place:Int32})"
            parameters |= {"at": epoch_us(after.time), "key": after.key.hex(), "place": after.place}
        rows = self._rows(
            f"SELECT {', '.join(_READING)}, number, text FROM {source} {later} ORDER BY time_us, key, place LIMIT {limit:d}",
            parameters,
        )
        return [
            ReadingRow(
                part, seq, place, bytes.fromhex(key), bytes.fromhex(order), subject, _time(time_us), tuple(names),
                text[1:] if text else number,
            )
            for part, seq, place, key, order, subject, time_us, names, number, text in rows
        ]  # fmt: skip

    def corrected_events(self, question: Question, corrected: Sequence[bytes]) -> list[EventRow]:
        """Events of the asked subjects and types, at any time, that have been corrected; as they were sent."""
        rows = self._rows(
            f"SELECT {', '.join(_EVENT)} FROM event FINAL WHERE workspace = {{workspace:Int32}}"
            " AND subject IN {subjects:Array(String)} AND type IN {types:Array(String)}"
            f" AND {self._complete(question, 'events')} AND (key IN {{corrected:Array(String)}}"
            f" OR key IN (SELECT target FROM correction FINAL WHERE {self._corrections(question)})) ORDER BY time_us, key",
            self._parameters(question, corrected) | {"types": sorted(question.types)},
        )
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
        everything = Question(workspace, tuple(subjects), start, end, 0, 0, frozenset(), until or {})
        parameters = self._parameters(everything, ())
        conditions = [
            "workspace = {workspace:Int32} AND subject IN {subjects:Array(String)}",
            "time_us >= {start:Int64} AND time_us < {end:Int64}",
            self._complete(everything, "events"),
        ]
        if keys is not None:
            conditions.append("key IN {keys:Array(String)}")
            parameters["keys"] = [key.hex() for key in keys]
        if types is not None:
            conditions.append("type IN {types:Array(String)}")
            parameters["types"] = list(types)
        if after is not None:
            conditions.append("(time_us, key) > ({at:Int64}, {key:String})")
            parameters |= {"at": epoch_us(after[0]), "key": after[1].hex()}
        rows = self._rows(
            f"SELECT {', '.join(_EVENT)} FROM event FINAL WHERE {' AND '.join(conditions)}"
            f" ORDER BY time_us, key {'' if limit is None else f'LIMIT {limit:d}'}",
            parameters,
        )
        return [_event(row) for row in rows]

    def types(self, workspace: int, subjects: Sequence[str], until: Sequences) -> dict[str, int]:
        """How many events of each type subjects have, corrections left out; for each part group up to a sequence."""
        everything = Question(workspace, tuple(subjects), EPOCH, EPOCH, 0, 0, frozenset(), until)
        rows = self._rows(
            "SELECT type, count() FROM event FINAL WHERE workspace = {workspace:Int32}"
            f" AND subject IN {{subjects:Array(String)}} AND {self._complete(everything, 'events')} GROUP BY type ORDER BY type",
            self._parameters(everything, ()),
        )
        return {str(event_type): int(count) for event_type, count in rows}

    def _readings(self, question: Question, corrected: Sequence[bytes]) -> tuple[str, _Parameters]:
        """The readings a question asks for, without those of corrected events, as a table expression."""
        source = (
            "(SELECT * FROM reading FINAL WHERE workspace = {workspace:Int32} AND revision = {revision:Int32}"
            " AND subject IN {subjects:Array(String)} AND time_us >= {start:Int64} AND time_us < {end:Int64}"
            f"{_where(question)} AND {self._complete(question, question.revision)} AND key NOT IN {{corrected:Array(String)}}"
            f" AND key NOT IN (SELECT target FROM correction FINAL WHERE {self._corrections(question)}))"
        )
        return source, self._parameters(question, corrected)

    def _parameters(self, question: Question, corrected: Sequence[bytes]) -> _Parameters:
        return {
            "workspace": question.workspace,
            "revision": question.revision,
            "subjects": list(question.subjects),
            "start": epoch_us(question.start),
            "end": epoch_us(question.end),
            "corrected": [key.hex() for key in corrected],
            **{
                f"dimension{place}": [value for value in values if value is not None]
                for place, values in question.where.items()
            },
        }

    def _corrections(self, question: Question) -> str:
        return f"workspace = {{workspace:Int32}} AND {self._complete(question, 'corrections')}"

    def _complete(self, question: Question, stream: Stream) -> str:
        """Only rows that are known to be complete: an interrupted write may have left more."""
        covered = self.covered(question.workspace, stream)
        limits = [
            f"(part = {part:d} AND seq <= {min(seq, question.until.get(part, seq)):d})"
            for part, seq in sorted(covered.items())
        ]
        return f"({' OR '.join(limits) or 'false'})"

    def _insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        data = list(rows)
        if data:
            self._client.insert(table, data, column_names=columns)

    def _rows(self, query: str, parameters: _Parameters) -> Sequence[Sequence[Any]]:
        return self._client.query(query, parameters=parameters).result_rows

    def _named(self, query: str, parameters: _Parameters) -> list[dict[str, Any]]:
        result = self._client.query(query, parameters=parameters)
        return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]


def _emit(aggregation: Aggregation) -> str:
    """The query that aggregates ``counted`` by segment and dimensions."""
    if aggregation.values or aggregation.needs_events:
        value = "substring(text, 2)" if aggregation.values else "number"
        return f"SELECT segment, dimensions, {value} AS value, count() AS n FROM counted GROUP BY segment, dimensions, value"
    parts = ["count() AS n"]
    if aggregation.last:
        latest = "(time_us, concat(sequence, key))"
        parts += [f"argMax(number, {latest}) AS last", f"max({latest}) AS latest"]
    parts += [f"sum({_NUMBER}) AS total"] if aggregation.total else []
    parts += [f"sum({_NUMBER} * toDecimal256(time_us, 0)) AS moment_us"] if aggregation.moment else []
    parts += ["min(number) AS low"] if aggregation.low else []
    parts += ["max(number) AS high"] if aggregation.high else []
    return f"SELECT segment, dimensions, {', '.join(parts)} FROM counted GROUP BY segment, dimensions"


def _where(question: Question) -> str:
    """Only readings with the wanted dimension values."""
    conditions = ""
    for place, values in sorted(question.where.items()):
        column = f"dimensions[{place + 1:d}]"
        wanted = f"ifNull(has({{dimension{place:d}:Array(String)}}, {column}), false)"
        conditions += f" AND ({wanted} OR {column} IS NULL)" if None in values else f" AND {wanted}"
    return conditions


def _tally(row: dict[str, Any]) -> Any:
    if "latest" not in row:
        return tally_of(row)
    time_us, key = row.pop("latest")
    return tally_of(row | {"last_key": bytes.fromhex(key)}, _time(time_us))


def _event_values(row: EventRow) -> tuple[Any, ...]:
    return (
        *row[:3],
        row.key.hex(),
        *row[4:8],
        epoch_us(row.time),
        epoch_us(row.received_at),
        row.raw.decode(),
    )


def _correction_values(row: CorrectionRow) -> tuple[Any, ...]:
    return (*row[:3], row.key.hex(), row.target.hex(), epoch_us(row.received_at), row.raw.decode())


def _reading_values(row: ReadingRow, *, text: bool) -> tuple[Any, ...]:
    # A mark before the text tells an empty text from none.
    value = (0, f"={row.value}") if text else (settled(row.value), "")  # type: ignore[arg-type]
    return (*row[:3], row.key.hex(), row.order.hex(), row.subject, epoch_us(row.time), row.dimensions, *value)


def _event(row: Sequence[Any]) -> EventRow:
    part, seq, place, key, source, event_id, event_type, subject, time_us, received_us, raw = row
    return EventRow(
        part, seq, place, bytes.fromhex(key), source, event_id, event_type, subject, _time(time_us), _time(received_us), raw.encode()
    )  # fmt: skip


def _time(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def _month(at: datetime) -> int:
    return at.year * 100 + at.month
