"""From a row to an event: the one place where cells get their meaning, or a reason why they have none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from valorem.cli.importing.mapping import Column, DataField, ImportMap, SkipWhen, Time
from valorem.cli.importing.reading import Row
from valorem.core.calendar import zone_info
from valorem.core.errors import InvalidInputError
from valorem.core.ids import identity
from valorem.core.numbers import parse_decimal, plain
from valorem.core.time import parse_instant, write_instant

_EXTRA_FRACTION_DIGITS = re.compile(r"(?<=\.\d{6})\d+", re.ASCII)
_NAIVE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?", re.ASCII)
_INTEGRAL = re.compile(r"-?\d{1,18}(?:\.0+)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that gives no event, where the map says it should.

    Attributes:
        row: The row as read.
        field: Part of the event that could not be made (``time``, ``data.tokens``).
        reason: Why, in words for whoever owns the file.
    """

    row: Row
    field: str
    reason: str


@dataclass(frozen=True)
class Shaper:
    """Makes events of rows.

    Args:
        mapping: What the cells mean.
        digest: Of the file, part of the ids where rows name none.
    """

    mapping: ImportMap
    digest: str

    def shape(self, row: Row) -> "dict[str, Any] | Refused | None":
        """The event of a row, the reason why there is none, or None for a row to be skipped."""
        if row.problem is not None:
            return Refused(row, "", row.problem)
        try:
            if any(self._skipped(row, condition) for condition in self.mapping.skip_when):
                return None
            return self._event(row)
        except InvalidInputError as error:
            return Refused(row, error.field or "", error.message + (f" ({error.hint})" if error.hint else ""))

    def _event(self, row: Row) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for path, wanted in self.mapping.data.items():
            value = self._value(row, wanted, f"data.{path}")
            if value is not _ABSENT:
                *parents, leaf = path.split(".")
                place = data
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[leaf] = value
        return {
            "specversion": "1.0",
            "id": self._id(row),
            "source": self.mapping.source,
            "type": self._named(row, self.mapping.type, "type"),
            "subject": self._subject(row),
            "time": write_instant(self._time(row, self.mapping.time)),
            "data": data,
        }

    def _cell(self, row: Row, column: str) -> Any:
        if column in row.cells:
            value = row.cells[column]
        else:
            value = row.cells
            for name in column.split("."):
                value = value.get(name) if isinstance(value, Mapping) else None
        return None if value is None or (isinstance(value, str) and value in self.mapping.empty) else value

    def _skipped(self, row: Row, condition: SkipWhen) -> bool:
        cell = self._cell(row, condition.column)
        if condition.empty is not None:
            return (cell is None) == condition.empty
        text = None if cell is None else _as_text(cell, condition.column)
        if condition.equals is not None:
            return text in condition.equals
        return condition.not_equals is not None and text not in condition.not_equals

    def _id(self, row: Row) -> str:
        if self.mapping.id == "row":
            return f"{self.digest[:20]}-{row.number}"
        return "/".join(self._required_text(row, column, "id") for column in self.mapping.id)

    def _subject(self, row: Row) -> str:
        subject = self.mapping.subject
        if isinstance(subject, str | Column):
            return self._named(row, subject, "subject")
        names = subject.spread_rows_over
        chosen = int.from_bytes(identity("row", row.number), "big") % names + 1
        return f"{subject.name}-{chosen:0{len(str(names))}}"

    def _named(self, row: Row, wanted: str | Column, field: str) -> str:
        return wanted if isinstance(wanted, str) else self._required_text(row, wanted.column, field)

    def _required_text(self, row: Row, column: str, field: str) -> str:
        return _as_text(self._required(row, column, field), field)

    def _required(self, row: Row, column: str, field: str) -> Any:
        cell = self._cell(row, column)
        if cell is None:
            raise InvalidInputError(f"the cell {column} is empty", field=field)
        return cell

    def _time(self, row: Row, wanted: Time) -> datetime:
        cell = self._required(row, wanted.column, "time")
        if isinstance(cell, datetime):
            return cell.astimezone(UTC) if cell.tzinfo else _placed(cell, wanted)
        text = _as_text(cell, "time")
        if wanted.format == "iso":
            return _placed(_naive(text), wanted) if _NAIVE.fullmatch(text) else parse_instant(text, "time")
        try:
            wall = datetime.strptime(_EXTRA_FRACTION_DIGITS.sub("", text), wanted.format)  # noqa: DTZ007 - zone below
        except ValueError:
            raise InvalidInputError(
                f"{text[:40]!r} is not written as {wanted.format}", field="time"
            ) from None
        return wall.astimezone(UTC) if wall.tzinfo else _placed(wall, wanted)

    def _value(self, row: Row, wanted: DataField, field: str) -> Any:
        cell = self._cell(row, wanted.column)
        if cell is None:
            if wanted.required:
                raise InvalidInputError(f"the cell {wanted.column} is empty", field=field)
            return _ABSENT
        if isinstance(cell, float) and wanted.kind != "text":
            cell = _decimal_of_float(cell, wanted, field)
        if wanted.kind == "number":
            return plain(parse_decimal(cell, field))
        if wanted.kind == "integer":
            return _integer(cell, field)
        return _boolean(cell, field) if wanted.kind == "boolean" else _as_text(cell, field)


def _naive(text: str) -> datetime:
    try:
        return datetime.fromisoformat(_EXTRA_FRACTION_DIGITS.sub("", text))
    except ValueError as error:
        raise InvalidInputError(f"{text[:40]!r} does not exist ({error})", field="time") from None


def _placed(wall: datetime, wanted: Time) -> datetime:
    """The instant of a wall time in the map's zone."""
    if wanted.time_zone is None:
        raise InvalidInputError(
            f"{wall.isoformat()} has no time zone",
            field="time",
            hint="the map's time.time_zone says which one is meant",
        )
    zone = zone_info(wanted.time_zone)
    try:
        first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    except OverflowError:
        raise InvalidInputError(f"{wall.isoformat()} is outside the calendar", field="time") from None
    if first > second:
        raise InvalidInputError(
            f"{wall.isoformat()} does not exist in {wanted.time_zone}: clocks went forward", field="time"
        )
    if first < second and wanted.repeated == "refuse":
        raise InvalidInputError(
            f"{wall.isoformat()} came twice in {wanted.time_zone}, {_span(second - first)} apart",
            field="time",
            hint="the map's time.repeated says first or second",
        )
    return second if wanted.repeated == "second" else first


def _span(length: timedelta) -> str:
    return f"{length // timedelta(minutes=1)} minutes"


def _as_text(cell: Any, field: str) -> str:
    if isinstance(cell, str):
        if not cell.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in cell):
            raise InvalidInputError("the cell is not UTF-8", field=field)
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | Decimal):
        return plain(Decimal(cell))
    if isinstance(cell, float):
        raise InvalidInputError("a binary float is no text", field=field, hint="give the field kind: number")
    raise InvalidInputError(f"a {type(cell).__name__} is no single value", field=field)


def _decimal_of_float(cell: float, wanted: DataField, field: str) -> Decimal:
    if wanted.floats == "refuse":
        raise InvalidInputError(
            "a binary float is not an exact number",
            field=field,
            hint="floats: shortest takes the shortest decimal that reads back as the same float",
        )
    return Decimal(repr(cell))


def _integer(cell: Any, field: str) -> int:
    text = _as_text(cell, field)
    if _INTEGRAL.fullmatch(text) is None:
        raise InvalidInputError(
            f"expected a whole number, found {text[:40]!r}", field=field, hint="at most 18 ASCII digits"
        )
    return int(text.partition(".")[0])


def _boolean(cell: Any, field: str) -> bool:
    value = _BOOLEANS.get(_as_text(cell, field).lower())
    if value is None:
        raise InvalidInputError(f"expected true or false, found {_as_text(cell, field)[:40]!r}", field=field)
    return value
