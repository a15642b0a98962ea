"""The documentation cannot fall behind the code."""

import re
from pathlib import Path

import pytest

from docs import generate

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_generated_page_says_what_the_code_says(page: str) -> None:
    written = (generate.FOLDER / page).read_text(encoding="utf-8")
    assert written == generate.PAGES[page](), "stale: run make reference"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    missing = {page for page in pages - {"decisions/template.md"} if page not in navigation}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_glossary_is_in_order() -> None:
    terms = re.findall(r"^([^\n:].*)\n:   ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(terms) > 30
    assert terms == sorted(terms)


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "index.md").read_text()
    notes = sorted(note.name for note in folder.glob("[0-9]*.md"))
    assert notes
    assert [note for note in notes if f"({note})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    known = re.findall(r"^## valorem (.+)$", generate.PAGES["commands.md"](), re.MULTILINE)
    shown = re.findall(
        r"(?:^\$ |`|\$\()valorem ([a-z]+(?: [a-z][a-z-]*){0,2})",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert [command for command in shown if not _beginnings(command) & set(known)] == []


def _beginnings(command: str) -> set[str]:
    """A command with its arguments: which of its first words name it is for the reference to say."""
    words = command.split()
    return {" ".join(words[: length + 1]) for length in range(len(words))}
