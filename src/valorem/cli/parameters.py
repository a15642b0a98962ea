"""Options that several commands share, and how their text is read."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, TypeVar

import typer

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal
from valorem.core.time import parse_instant

V = TypeVar("V")

After = Annotated[str | None, typer.Option(help="Go on after this cursor.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="Most rows.")]
Customer = Annotated[str | None, typer.Option(help="Only this customer.")]


def an_instant(text: str | None, option: str) -> datetime | None:
    """An instant such as 2026-03-05T14:30:00Z, or a day such as 2026-03-05, which is midnight UTC."""
    if text is None:
        return None
    return parse_instant(f"{text}T00:00:00Z" if len(text) == 10 else text, option)


def a_date(text: str, option: str) -> date:
    """A day such as 2026-03-05."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"{text!r} is no day", field=option, hint="write it as 2026-03-05") from None


def pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """``name=value`` texts."""
    found = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidInputError(f"{text!r} is no pair", field=option, hint="write name=value")
        found[name] = value
    return found


def quantities(texts: list[str] | None, option: str) -> dict[str, Decimal]:
    """``name=number`` texts."""
    return {name: parse_decimal(text, option) for name, text in pairs(texts, option).items()}
