"""Writes ``docs/reference`` from the code: ``python -m docs.generate``; with ``--check`` it only tells what is stale."""

import argparse
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

import valorem
from valorem import config
from valorem.core.catalog.tree import FOLDERS
from valorem.core.errors import ValoremError
from valorem.core.limits import Limits
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.pipeline import ORDER
from valorem.core.pricing.price import Price

#: How a schema's own description begins, and the word the page explains once.
KINDS = {
    "lower-case letters": "key",
    "an exact decimal": "decimal",
    "an exact quantity": "quantity",
    "a share": "share",
    "a date": "date",
    "true or false for": "true, false or a value",
}
FOLDER = Path(__file__).parent / "reference"


def settings() -> str:
    """Every environment variable."""
    rows = [
        (f"`{name}`", f"`{default}`" if default else "", text) for name, default, text in config.described()
    ]
    return _page(
        "Settings",
        "Environment variables of the server, read once when it starts. An empty one counts as not set.",
        _table(("Variable", "Default", "Meaning"), rows),
    )


def limits() -> str:
    """Every declared limit."""
    meanings = attributes_of(Limits)
    rows = [
        (f"`{limit.name}`", _amount(limit.name, limit.default), meanings[limit.name])
        for limit in fields(Limits)
    ]
    return _page(
        "Limits", (inspect.getdoc(Limits) or "").split("\n")[0], _table(("Limit", "Value", "Of what"), rows)
    )


def errors() -> str:
    """Every kind of problem, by status."""
    found = sorted(_all_errors(), key=lambda kind: (kind.status, kind.code))
    rows = [
        (str(kind.status), f"`{kind.code}`", (inspect.getdoc(kind) or "").split("\n")[0]) for kind in found
    ]
    return _page(
        "Errors",
        "Every refusal is a problem document (RFC 9457): `type` ends in the code below, `field` names the offending "
        "input where there is one and `hint` says the way out. The client raises the same as `ApiError`.",
        _table(("Status", "Code", "Meaning"), rows),
    )


def catalog() -> str:
    """Every field of every kind of catalog file."""
    sections: list[str] = []
    told: set[type] = set()
    waiting: list[tuple[str, type[BaseModel]]] = [
        (f"`{folder}/*.yaml`", kind) for folder, (_, kind) in FOLDERS.items()
    ]
    while waiting:
        where, model = waiting.pop(0)
        if model in told:
            continue
        told.add(model)
        if model is Price:
            sections.append(_model("Price", where, PriceBase, frozenset()))
        elif issubclass(model, PriceBase):
            sections.append(_model(model.__name__, "", model, frozenset(PriceBase.model_fields)))
        else:
            sections.append(_model(model.__name__, where, model, frozenset()))
        for name, info in model.model_fields.items():
            place = f"[{model.__name__}](#{model.__name__.lower()}) `{info.alias or name}`"
            waiting += [(place, inner) for inner in _models_in(info.annotation)]
    return _page(
        "Catalog",
        "One entry a file, in the folder of its kind, named after its key. A field that is not listed is an error. "
        "`GET /v1/catalog/schema` gives the same as JSON Schema for editors.",
        "A **key** is lower-case letters, digits and `_`, starting with a letter. A **decimal** is exact, written as a "
        "number or as text. A **quantity** may also be written `2M` (k, M, B and T are powers of 1000), a **share** as "
        "`70%` or `0.7`, a **length of time** as `14 days`. A **date** is midnight in the contract's time zone, or an "
        "instant on the quarter-hour grid.",
        f"A price is applied in this order: {', '.join(ORDER)}.",
        *sections,
    )


PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings,
    "limits.md": limits,
    "errors.md": errors,
    "catalog.md": catalog,
}


def attributes_of(kind: type) -> dict[str, str]:
    """The ``Attributes:`` section of a class's docstring and of its bases': name to text on one line."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        _, marker, rest = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        if not marker:
            continue
        section = re.split(r"\n(?=\S)", rest)[0]
        for match in re.finditer(r"^    (\w+): ((?:.|\n(?!    \w+: |\n))*)", section, re.MULTILINE):
            found[match[1]] = _markdown(match[2])
    return found


def _markdown(text: str) -> str:
    """Docstring text on one line; a cross-reference becomes the last name of what it points to."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return " ".join(text.replace("``", "`").split())


def _model(title: str, where: str, model: type[BaseModel], told: frozenset[str]) -> str:
    meanings, schema = attributes_of(model), model.model_json_schema()
    required = schema.get("required", ())
    rows: list[tuple[str, ...]] = []
    for name, info in model.model_fields.items():
        if name in told:
            continue
        written = info.alias or name
        field = schema["properties"][written]
        default = "*required*" if written in required else _default(field.get("default"))
        rows.append((f"`{written}`", _kind(field), default, meanings.get(name, "")))
    intro = _markdown(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0])
    found_in = (
        f" In {where}." if where else " A [price](#price) with these fields of its own." if told else ""
    )
    return f"## {title}\n\n{intro}{found_in}\n\n" + _table(("Field", "Kind", "Default", "Meaning"), rows)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(word for part in schema[several] if (word := _kind(part))))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("type") == "object":
        inner = next(
            iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties", True)
        )
        return f"key to {_kind(inner)}" if isinstance(inner, Mapping) else "object"
    if "description" in schema:
        text = str(schema["description"])
        return next((word for start, word in KINDS.items() if text.startswith(start)), text)
    if "day|week" in schema.get("pattern", ""):
        return "length of time"
    plainly = {"string": "text", "boolean": "true or false", "integer": "whole number", "null": ""}
    return plainly.get(str(schema.get("type")), "any value")


def _default(default: Any) -> str:
    if isinstance(default, list) and default:
        return f"`{' '.join(map(str, default))}`"
    return "" if default in (None, (), [], {}, "") or isinstance(default, Mapping) else f"`{default}`"


def _amount(name: str, value: Any) -> str:
    units = {
        "_bytes": ((1024**2, "MiB"), (1024, "KiB"), (1, "bytes")),
        "_s": ((86_400, "days"), (3600, "hours"), (60, "minutes")),
    }
    for ending, sizes in units.items():
        for size, unit in sizes:
            if name.endswith(ending) and value % size == 0 and value >= size:
                return f"{value // size:,} {unit}"
    return f"{value:,}"


def _all_errors() -> set[type[ValoremError]]:
    """Every error class a room defines, once everything is imported."""
    for module in pkgutil.walk_packages(valorem.__path__, "valorem."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)
    found: set[type[ValoremError]] = set()
    waiting = [ValoremError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind is not ValoremError and "code" in vars(kind):
            found.add(kind)
    return found


def _page(title: str, intro: str, *sections: str) -> str:
    notice = "<!-- Written by `make reference` from the code; edit the code. -->"
    return "\n\n".join([notice, f"# {title}", intro, *(section.strip() for section in sections)]) + "\n"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |"
        for line in lines
    )


def stale() -> list[str]:
    """Names of the pages that differ from what the code says."""
    return [
        name
        for name, write in PAGES.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != write()
    ]


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    if parser.parse_args().check:
        for name in (found := stale()):
            print(f"docs/reference/{name} is stale: run make reference")
        return 1 if found else 0
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
