"""The catalog page: every field of every kind of file."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from docs.generating.markdown import attributes_of, markdown, page, table
from valorem.core.catalog.tree import FOLDERS
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
    return page(
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
    intro = markdown(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0])
    found_in = (
        f" In {where}." if where else " A [price](#price) with these fields of its own." if told else ""
    )
    return f"## {title}\n\n{intro}{found_in}\n\n" + table(("Field", "Kind", "Default", "Meaning"), rows)


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
