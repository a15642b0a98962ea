"""The map of an import: which cell of a row becomes which part of an event.

It is written in YAML and read like the catalog: numbers exact, a mistake named with its line.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from valorem.core.calendar import zone_info
from valorem.core.catalog.problems import written_path
from valorem.core.catalog.source import Source, UnreadableError, read_source
from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import BACKFILL

Kind = Literal["text", "number", "integer", "boolean"]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Written):
    """The cell of a column; in NDJSON and Parquet a dotted path into the row."""

    column: str


class SpreadRows(_Written):
    """A subject for data that names none: a stable hash of the row number picks one of so many names."""

    spread_rows_over: Annotated[int, Field(ge=1, le=1_000_000)]
    name: Annotated[str, Field(min_length=1, max_length=64)] = "customer"


class Time(_Written):
    """When the event happened.

    Attributes:
        column: The cell.
        format: ``iso`` (``2026-03-05 14:30:00.123``, with or without a zone), or directives as ``strptime`` knows them.
        time_zone: The zone of times that name none themselves.
        repeated: Which pass is meant by a wall time that clocks went through twice.
    """

    column: str
    format: str = "iso"
    time_zone: str | None = None
    repeated: Literal["first", "second", "refuse"] = "first"

    @model_validator(mode="after")
    def _known_zone(self) -> "Time":
        if self.time_zone is not None:
            try:
                zone_info(self.time_zone)
            except InvalidInputError as error:
                raise ValueError(str(error)) from None
        return self


def _from_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class DataField(_Written):
    """One value of the event's data.

    Attributes:
        column: The cell.
        kind: How it is read; text as it stands.
        required: Whether a row without it is refused; otherwise the event simply lacks the field.
        floats: For binary floats in Parquet: ``refuse`` them, or take the ``shortest`` decimal that reads back as the
            same float (0.1 is 0.1).
    """

    column: str
    kind: Kind = "text"
    required: bool = True
    floats: Literal["refuse", "shortest"] = "refuse"


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> Any:
    return [_text(item) for item in _listed(value)]


def _text(value: Any) -> Any:
    """A number or word as it was written in the map, since cells are compared as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if hasattr(value, "as_tuple") else value


Texts = Annotated[list[str], BeforeValidator(_texts)]


class SkipWhen(_Written):
    """Rows that are no events: left out, counted, and not refused. Exactly one condition beside the column."""

    column: str
    equals: Texts | None = None
    not_equals: Texts | None = None
    empty: bool | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> "SkipWhen":
        if sum(given is not None for given in (self.equals, self.not_equals, self.empty)) != 1:
            raise ValueError("write exactly one of equals, not_equals, empty beside the column")
        return self


class ImportMap(_Written):
    """What each row of a file means.

    Attributes:
        type: The event type, or the column that holds it.
        source: The CloudEvents source; with the id it makes the event's identity.
        subject: Whom the usage belongs to: a text for all rows, a column, or a spread over names.
        time: When it happened.
        id: Columns that together identify the row, or ``row``: then the file's digest and the row's number do, so the
            same file can be sent again and the same row is known again.
        data: Field of the event's data (dots make objects) to the cell it is read from.
        empty: Cells that mean nothing is there.
        skip_when: Rows to leave out.
    """

    type: str | Column
    source: Annotated[str, Field(min_length=1, max_length=255)]
    subject: str | Column | SpreadRows
    time: Annotated[Time, BeforeValidator(_from_column)]
    id: Literal["row"] | Annotated[list[str], Field(min_length=1)] = "row"
    data: dict[str, Annotated[DataField, BeforeValidator(_from_column)]] = Field(default_factory=dict)
    empty: Texts = Field(default_factory=lambda: [""])
    skip_when: Annotated[list[SkipWhen], BeforeValidator(_listed)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _distinct_paths(self) -> "ImportMap":
        for path in self.data:
            if not all(path.split(".")):
                raise ValueError(f"data.{path}: write names separated by single dots")
            for other in self.data:
                if other.startswith(path + "."):
                    raise ValueError(f"data.{path} is a value and cannot also hold data.{other}")
        return self

    def columns(self) -> set[str]:
        """Every column the map reads, to be checked against what the file has."""
        named = {self.time.column} | {field.column for field in self.data.values()}
        named |= {condition.column for condition in self.skip_when}
        named |= {part.column for part in (self.type, self.subject) if isinstance(part, Column)}
        return named | (set(self.id) if self.id != "row" else set())


def history(mapping: ImportMap) -> ImportMap:
    """The map for events of any age: their source says that they are history, so their ids are kept for ever."""
    if mapping.source.startswith(BACKFILL):
        return mapping
    return ImportMap.model_validate(mapping.model_dump() | {"source": BACKFILL + mapping.source})


def read_map(path: Path) -> ImportMap:
    """Read a map from its file.

    Raises:
        InvalidInputError: With file and line of every mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the map {path} cannot be read: {error}", field="--map") from None
    return parse_map(path.name, text)


def parse_map(name: str, text: str) -> ImportMap:
    """Read a map from text; ``name`` is the file that errors speak of.

    Raises:
        InvalidInputError: With file and line of every mistake.
    """
    try:
        source, problems = read_source(name, text)
    except UnreadableError as error:
        raise InvalidInputError(str(error.problem), field="--map") from None
    if problems:
        raise InvalidInputError("\n".join(map(str, problems)), field="--map")
    try:
        return ImportMap.model_validate(source.value)
    except ValidationError as error:
        lines = dict.fromkeys(_problem(source, details) for details in error.errors())
        raise InvalidInputError("\n".join(lines), field="--map") from None


def _problem(source: Source, details: Any) -> str:
    written: tuple[str | int, ...] = tuple(details["loc"])
    unknown = details["type"] == "extra_forbidden"
    while (
        written and written not in source.places
    ):  # pydantic names the branch of a union too, which nobody wrote
        written = written[:-1]
    missing = details["loc"][-1:] if details["type"] == "missing" else ()
    line, column = (source.key_places if unknown else source.places).get(written, (1, 1))
    message = "is missing" if missing else details["msg"].removeprefix("Value error, ")
    where = written_path((*written, *missing)) or "the map"
    return f"{source.file}:{line}:{column} {where}: {'the map has no such field' if unknown else message}"
