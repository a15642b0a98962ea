"""A tree of YAML files becomes a catalog, or a list of everything that is wrong with it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.checks import Written, cross_check
from valorem.core.catalog.credits import CreditType
from valorem.core.catalog.features import Feature
from valorem.core.catalog.plans import Plan
from valorem.core.catalog.problems import CatalogError, Problem, suggestion
from valorem.core.catalog.reading import read_entry
from valorem.core.catalog.source import UnreadableError, read_source
from valorem.core.catalog.taxes import Tax
from valorem.core.metering.meter import Meter
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.pricing.price import Price
from valorem.core.sources.definition import SourceDefinition

MAX_FILES = 2_000
MAX_CHARACTERS = 4 * 1024 * 1024

#: Folder to the field that names an entry in it, and what the entry is.
FOLDERS: Mapping[str, tuple[str, type[Any]]] = MappingProxyType(
    {
        "meters": ("meter", Meter),
        "features": ("feature", Feature),
        "prices": ("price", Price),
        "credits": ("credit", CreditType),
        "outcomes": ("outcome", OutcomeDefinition),
        "taxes": ("tax", Tax),
        "plans": ("plan", Plan),
        "sources": ("source", SourceDefinition),
    }
)


def parse_catalog(files: Mapping[str, str]) -> Catalog:
    """Read a whole catalog.

    Args:
        files: Path to text. A path is ``folder/key.yaml``; the folders are ``meters``, ``features``, ``prices``, ``credits``,
            ``outcomes``, ``taxes``, ``plans`` and ``sources``.

    Raises:
        CatalogError: With every problem of every file: its place, what was found and what would be right.
    """
    if refused := _refused(files):
        raise CatalogError([Problem("catalog", 0, 0, "", *refused)])
    problems: list[Problem] = []
    written: list[Written] = []
    for path in sorted(files):
        if misplaced := _misplaced(path):
            problems.append(misplaced)
            continue
        found, wrong = _read(path, files[path])
        problems += wrong
        written.append(found)
    problems += cross_check(written)
    if problems:
        raise CatalogError(problems)
    return Catalog(
        **{
            folder: MappingProxyType({one.key: one.entry for one in written if one.folder == folder})
            for folder in FOLDERS
        },
        files=MappingProxyType(dict(files)),
    )


def _refused(files: Mapping[str, str]) -> tuple[str, str] | None:
    """Why a tree is not looked at at all, and what would be."""
    if not files:
        return "no files", f"write {' or '.join(f'{folder}/….yaml' for folder in FOLDERS)}"
    if len(files) > MAX_FILES:
        return f"{len(files):,} files; at most {MAX_FILES:,} are read", "remove what is not sold any more"
    if (size := sum(map(len, files.values()))) > MAX_CHARACTERS:
        return f"{size:,} characters; at most {MAX_CHARACTERS:,} are read", "remove what is not sold any more"
    return None


def _misplaced(path: str) -> Problem | None:
    """What is wrong with a file's place or name."""
    folder, _, rest = path.partition("/")
    if not rest:
        hint = f"move it into one of the folders {', '.join(FOLDERS)}"
        return Problem(path, 0, 0, "", "a file outside the folders of a catalog", hint)
    if folder not in FOLDERS:
        return Problem(path, 0, 0, "", f"unknown folder {folder}", suggestion(folder, FOLDERS, "folders"))
    if "/" in rest:
        hint = f"move it to {folder}/{rest.rpartition('/')[2]}"
        return Problem(path, 0, 0, "", "a folder inside a folder", hint)
    if not rest.endswith(".yaml") or rest == ".yaml":
        stem = rest.rpartition(".")[0] or rest
        return Problem(
            path, 0, 0, "", f"{rest} is not a .yaml file", f"name it {folder}/{stem}.yaml, or remove it"
        )
    return None


def _read(path: str, text: str) -> tuple[Written, list[Problem]]:
    folder, _, name = path.partition("/")
    stem = name.removesuffix(".yaml")
    field, model = FOLDERS[folder]
    try:
        source, problems = read_source(path, text)
    except UnreadableError as error:
        return Written(folder, stem, stem, None, None), [error.problem]
    entry, wrong = read_entry(source, model)
    found = [*problems, *wrong]
    declared = source.value.get(field) if isinstance(source.value, dict) else None
    if isinstance(declared, str) and declared != stem:
        hint = f"rename the file to {folder}/{declared}.yaml, or write {field}: {stem}"
        found.append(
            source.problem((field,), f"the file is called {name} but declares {field} {declared}", hint)
        )
    return Written(folder, stem, declared if isinstance(declared, str) else stem, source, entry), found
