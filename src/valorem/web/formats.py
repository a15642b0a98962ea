"""How numbers and instants look on a page. Each carries its exact value, so that a page can be checked and copied."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from valorem.core.money import minor_digits
from valorem.core.numbers import plain
from valorem.core.time import write_instant
from valorem.web import locales
from valorem.web.locales import date_text, grouped

ABSENT = Markup('<span class="quiet">–</span>')
_MINUS = "\N{MINUS SIGN}"
_COMPACT = ((Decimal(10**12), "T"), (Decimal(10**9), "B"), (Decimal(10**6), "M"), (Decimal(10**3), "k"))


def money_text(amount: Decimal, currency: str) -> str:
    """An amount with the places its currency has, more where it has more digits: ``1,234.50``."""
    digits = plain(abs(amount)).partition(".")[2]
    places = max(minor_digits(currency), len(digits))
    sign = _MINUS if amount < 0 else ""
    return sign + grouped(f"{abs(amount):,.{places}f}")


def money(amount: Decimal | None, currency: str, mark: str = "") -> Markup:
    """An amount and its currency; its ``value`` is what the API answers, to the letter.

    Args:
        amount: None where there is none.
        currency: ISO 4217.
        mark: An id by which a live number is found again.
    """
    if amount is None:
        return ABSENT
    place = Markup(' id="{}"').format(mark) if mark else ""
    return Markup('<span class="money"><data{} value="{}">{}</data> <small>{}</small></span>').format(
        place, plain(amount), money_text(amount, currency), currency
    )


def bare_money(amount: Decimal | None, currency: str, mark: str = "") -> Markup:
    """An amount where the column or the title names the currency."""
    if amount is None:
        return ABSENT
    place = Markup(' id="{}"').format(mark) if mark else ""
    return Markup('<data class="money"{} value="{}">{}</data>').format(
        place, plain(amount), money_text(amount, currency)
    )


def cents(amount: Decimal | None, currency: str) -> Markup:
    """An amount that is no charge, such as a cost, in the currency's own places; the exact one is its title."""
    if amount is None:
        return ABSENT
    places = Decimal(1).scaleb(-minor_digits(currency))
    return Markup('<data class="money" value="{}" title="{}">{}</data>').format(
        plain(amount), plain(amount), money_text(amount.quantize(places), currency)
    )


def signed_money(amount: Decimal, currency: str) -> Markup:
    """A difference with its sign and a word, so that colour is never alone."""
    if not amount:
        return Markup('<data value="0">{}</data>').format(money_text(amount, currency))
    sign, word, kind = ("+", "more", "up") if amount > 0 else (_MINUS, "less", "down")
    return Markup('<data class="delta {}" value="{}">{}{}<span class="unseen"> {}</span></data>').format(
        kind, plain(amount), sign, money_text(abs(amount), currency), word
    )


def quantity_text(amount: Decimal | int) -> str:
    """A quantity with separators between thousands, all its digits kept."""
    number = Decimal(amount)
    sign = _MINUS if number < 0 else ""
    return sign + grouped(f"{abs(Decimal(plain(number))):,f}")


def quantity(amount: Decimal | int | None, unit: str | None = None, mark: str = "") -> Markup:
    """A quantity, exact."""
    if amount is None:
        return ABSENT
    place = Markup(' id="{}"').format(mark) if mark else ""
    shown = Markup('<data{} value="{}">{}</data>').format(
        place, plain(Decimal(amount)), quantity_text(amount)
    )
    return shown + Markup(" <small>{}</small>").format(plural(unit, amount)) if unit else shown


def rounded(amount: Decimal, places: int = 1) -> Markup:
    """A rate or an average in few digits; the exact one is its title."""
    shown = quantity_text(amount.quantize(Decimal(1).scaleb(-places)))
    return Markup('<data value="{}" title="{}">{}</data>').format(plain(amount), plain(amount), shown)


def change_money(amount: Decimal, currency: str) -> Markup:
    """A difference with its sign, without saying whether more is good or bad."""
    sign = "+" if amount > 0 else _MINUS if amount < 0 else ""
    return Markup('<data class="money" value="{}">{}{}</data>').format(
        plain(amount), sign, money_text(abs(amount), currency)
    )


def signed(amount: Decimal) -> Markup:
    """A quantity with its sign, plus as well."""
    sign = "+" if amount > 0 else _MINUS if amount < 0 else ""
    return Markup('<data value="{}">{}{}</data>').format(plain(amount), sign, quantity_text(abs(amount)))


def plural(noun: str, count: Decimal | int) -> str:
    """``1 token``, ``2 tokens``."""
    if count == 1 or noun.endswith("s"):
        return noun
    return noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"


def compact_text(amount: Decimal | int) -> str:
    """A large quantity in three or four figures: ``1.24M``."""
    number = Decimal(amount)
    for size, letter in _COMPACT:
        if abs(number) >= size:
            shown = number / size
            places = 0 if abs(shown) >= 100 else 1 if abs(shown) >= 10 else 2
            text = f"{shown:,.{places}f}"
            short = text.rstrip("0").rstrip(".") if "." in text else text
            return grouped(short).replace("-", _MINUS) + letter
    return quantity_text(number.quantize(Decimal("0.01")) if number != number.to_integral_value() else number)


def compact(amount: Decimal | int | None) -> Markup:
    """A large quantity in few figures; the exact one is its title."""
    if amount is None:
        return ABSENT
    exact = quantity_text(amount)
    return Markup('<data value="{}" title="{}">{}</data>').format(
        plain(Decimal(amount)), exact, compact_text(amount)
    )


def percent(share: Decimal | None) -> str:
    """A share of one, to a tenth of a percent."""
    return "–" if share is None else grouped(f"{share * 100:.1f}").replace("-", _MINUS) + " %"


def day_text(at: datetime, zone: str = "UTC") -> str:
    """The day of an instant in a zone, with the time where it is not midnight there: ``5 Mar 2026``."""
    there = at.astimezone(ZoneInfo(zone))
    text = date_text(there.date())
    return text if (there.hour, there.minute) == (0, 0) else f"{text} {there:%H:%M}"


def day(at: datetime | None, zone: str = "UTC") -> Markup:
    """The day of an instant in a zone."""
    return ABSENT if at is None else _time(at, day_text(at, zone))


def day_only(at: datetime | None, zone: str = "UTC") -> Markup:
    """The day of an instant in a zone, whatever its time."""
    return ABSENT if at is None else _time(at, date_text(at.astimezone(ZoneInfo(zone)).date()))


def moment_text(at: datetime, zone: str = "UTC") -> str:
    """An instant to the second."""
    there = at.astimezone(ZoneInfo(zone))
    return f"{date_text(there.date())} {there:%H:%M:%S}"


def moment(at: datetime | None, zone: str = "UTC") -> Markup:
    """An instant to the second."""
    return ABSENT if at is None else _time(at, moment_text(at, zone))


def span(start: datetime, end: datetime, zone: str = "UTC") -> Markup:
    """A stretch of time by its first and last day, as people say it: ``1 – 31 Mar 2026``."""
    first, after = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    if (first.hour, first.minute, after.hour, after.minute) != (0, 0, 0, 0):
        text = f"{day_text(start, zone)} – {day_text(end, zone)}"
    else:
        last = (after.replace(tzinfo=None) - timedelta(days=1)).date()
        if locales.language() == locales.DEFAULT and (first.year, first.month) == (last.year, last.month):
            text = f"{first.day} – {date_text(last)}"
        elif first.year == last.year:
            text = f"{locales.month_day(first.date())} – {date_text(last)}"
        else:
            text = f"{day_text(start, zone)} – {date_text(last)}"
        if first.date() == last:
            text = date_text(last)
    return Markup('<span class="span" title="{} to {}">{}</span>').format(
        write_instant(start), write_instant(end), text
    )


def alert_text(alert: str) -> str:
    """What an alert watches, in words: ``limit:agents:day`` is a limit on agents in a day."""
    kind, _, rest = alert.partition(":")
    on, _, window = rest.partition(":")
    named = {
        "included": f"included {on or 'quantities'}",
        "limit": f"limit on {on}" + (f", {window.replace('_', ' ')}" if window else ""),
        "usage": f"use of {on}",
        "spend": "spend in the period",
        "projected": "projected bill",
        "expiry": "end of the contract or trial",
        "change": f"sudden change of {on}",
        "balance": f"balance of {on or 'credits'}",
        "depletion": f"{on or 'credits'} about to run out",
        "credit_expiry": f"{on or 'credits'} about to lapse",
        "budget": "budget",
    }
    return named.get(kind, alert.replace("_", " ").replace(":", ", "))


def away(at: datetime, now: datetime) -> str:
    """How far an instant is from now: ``in 3 days``, ``2 hours ago``."""
    seconds = int((at - now).total_seconds())
    size, name = next(
        (
            (size, name)
            for size, name in ((86400, "day"), (3600, "hour"), (60, "minute"))
            if abs(seconds) >= size
        ),
        (1, "second"),
    )
    count = abs(seconds) // size
    text = f"{count} {plural(name, count)}"
    return "now" if not seconds else f"in {text}" if seconds > 0 else f"{text} ago"


def _time(at: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(escape(write_instant(at)), text)
