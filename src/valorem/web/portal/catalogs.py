"""The messages of the portal: found in its sources, kept in one catalog for each language.

``python -m valorem.web.portal.catalogs`` brings every catalog up to date: new messages come in empty, those that are gone go.
"""

from collections.abc import Iterator
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from valorem.core.portal.settings import LANGUAGES
from valorem.web.portal.words import FOLDER, SOURCE

_SOURCES = Path(__file__).parent
_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "say": None, "count": (1, 2)}
_OPTIONS = {"templates/**.html": {"trimmed": "true", "encoding": "utf-8", "silent": "false"}}
_WIDTH = 120


def messages() -> Catalog:
    """Every message of the sources, with where it is."""
    found = Catalog(project="Valorem", charset="utf-8")
    rows = extract_from_dir(
        str(_SOURCES), _METHODS, _OPTIONS, keywords=_KEYWORDS, comment_tags=(), strip_comment_tags=False
    )
    for file, _line, message, comments, context in sorted(rows, key=lambda row: (row[0], row[1])):
        found.add(message, None, [(file, 0)], auto_comments=comments, context=context)
    return found


def path_of(language: str) -> Path:
    """Where a language's catalog is."""
    return FOLDER / language / "LC_MESSAGES" / "portal.po"


def catalogs() -> Iterator[tuple[str, Catalog]]:
    """The catalogs as they are kept, by language; the source's own is none."""
    for language in LANGUAGES:
        if language != SOURCE:
            with path_of(language).open("rb") as file:
                yield language, read_po(file, locale=language)


def update() -> None:
    """Bring every catalog up to date."""
    template = messages()
    for language in LANGUAGES:
        if language == SOURCE:
            continue
        path = path_of(language)
        if path.exists():
            with path.open("rb") as file:
                kept = read_po(file, locale=language)
        else:
            kept = Catalog(Locale.parse(language), project="Valorem", charset="utf-8")
        kept.update(template, no_fuzzy_matching=True, update_header_comment=False)
        kept.obsolete.clear()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, kept, width=_WIDTH, no_location=True, omit_header=False, sort_output=True)


if __name__ == "__main__":
    update()
