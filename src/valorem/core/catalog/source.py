"""YAML as the catalog reads it: exact numbers, text that stays text, and the line of everything.

PyYAML does the scanning and parsing; what is built from its events differs from its own loaders on purpose. A number
is a ``Decimal`` made from the digits written, only ``true`` and ``false`` are booleans, a date stays text, a key is
always text, and tags are refused. Size, depth and the expansion of aliases are bounded before anything is built.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from valorem.core.catalog.problems import Problem, written_path

MAX_FILE_CHARACTERS = 256 * 1024
MAX_DEPTH = 16
MAX_VALUES = 50_000

_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?", re.ASCII)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

Path = tuple[str | int, ...]
Place = tuple[int, int]


class UnreadableError(Exception):
    """The file stops being YAML that the catalog reads; carries the one problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass
class Source:
    """One file's values and where each of them stands.

    Attributes:
        file: Path in the catalog tree.
        value: Dicts, lists, text, ``Decimal``, ``bool`` and ``None``.
        places: Line and column, from 1, of every value.
        key_places: The same of every key.
    """

    file: str
    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    key_places: dict[Path, Place] = field(default_factory=dict)

    def problem(self, path: Path, message: str, hint: str, *, at_key: bool = False) -> Problem:
        """A problem at a path, or at the closest enclosing thing that was written."""
        first, second = (self.key_places, self.places) if at_key else (self.places, self.key_places)
        shown = path
        while path and path not in first and path not in second:
            path = path[:-1]
        line, column = first.get(path) or second.get(path) or (1, 1)
        return Problem(self.file, line, column, written_path(shown), message, hint)


def read_source(file: str, text: str) -> tuple[Source, tuple[Problem, ...]]:
    """Read one YAML file.

    Returns:
        What was read, and the problems that did not stop the reading (duplicate keys).

    Raises:
        UnreadableError: For a file that is too large, too deep or not YAML.
    """
    if len(text) > MAX_FILE_CHARACTERS:
        raise UnreadableError(
            Problem(
                file,
                0,
                0,
                "",
                f"the file has {len(text):,} characters; at most {MAX_FILE_CHARACTERS:,} are read",
                "split it into several files",
            )
        )
    builder = _Builder(file)
    try:
        builder.build(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise UnreadableError(_plainly(file, text, error)) from None
    return builder.source, tuple(builder.problems)


@dataclass
class _Open:
    """A list or mapping still being read."""

    value: Any
    path: Path
    anchor: str | None
    key: str | None = None
    keys: dict[str, int] = field(default_factory=dict)
    duplicate: bool = False


class _Builder:
    """Builds values from parse events, without recursion, so depth can be refused instead of overflowing a stack."""

    def __init__(self, file: str) -> None:
        self.source = Source(file)
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._values = 0
        self._documents = 0

    def build(self, events: Iterator[Any]) -> None:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise self._stop(event, "a second document starts here (---)", "keep one per file")
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._open(event)
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                done = self._stack.pop()
                if done.anchor:
                    self._anchors[done.anchor] = (done.value, _size(done.value))

    def _stop(self, event: Any, message: str, hint: str) -> UnreadableError:
        line, column = _place(event.start_mark)
        path = written_path(self._stack[-1].path) if self._stack else ""
        return UnreadableError(Problem(self.source.file, line, column, path, message, hint))

    def _scalar(self, event: Any) -> None:
        self._refuse_tag(event)
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None:
            self._key(event)
            return
        value = _scalar_value(event.value) if event.style is None else event.value
        self._place_value(event, value)
        self._count(event, 1)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1)

    def _key(self, event: Any) -> None:
        opened, name = self._stack[-1], event.value
        if name == "<<" and event.style is None:
            raise self._stop(event, "merge keys (<<) are not read", "write the fields out")
        line, _ = place = _place(event.start_mark)
        path = (*opened.path, name)
        opened.key, opened.duplicate = name, name in opened.keys
        if opened.duplicate:
            first = opened.keys[name]
            self.problems.append(
                Problem(
                    self.source.file,
                    *place,
                    written_path(path),
                    f"{name} is written twice, on line {first} and on line {line}",
                    "keep one of them",
                )
            )
        else:
            opened.keys[name] = line
            self.source.key_places[path] = place

    def _open(self, event: Any) -> None:
        self._refuse_tag(event)
        if len(self._stack) >= MAX_DEPTH:
            raise self._stop(event, f"nested more than {MAX_DEPTH} levels deep", "flatten it")
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None:
            raise self._stop(event, "a list or mapping cannot be a key", "write the key as text")
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._place_value(event, value)
        self._count(event, 1)
        self._stack.append(_Open(value, path, event.anchor))

    def _alias(self, event: Any) -> None:
        if self._stack and isinstance(self._stack[-1].value, dict) and self._stack[-1].key is None:
            raise self._stop(event, f"the alias *{event.anchor} cannot be a key", "write the key out")
        if event.anchor not in self._anchors:
            raise self._stop(
                event,
                f"the alias *{event.anchor} has no finished anchor &{event.anchor} before it",
                "write the value out; text that starts with * goes in quotes",
            )
        value, size = self._anchors[event.anchor]
        self._count(event, size)
        self._place_value(event, value)

    def _count(self, event: Any, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise self._stop(
                event, f"more than {MAX_VALUES:,} values, aliases written out", "split the file or write less"
            )

    def _place_value(self, event: Any, value: Any) -> Path:
        """Put a value where it belongs and remember its place; a duplicate key's value is read but not kept."""
        if not self._stack:
            self.source.value = value
            self.source.places[()] = _place(event.start_mark)
            return ()
        opened = self._stack[-1]
        if isinstance(opened.value, list):
            path: Path = (*opened.path, len(opened.value))
            opened.value.append(value)
        else:
            key = str(opened.key)
            path = (*opened.path, key)
            if not opened.duplicate:
                opened.value[key] = value
            opened.key = None
        self.source.places.setdefault(path, _place(event.start_mark))
        return path

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            raise self._stop(event, f"the tag {event.tag} is not read", "remove it; plain YAML is enough")


def _scalar_value(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    return Decimal(text) if _NUMBER.fullmatch(text) else text


def _size(value: Any) -> int:
    """How many values a finished one holds; shared parts count every time, which is what expansion costs."""
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1


_PLAINLY = (
    (
        "cannot start any token",
        "a character that cannot start a value",
        "text that starts with %, @ or ` goes in quotes",
    ),
    (
        "mapping values are not allowed here",
        "a ': ' where no field can start",
        "check the indentation and the space after the colon on the line above; text with ': ' goes in quotes",
    ),
    (
        "sequence entries are not allowed",
        "a '- ' where no list item can start",
        "start the list on its own line, or put the text in quotes",
    ),
    (
        "could not find expected ':'",
        "a line without ': '",
        "write it as `field: value`, with a space after the colon",
    ),
    (
        "expected <block end>",
        "the indentation does not fit the lines above",
        "fields of one thing start in the same column",
    ),
    (
        "did not find expected",
        "the indentation does not fit the lines above",
        "fields of one thing start in the same column",
    ),
    ("expected ',' or ']'", "a list that is not closed", "separate its items with commas and end it with ]"),
    ("expected ',' or '}'", "braces that are not closed", "separate the fields with commas and end with }"),
    ("unexpected end of stream", "a quote that is not closed", "close it on the same line"),
    ("found duplicate anchor", "an anchor that is defined twice", "write the value out"),
    (
        "expected alphabetic or numeric",
        "a * or & that names nothing",
        "put text that starts with it in quotes",
    ),
)


def _plainly(file: str, text: str, error: yaml.YAMLError) -> Problem:
    """The parser's complaint in the words of somebody who edits a price list."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        return Problem(
            file, line, column, "", f"an invisible character (U+{error.character:04X})", "remove it"
        )
    mark = getattr(error, "problem_mark", None)
    line, column = _place(mark) if mark else (1, 1)
    lines = text.splitlines()
    written = lines[line - 1] if line <= len(lines) else ""
    if "\t" in written[: len(written) - len(written.lstrip())] or written[column - 1 : column] == "\t":
        return Problem(file, line, column, "", "a tab in the indentation", "indent with spaces")
    detail = str(getattr(error, "problem", None) or error)
    for needle, message, hint in _PLAINLY:
        if needle in detail:
            return Problem(file, line, column, "", message, hint)
    return Problem(file, line, column, "", f"this is not YAML: {detail}", "check quotes and indentation")
