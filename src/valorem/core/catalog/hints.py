"""What a JSON Schema says about one field of a file: the names there are, the choices, an example."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from valorem.core.catalog.source import Path
from valorem.core.numbers import plain

Schema = Mapping[str, Any]


def as_written(value: Any) -> str:
    """A value as it is written in YAML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, Decimal) else str(value)


def fields_at(schema: Schema, value: Any, path: Path) -> set[str]:
    """The fields there may be at a path of a file's value."""
    return {name for found in _schemas_at(schema, value, path) for name in found.get("properties", {})}


def wanted(schema: Schema, value: Any, path: Path) -> str:
    """What the schema says about a field: its choices, description and an example."""
    described_by = _schemas_at(schema, value, path)
    choices = [
        choice for found in described_by for choice in found.get("enum", (found.get("const"),)) if choice
    ]
    if choices:
        return f"write one of {', '.join(dict.fromkeys(map(str, choices)))}"
    for found in described_by:
        said = str(found.get("description", "")).split("\n")[0].rstrip(".")
        examples = " or ".join(as_written(example) for example in found.get("examples", ()))
        if said and examples:
            return f"{said}, such as {examples}"
        if said or examples:
            return said or f"write it like {examples}"
    return f"write `{path[-1]}: …`" if path and isinstance(path[-1], str) else "change it"


def _schemas_at(root: Schema, value: Any, path: Path) -> list[Schema]:
    """The parts of a JSON Schema that describe a path, following references and the branches the value fits."""
    current = list(_branches(root, root, value))
    for part in path:
        value = _child(value, part)
        current = [
            branch
            for schema in current
            for child in _children(schema, part)
            for branch in _branches(root, child, value)
        ]
    return current


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(part))
    return value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None


def _children(schema: Schema, part: str | int) -> Iterator[Schema]:
    if isinstance(part, int):
        if isinstance(items := schema.get("items"), dict):
            yield items
    elif part in (properties := schema.get("properties", {})):
        yield properties[part]
    elif isinstance(more := schema.get("additionalProperties"), dict):
        yield more
    else:
        yield from schema.get("patternProperties", {}).values()


def _branches(root: Schema, schema: Schema, value: Any) -> Iterator[Schema]:
    if "$ref" in schema:
        target: Any = root
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        beside = {name: said for name, said in schema.items() if name != "$ref"}
        yield from _branches(root, {**target, **beside}, value)
        return
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if not options:
        if _fits(schema, value):
            yield schema
        return
    if "description" in schema or "examples" in schema:
        yield {name: schema[name] for name in ("description", "examples") if name in schema}
    for option in options:
        yield from _branches(root, option, value)


def _fits(schema: Schema, value: Any) -> bool:
    if isinstance(value, dict):
        if schema.get("type", "object") != "object":
            return False
        return all(
            "const" not in said or value.get(name, said["const"]) == said["const"]
            for name, said in schema.get("properties", {}).items()
        )
    return not isinstance(value, list) or schema.get("type", "array") == "array"
