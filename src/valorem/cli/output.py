"""How answers look: tables for people, JSON for programs, errors that say what to do next."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from valorem.core.money import minor_digits
from valorem.core.numbers import plain
from valorem.core.time import write_instant

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON, for programs.")]

#: Wide enough for every table where nobody looks: in a pipe or a file lines must not be folded.
_UNSEEN_COLUMNS = 240


def _width(*, is_terminal: bool) -> int | None:
    return None if is_terminal or "COLUMNS" in os.environ else _UNSEEN_COLUMNS


out = Console(highlight=False, width=_width(is_terminal=sys.stdout.isatty()))
err = Console(stderr=True, highlight=False, width=_width(is_terminal=sys.stderr.isatty()))


def say(text: str, style: str | None = None) -> None:
    """One line for people; what it quotes is never taken for markup."""
    out.print(Text(text, style=style or ""), soft_wrap=True)


def show_json(value: Any) -> None:
    """An answer for programs: decimals as text, instants with Z."""
    plain_values = msgspec.to_builtins(value, builtin_types=(Decimal, datetime))
    sys.stdout.write(json.dumps(plain_values, indent=2, ensure_ascii=False, default=_plainly) + "\n")


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[str] = (),
    title: str | None = None,
) -> None:
    """Rows for people.

    Args:
        columns: Their titles.
        rows: Cells: text, numbers, instants or None.
        right: Titles of columns that are numbers.
        title: Above it.
    """
    grid = Table(
        title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False
    )
    for column in columns:
        grid.add_column(column, justify="right" if column in right else "left", overflow="fold")
    count = 0
    for row in rows:
        grid.add_row(*(Text(cell(value)) for value in row))
        count += 1
    if count:
        out.print(grid)
    else:
        say("nothing there", "dim")


def more(following: str | None) -> None:
    """Say that a list goes on."""
    if following:
        say(f"there is more: --after {following}", "dim")


def cell(value: Any) -> str:
    """One value as people read it."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return number(value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{name}={'—' if text is None else text}" for name, text in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def number(value: Decimal) -> str:
    """A number with separators between thousands, all its digits kept."""
    return f"{Decimal(plain(value)):,f}"


def money(amount: Decimal | None, currency: str) -> str:
    """An amount with the places its currency has, more where it has more digits."""
    if amount is None:
        return "—"
    exponent = Decimal(plain(amount)).as_tuple().exponent
    places = max(minor_digits(currency), -exponent if isinstance(exponent, int) else 0)
    return f"{amount:,.{places}f} {currency}"


def instant(value: datetime) -> str:
    """An instant in UTC, with its time of day only where it is not midnight."""
    text = write_instant(value)
    return (
        text[:10]
        if text.endswith("T00:00:00Z")
        else text.replace(":00Z", "Z")
        if text.endswith(":00Z")
        else text
    )


def days(start: datetime, end: datetime) -> str:
    """A period by its days in UTC, where the time of day would only crowd the table."""
    return f"{start:%Y-%m-%d} – {end:%Y-%m-%d}"


def fail(message: str, *, hint: str | None = None, details: Sequence[str] = ()) -> None:
    """An error for people, on stderr."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)
    for detail in details:
        err.print(Text(detail), soft_wrap=True)
    if hint:
        err.print(Text.assemble(("→ ", "bold"), hint), soft_wrap=True)


def _plainly(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return write_instant(value)
    raise TypeError(f"a {type(value).__name__} is not for JSON")
