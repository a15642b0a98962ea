"""Fonts for documents: those inside typst, those of installed packages, and last those of the machine."""

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import typst

#: What the extra `fonts` installs: packages that carry nothing but open fonts.
PACKAGES = ("noto_cjk_sans_jp_regular", "noto_cjk_sans_jp_bold", "justmytype_intl_rtl")


@cache
def carried_fonts(folder: Path | None = None) -> typst.Fonts:
    """The fonts that are the same on every machine: documents set in them have the same bytes everywhere.

    Args:
        folder: More fonts, the operator's own.
    """
    return typst.Fonts(include_system_fonts=False, font_paths=[*_carried(), *([folder] if folder else [])])


@cache
def all_fonts(folder: Path | None = None) -> typst.Fonts:
    """The same and those of the machine, for letters that the carried ones do not have."""
    return typst.Fonts(include_system_fonts=True, font_paths=[*_carried(), *([folder] if folder else [])])


def _carried() -> list[Path]:
    return [Path(str(files(name))) for name in PACKAGES if find_spec(name) is not None]
