"""JSON Schema (draft 2020-12) of the catalog's files, for editors; generated from the models that read them.

An editor with the YAML language server (VS Code, Neovim, JetBrains) completes and checks a file that begins with::

    # yaml-language-server: $schema=https://…/plan.schema.json

or, for all files at once, with ``catalog.schema.json`` mapped to the folder in the editor's settings
(``yaml.schemas: {"…/catalog.schema.json": "catalog/**/*.yaml"}``). What holds between files (that a named price
exists, that its dimensions are the meter's) is beyond a schema; ``valorem catalog plan`` checks that.
"""

from typing import Any

from pydantic.json_schema import models_json_schema

from valorem.core.catalog.descriptions import described_fields
from valorem.core.catalog.tree import FOLDERS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BASE = "https://valorem.dev/schemas/"

#: Kind of file to the field that names the entry in it.
KINDS = tuple(field for field, _ in FOLDERS.values())


def file_schema(kind: str) -> dict[str, Any]:
    """The schema of one kind of file: one of :data:`KINDS`."""
    references, definitions = _all()
    needed = _reachable(references[kind], definitions)
    return {**_head(kind, f"A {kind} of a Valorem catalog"), **references[kind], "$defs": needed}


def catalog_schema() -> dict[str, Any]:
    """One schema for every file of a catalog; the key that names the entry tells what it is."""
    references, definitions = _all()
    chosen: dict[str, Any] = references["meter"]
    for kind in (
        "source",
        "price",
        "feature",
        "plan",
        "credit",
        "outcome",
        "tax",
    ):  # a price also has a meter, an outcome a price and a source
        chosen = {"if": {"required": [kind]}, "then": references[kind], "else": chosen}
    return {**_head("catalog", "A file of a Valorem catalog"), **chosen, "$defs": definitions}


def _head(name: str, title: str) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": f"{BASE}{name}.schema.json", "title": title}


def _all() -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What refers to each kind of file, and the definitions that all of them share."""
    models = dict(FOLDERS.values())
    found, shared = models_json_schema([(model, "validation") for model in models.values()], by_alias=True)
    references: dict[str, dict[str, Any]] = {
        field: {"$ref": found[model, "validation"]["$ref"]} for field, model in models.items()
    }
    # In a file of its own a price says which it is and what it is for; inside a plan it need not.
    references["price"] = {"allOf": [references["price"], {"type": "object", "required": ["price", "meter"]}]}
    return references, described_fields(dict(sorted(shared["$defs"].items())))


def _reachable(schema: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    needed: set[str] = set()
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            name = str(part.get("$ref", "")).removeprefix("#/$defs/")
            if name in definitions and name not in needed:
                needed.add(name)
                waiting.append(definitions[name])
            waiting += part.values()
    return {name: definitions[name] for name in sorted(needed)}
