"""Paths into an event: ``subject``, ``data.usage.tokens``, ``data["gen_ai.usage"].tokens``, ``data.items[0].n``."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event

#: Reads one value of an event; ``None`` where it is missing or null.
Getter = Callable[[Event], Any]

ATTRIBUTES = ("subject", "type", "source", "time", "id")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_STEP = re.compile(r'\.([A-Za-z_][A-Za-z0-9_]*)|\["((?:[^"\\]|\\["\\])+)"\]|\[(\d{1,4})\]', re.ASCII)
_EXAMPLE = 'write subject, type, source, time or a member of data: data.tokens, data["gen_ai.usage"].tokens'


@dataclass(frozen=True, slots=True)
class Path:
    """A place in an event: ``root`` is ``data`` or an attribute; ``steps`` lead into data."""

    root: str
    steps: tuple[str | int, ...] = ()

    @property
    def member(self) -> str | None:
        """The name, where the path is a plain member of data: the common case, and the quick one to read."""
        if self.root == "data" and len(self.steps) == 1 and isinstance(self.steps[0], str):
            return self.steps[0]
        return None

    def __str__(self) -> str:
        text = self.root
        for step in self.steps:
            if isinstance(step, int):
                text += f"[{step}]"
            elif _BARE.fullmatch(step):
                text += f".{step}"
            else:
                escaped = step.replace("\\", "\\\\").replace('"', '\\"')
                text += f'["{escaped}"]'
        return text


def scan_path(text: str, start: int = 0) -> tuple[Path, int]:
    """Read the path that begins at ``start`` and return it with the index behind it.

    Raises:
        InvalidInputError: When no path begins there.
    """
    root = _BARE.match(text, start)
    if root is None or root[0] not in (*ATTRIBUTES, "data"):
        found = root[0] if root else text[start : start + 20]
        raise InvalidInputError(f"{found!r} is not a path", hint=_EXAMPLE)
    end = root.end()
    steps: list[str | int] = []
    while match := _STEP.match(text, end):
        bare, quoted, index = match.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(bare if bare is not None else re.sub(r"\\(.)", r"\1", quoted))
        end = match.end()
    if (root[0] == "data") != bool(steps):
        raise InvalidInputError(f"{text[start:end]!r} is not a path", hint=_EXAMPLE)
    return Path(root[0], tuple(steps)), end


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Read a whole text as one path.

    Raises:
        InvalidInputError: Naming what was found instead.
    """
    path, end = scan_path(text)
    if end != len(text):
        raise InvalidInputError(f"{text!r} is not a path: {text[end:]!r} is left over", hint=_EXAMPLE)
    return path


def compile_path(path: Path) -> Getter:
    """Turn a path into a function that reads it from an event."""
    if path.root != "data":
        return attrgetter(path.root)
    if path.member is not None:
        return _member(path.member)
    steps = path.steps

    def read(event: Event) -> Any:
        value: Any = event.data
        for step in steps:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    return read


def _member(step: str) -> Getter:
    def read(event: Event) -> Any:
        return event.data.get(step)

    return read
