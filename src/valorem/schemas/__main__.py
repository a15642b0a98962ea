"""Write the JSON Schemas beside this file."""

import json
from pathlib import Path
from typing import Any

from valorem.core.catalog.schema import KINDS, catalog_schema, file_schema


def published() -> dict[str, dict[str, Any]]:
    """File name to schema, as they must be."""
    schemas = {f"{kind}.schema.json": file_schema(kind) for kind in KINDS}
    return {**schemas, "catalog.schema.json": catalog_schema()}


def text_of(schema: dict[str, Any]) -> str:
    """The one way a schema is written."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, schema in published().items():
        Path(__file__).with_name(name).write_text(text_of(schema), encoding="utf-8")
