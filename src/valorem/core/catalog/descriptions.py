"""The models' docstrings as descriptions of single fields, for editors and for error messages."""

import re
from collections.abc import Mapping
from typing import Any

from valorem.core.pricing.base import PriceBase

_ATTRIBUTE = re.compile(r"^ {4}(\w+): ", re.MULTILINE)
#: The name in the file of a field that cannot be called so in Python.
_WRITTEN = {"start": "from"}


def attributes_of(docstring: str) -> dict[str, str]:
    """What the ``Attributes`` section of a Google-style docstring says about each field, by its name in the file."""
    _, _, section = docstring.partition("Attributes:\n")
    said = _ATTRIBUTE.split(section)[1:]
    return {_WRITTEN.get(name, name): _plain(text) for name, text in zip(said[::2], said[1::2], strict=True)}


def described_fields(schema: Any) -> Any:
    """A JSON Schema whose fields carry what their model's docstring says of them, and whose keys are checked."""
    if isinstance(schema, list):
        return [described_fields(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    tidied = {name: described_fields(part) for name, part in schema.items()}
    properties = tidied.get("properties")
    if isinstance(properties, dict) and isinstance(text := tidied.get("description"), str):
        said = {**(_OF_EVERY_PRICE if "model" in properties else {}), **attributes_of(text)}
        for name, field in properties.items():
            if name in said and isinstance(field, dict):
                field["description"] = said[name]
        tidied["description"] = _plain(text.partition("Attributes:")[0])
    if "patternProperties" in tidied:
        tidied.setdefault("additionalProperties", False)
    return tidied


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "").split())


_OF_EVERY_PRICE = attributes_of(re.sub(r"^ {4}", "", PriceBase.__doc__ or "", flags=re.MULTILINE))
