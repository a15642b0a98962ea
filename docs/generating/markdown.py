"""Markdown, and what docstrings say."""

import inspect
import re
from collections.abc import Sequence


def page(title: str, intro: str, *sections: str) -> str:
    notice = "<!-- Written by `make reference` from the code; edit the code. -->"
    return "\n\n".join([notice, f"# {title}", intro, *(section.strip() for section in sections)]) + "\n"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in line) + " |"
        for line in lines
    )


def markdown(text: str) -> str:
    """Docstring text on one line; a cross-reference becomes the last name of what it points to."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    return " ".join(text.replace("``", "`").split())


def attributes_of(kind: type) -> dict[str, str]:
    """The ``Attributes:`` section of a class's docstring and of its bases': name to text on one line."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        _, marker, rest = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        if not marker:
            continue
        section = re.split(r"\n(?=\S)", rest)[0]
        for match in re.finditer(r"^    (\w+): ((?:.|\n(?!    \w+: |\n))*)", section, re.MULTILINE):
            found[match[1]] = markdown(match[2])
    return found


def first_line(documented: object) -> str:
    """The summary of a docstring."""
    return markdown((inspect.getdoc(documented) or "").split("\n\n")[0])
