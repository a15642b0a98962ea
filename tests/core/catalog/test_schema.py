import json
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.core.catalog.test_tree import EXAMPLES
from tests.core.catalog.trees import TREE
from valorem.core.catalog.schema import DIALECT, KINDS, catalog_schema, file_schema
from valorem.core.catalog.source import read_source
from valorem.schemas import __main__ as publish

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")

FILES = [
    *TREE.items(),
    *((str(path), path.read_text(encoding="utf-8")) for path in sorted(EXAMPLES.rglob("*.yaml"))),
]


def as_editor(value: Any) -> Any:
    """The value as an editor's YAML server sees it: numbers are JSON numbers."""
    if isinstance(value, dict):
        return {key: as_editor(part) for key, part in value.items()}
    if isinstance(value, list):
        return [as_editor(part) for part in value]
    return float(value) if isinstance(value, Decimal) else value


def errors(schema: dict[str, Any], text: str) -> list[str]:
    source, _ = read_source("f.yaml", text)
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(as_editor(source.value))]


@pytest.mark.parametrize("kind", [*KINDS, "catalog"])
def test_a_schema_is_valid_draft_2020_12(kind: str) -> None:
    schema = catalog_schema() if kind == "catalog" else file_schema(kind)
    assert schema["$schema"] == DIALECT
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("path", "text"), FILES, ids=[path.rpartition("catalogs/")[2] for path, _ in FILES])
def test_every_good_file_fits_its_schema(path: str, text: str) -> None:
    kind = Path(path).parent.name.removesuffix("s")
    assert errors(file_schema(kind), text) == []
    assert errors(catalog_schema(), text) == []


@pytest.mark.parametrize(
    ("kind", "found", "replacement"),
    [
        ("plan", "currency: USD\n", ""),
        ("plan", "fees:", "feess:"),
        ("plan", "in advance", "later"),
        ("plan", "graduated", "gradual"),
        ("plan", "  seat:", "  Seat:"),
        ("price", "meter: tokens\n", ""),
        ("price", "included", "inclusive"),
        ("meter", "aggregate: sum", "aggregate: total"),
        ("feature", "kind: metered", "kind: counted"),
    ],
)
def test_a_bad_file_does_not(kind: str, found: str, replacement: str) -> None:
    names = {"plan": "team", "price": "gpt_tokens", "meter": "tokens", "feature": "tokens"}
    text = TREE[f"{kind}s/{names[kind]}.yaml"]
    assert found in text
    assert errors(file_schema(kind), text.replace(found, replacement))
    assert errors(catalog_schema(), text.replace(found, replacement))


def test_a_field_says_what_it_is_for() -> None:
    fee = file_schema("plan")["$defs"]["Fee"]
    assert fee["description"] == "A fixed amount for each billing period."
    assert fee["properties"]["billed"]["description"].startswith(
        "Whether it stands on the invoice before its period"
    )


def test_the_published_files_are_up_to_date() -> None:
    folder = Path(publish.__file__).parent
    assert sorted(path.name for path in folder.glob("*.json")) == sorted(publish.published())
    for name, schema in publish.published().items():
        written = (folder / name).read_text(encoding="utf-8")
        assert json.loads(written) == schema, "run python -m valorem.schemas"
        assert written == publish.text_of(schema)
