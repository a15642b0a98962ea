"""The portal in the customer's language: sentences from its catalog, numbers and dates as people there write them.

Catalogs are ``locale/LANGUAGE/LC_MESSAGES/portal.po``, kept as text and compiled in memory when a language is first asked
for. Amounts keep every digit: the text differs from the API's by its separators alone, and its ``value`` not at all.
"""

import gettext
import re
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_interval, format_time, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import (
    NumberFormatError,
    format_compact_decimal,
    format_currency,
    format_decimal,
    format_percent,
    parse_decimal,
)
from markupsafe import Markup

from valorem.core.numbers import ONE, plain
from valorem.core.portal.settings import LANGUAGES
from valorem.core.time import write_instant

FOLDER = Path(__file__).parent / "locale"
SOURCE = "en"
_RIGHT_TO_LEFT = frozenset({"he"})
_ABSENT = Markup('<span class="quiet">–</span>')


class Words:
    """One language.

    Args:
        language: One of :data:`LANGUAGES`.
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self.locale = Locale.parse(language)
        self.direction = "rtl" if language in _RIGHT_TO_LEFT else "ltr"
        self._catalog = _catalog(language)

    @property
    def tag(self) -> str:
        """For the ``lang`` of a page."""
        return self.language.replace("_", "-")

    def gettext(self, message: str) -> str:
        """The message's translation, not filled in."""
        return self._catalog.gettext(message)

    def ngettext(self, one: str, many: str, number: int) -> str:
        """The translation for a number, not filled in."""
        return self._catalog.ngettext(one, many, number)

    def say(self, message: str, **values: object) -> str:
        """A sentence, filled in."""
        return self._catalog.gettext(message) % values

    def count(self, one: str, many: str, number: int, **values: object) -> str:
        """A sentence about a number; ``%(n)s`` in it is the number."""
        return self._catalog.ngettext(one, many, number) % {"n": self.quantity_text(number), **values}

    def money_text(self, amount: Decimal, currency: str) -> str:
        """An amount with its currency, all digits kept."""
        return format_currency(amount, currency, locale=self.locale, decimal_quantization=False)

    def money(self, amount: Decimal | None, currency: str, mark: str = "") -> Markup:
        """An amount; its ``value`` is what the API answers, to the letter.

        Args:
            amount: None where there is none.
            currency: ISO 4217.
            mark: An id by which a live number is found again.
        """
        if amount is None:
            return _ABSENT
        return _data(plain(amount), self.money_text(amount, currency), mark, "money")

    def signed_money(self, amount: Decimal, currency: str) -> Markup:
        """A difference with its sign and a word, so that colour is never alone."""
        if not amount:
            return _data("0", self.money_text(amount, currency), "", "money")
        word = self.say("more") if amount > 0 else self.say("less")
        sign = "+" if amount > 0 else "−"
        text = f"{sign}{self.money_text(abs(amount), currency)}"
        kind = "up" if amount > 0 else "down"
        return Markup(
            '<data class="delta {} money" value="{}"><bdi>{}</bdi><span class="unseen"> {}</span></data>'
        ).format(kind, plain(amount), text, word)

    def quantity_text(self, amount: Decimal | int) -> str:
        """A quantity, all digits kept."""
        return format_decimal(Decimal(plain(Decimal(amount))), locale=self.locale, decimal_quantization=False)

    def quantity(self, amount: Decimal | int | None, unit: str | None = None, mark: str = "") -> Markup:
        """A quantity, exact, with its unit."""
        if amount is None:
            return _ABSENT
        shown = _data(plain(Decimal(amount)), self.quantity_text(amount), mark)
        return shown + Markup(" <small>{}</small>").format(unit) if unit else shown

    def compact_text(self, amount: Decimal | int) -> str:
        """A large quantity in few figures."""
        number = Decimal(amount)
        if abs(number) < 1000:
            return self.quantity_text(number.quantize(Decimal("0.01")) if number % 1 else number)
        return format_compact_decimal(number, locale=self.locale, fraction_digits=2)

    def compact(self, amount: Decimal | int | None, mark: str = "") -> Markup:
        """A large quantity in few figures; the exact one is its title and its value."""
        if amount is None:
            return _ABSENT
        place = Markup(' id="{}"').format(mark) if mark else ""
        return Markup('<data{} value="{}" title="{}">{}</data>').format(
            place, plain(Decimal(amount)), self.quantity_text(amount), self.compact_text(amount)
        )

    def read_number(self, text: str) -> Decimal | None:
        """A number as people here write it, or as programs do; None where it is none."""
        text = re.sub(r"[\s\u200e\u200f]", "", text)
        for read in (self._read, Decimal):
            try:
                number = read(text)
            except (NumberFormatError, InvalidOperation):
                continue
            return number if number.is_finite() else None
        return None

    def _read(self, text: str) -> Decimal:
        return parse_decimal(text, locale=self.locale, strict=True)

    def percent(self, share: Decimal | None) -> str:
        """A share of one, to a tenth of a percent."""
        if share is None:
            return "–"
        return format_percent(
            share.quantize(ONE.scaleb(-3)), format=None, locale=self.locale, decimal_quantization=False
        )

    def day_text(self, at: datetime, zone: str) -> str:
        """The day of an instant, with the time where it is not midnight there."""
        there = at.astimezone(ZoneInfo(zone))
        if (there.hour, there.minute) == (0, 0):
            return format_date(there.date(), "medium", locale=self.locale)
        return self.moment_text(at, zone)

    def day(self, at: datetime | None, zone: str) -> Markup:
        """The day of an instant in a zone."""
        return _ABSENT if at is None else _time(at, self.day_text(at, zone))

    def date(self, day: date | None) -> str:
        """A day of the calendar."""
        return "–" if day is None else format_date(day, "medium", locale=self.locale)

    def moment_text(self, at: datetime, zone: str) -> str:
        """An instant to the minute."""
        there = at.astimezone(ZoneInfo(zone))
        day = format_date(there.date(), "medium", locale=self.locale)
        return f"{day}, {format_time(there, 'short', locale=self.locale)}"

    def moment(self, at: datetime | None, zone: str) -> Markup:
        """An instant to the minute."""
        return _ABSENT if at is None else _time(at, self.moment_text(at, zone))

    def second(self, at: datetime | None, zone: str) -> Markup:
        """An instant to the second."""
        if at is None:
            return _ABSENT
        return _time(at, format_datetime(at, "medium", tzinfo=ZoneInfo(zone), locale=self.locale))

    def clock_text(self, at: datetime, zone: str) -> str:
        """The time of day of an instant, to the second."""
        return format_time(at.astimezone(ZoneInfo(zone)), "medium", locale=self.locale)

    def span_text(self, start: datetime, end: datetime, zone: str) -> str:
        """A stretch of time by its first and last day."""
        first, after = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
        if (first.hour, first.minute, after.hour, after.minute) != (0, 0, 0, 0):
            return f"{self.day_text(start, zone)} – {self.day_text(end, zone)}"
        last = (after.replace(tzinfo=None) - timedelta(days=1)).date()
        if last <= first.date():
            return format_date(first.date(), "medium", locale=self.locale)
        return format_interval(first.date(), last, skeleton="yMMMd", locale=self.locale)

    def span(self, start: datetime, end: datetime, zone: str) -> Markup:
        """A stretch of time by its first and last day."""
        return Markup('<span class="span" title="{} – {}">{}</span>').format(
            write_instant(start), write_instant(end), self.span_text(start, end, zone)
        )

    def away(self, at: datetime, now: datetime) -> str:
        """How far an instant is from now."""
        return format_timedelta(at - now, add_direction=True, threshold=1.2, locale=self.locale)


@cache
def words_of(language: str) -> Words:
    """A language, read once."""
    return Words(language)


def own_name(language: str) -> str:
    """What a language calls itself."""
    name = Locale.parse(language).get_display_name(language) or language
    return name[:1].upper() + name[1:]


def chosen(*wanted: str | None) -> str | None:
    """The first wanted language that there is a catalog for: ``de_AT`` and ``de-AT`` are German."""
    for each in wanted:
        found = re.match(r"[a-z]{2}", each or "")
        if found and found[0] in LANGUAGES:
            return found[0]
    return None


def accepted(header: str) -> str | None:
    """The language a browser prefers among ours."""
    weighed: list[tuple[Decimal, int, str]] = []
    for place, part in enumerate(header[:500].split(",")):
        tag, _, rest = part.strip().lower().partition(";")
        weight = re.fullmatch(r"q=([01](?:\.\d{0,3})?)", rest.strip())
        weighed.append((-(Decimal(weight[1]) if weight else ONE), place, tag))
    return chosen(*(tag for weight, _, tag in sorted(weighed) if weight))


@cache
def _catalog(language: str) -> gettext.NullTranslations:
    if language == SOURCE:
        return gettext.NullTranslations()
    with (FOLDER / language / "LC_MESSAGES" / "portal.po").open("rb") as file:
        read = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, read)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _data(value: str, text: str, mark: str = "", kind: str = "") -> Markup:
    place = Markup(' id="{}"').format(mark) if mark else ""
    named = Markup(' class="{}"').format(kind) if kind else ""
    return Markup('<data{}{} value="{}"><bdi>{}</bdi></data>').format(place, named, value, text)


def _time(at: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(write_instant(at), text)
