"""Writes ``docs/reference`` from the code: ``python -m docs.generate``; with ``--check`` it only tells what is stale."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generating.catalog import catalog
from docs.generating.client import client
from docs.generating.command_line import commands
from docs.generating.facts import errors, limits, settings
from docs.generating.http import http

FOLDER = Path(__file__).parent / "reference"

PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": settings,
    "limits.md": limits,
    "catalog.md": catalog,
    "http.md": http,
    "commands.md": commands,
    "client.md": client,
    "errors.md": errors,
}


def stale() -> list[str]:
    """Names of the pages that differ from what the code says."""
    return [
        name
        for name, write in PAGES.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text(encoding="utf-8") != write()
    ]


def main() -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    if parser.parse_args().check:
        for name in (found := stale()):
            print(f"docs/reference/{name} is stale: run make reference")
        return 1 if found else 0
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
