"""How numbers and instants look on a page."""

from datetime import datetime
from decimal import Decimal

from valorem.core.money import minor_digits
from valorem.core.numbers import plain
from valorem.core.time import write_instant


def money(amount: Decimal | None, currency: str) -> str:
    """An amount with the places its currency has, more where it has more digits."""
    if amount is None:
        return "—"
    exponent = Decimal(plain(amount)).as_tuple().exponent
    places = max(minor_digits(currency), -exponent if isinstance(exponent, int) else 0)
    return f"{amount:,.{places}f} {currency}"


def quantity(amount: Decimal) -> str:
    """A quantity with separators between thousands, all its digits kept."""
    return f"{Decimal(plain(amount)):,f}"


def grouped(count: int) -> str:
    """A count with separators between thousands."""
    return f"{count:,}"


def day(at: datetime) -> str:
    """The day of an instant, in UTC; with the time of day where it is not midnight."""
    text = write_instant(at)
    return text[:10] if text.endswith("T00:00:00Z") else text[:16].replace("T", " ")


def moment(at: datetime) -> str:
    """An instant to the minute, in UTC."""
    return write_instant(at)[:16].replace("T", " ") + " UTC"
