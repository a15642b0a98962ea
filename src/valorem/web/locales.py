"""In whose way numbers and dates are written: by the browser's languages, or as somebody chose; words stay English."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from functools import cache

from babel import Locale
from babel.dates import format_skeleton
from starlette.requests import Request

COOKIE = "valorem_formats"
DEFAULT = "en"
#: Those whose thousands stand in threes, which is how numbers are grouped here.
OFFERED = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "tr", "ja")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Symbols:
    """How a language writes numbers.

    Attributes:
        decimal: Between whole and part.
        group: Between thousands.
    """

    decimal: str
    group: str


_spoken: ContextVar[str] = ContextVar("spoken", default=DEFAULT)


@contextmanager
def spoken(language: str) -> Iterator[None]:
    """Write numbers and dates in a language's way, in here."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def language() -> str:
    """The language in whose way numbers and dates are written now."""
    return _spoken.get()


def language_of(request: Request) -> str:
    """What somebody chose, else the first offered one of the browser's languages."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in OFFERED:
        return chosen
    for part in request.headers.get("accept-language", "")[:200].split(","):
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        if code in OFFERED:
            return code
    return DEFAULT


@cache
def symbols(code: str) -> Symbols:
    """The symbols of a language."""
    if code == DEFAULT:
        return Symbols(".", ",")
    found = Locale.parse(code).number_symbols["latn"]
    return Symbols(str(found["decimal"]), str(found["group"]))


def grouped(text: str) -> str:
    """A number as Python groups it, ``1,234.50``, in the way of the language."""
    if (code := _spoken.get()) == DEFAULT:
        return text
    known = symbols(code)
    return text.replace(",", "\0").replace(".", known.decimal).replace("\0", known.group)


def date_text(day: date) -> str:
    """A day of a calendar: ``5 Mar 2026``, or as the language has it."""
    if (code := _spoken.get()) == DEFAULT:
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
    return _skeleton("yMMMd", day, code)


def month_day(day: date) -> str:
    """A day without its year."""
    if (code := _spoken.get()) == DEFAULT:
        return f"{day.day} {_MONTHS[day.month - 1]}"
    return _skeleton("MMMd", day, code)


def month_text(day: date) -> str:
    """A month and its year."""
    if (code := _spoken.get()) == DEFAULT:
        return f"{_MONTHS[day.month - 1]} {day.year}"
    return _skeleton("yMMM", day, code)


@cache
def _skeleton(skeleton: str, day: date, code: str) -> str:
    return str(format_skeleton(skeleton, day, locale=code))
