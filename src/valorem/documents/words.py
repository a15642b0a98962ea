"""Words, numbers and dates of a document in the reader's language."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton
from babel.numbers import format_currency, format_decimal, format_percent

from valorem.core.errors import InvalidInputError

#: Territories whose printers hold Letter paper.
_LETTER = frozenset(("US", "CA", "MX", "PH", "CL", "CO", "CR", "GT", "PA", "DO", "PR", "SV", "VE"))

_ISOLATE, _END_ISOLATE, _LEFT_TO_RIGHT = "\u2068", "\u2069", "\u200e"


@dataclass(frozen=True, slots=True)
class Words:
    """A language with its conventions.

    Attributes:
        locale: The locale.
        labels: Every fixed text of a document, by key.
    """

    locale: Locale
    labels: Mapping[str, str]

    @property
    def right_to_left(self) -> bool:
        """Which way it is written."""
        return bool(self.locale.character_order == "right-to-left")

    @property
    def paper(self) -> str:
        """The paper it is printed on."""
        return "us-letter" if self.locale.territory in _LETTER else "a4"

    def own(self, text: str) -> str:
        """Somebody's own text (a name, a code): it keeps its direction, whatever the language around it."""
        return f"{_ISOLATE}{text}{_END_ISOLATE}" if self.right_to_left else text

    def money(self, amount: Decimal, currency: str) -> str:
        """An amount with its currency and the currency's own decimals."""
        return self._signed(format_currency(amount, currency, locale=self.locale))

    def price(self, amount: Decimal, currency: str) -> str:
        """The price of one unit, with all the decimals it has."""
        return self._signed(format_currency(amount, currency, locale=self.locale, decimal_quantization=False))

    def number(self, quantity: Decimal) -> str:
        """A quantity, with all the decimals it has."""
        return self._signed(format_decimal(quantity, locale=self.locale, decimal_quantization=False))

    def percent(self, share: Decimal) -> str:
        """A share as a percentage, with all the decimals it has."""
        return self._signed(format_percent(share, locale=self.locale, decimal_quantization=False))

    def day(self, day: date) -> str:
        """A date as people write it."""
        return str(format_date(day, format="medium", locale=self.locale))

    def short_day(self, day: date) -> str:
        """A day without its year, under a chart."""
        return str(format_skeleton("MMMd", day, locale=self.locale))

    def month(self, day: date) -> str:
        """The month of a day, with its year."""
        return str(format_skeleton("yMMM", day, locale=self.locale))

    def days(self, first: date, last: date) -> str:
        """From one day to another."""
        return self.day(first) if first == last else f"{self.day(first)} – {self.day(last)}"

    def country(self, code: str) -> str:
        """A country's name."""
        return str(self.locale.territories.get(code, code))

    def _signed(self, number: str) -> str:
        """Keep a minus before its digits where the text around runs the other way."""
        return number.replace("-", _LEFT_TO_RIGHT + "-") if self.right_to_left else number


@cache
def languages() -> Mapping[str, Mapping[str, str]]:
    """The languages there are words for."""
    read = json.loads(files("valorem.documents").joinpath("labels.json").read_text(encoding="utf-8"))
    return MappingProxyType({language: MappingProxyType(labels) for language, labels in read.items()})


@cache
def words_for(locale: str) -> Words:
    """The words of a locale such as ``de``, ``de_CH`` or ``en-US``.

    Raises:
        InvalidInputError: For a locale without words, naming those there are.
    """
    known = languages()
    try:
        parsed = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        parsed = None
    if parsed is None or parsed.language not in known:
        raise InvalidInputError(
            f"there are no words for {locale[:20]!r}",
            field="locale",
            hint=f"use one of {', '.join(sorted(known))}, with a territory where wanted (de_CH)",
        )
    return Words(parsed, known[parsed.language])
