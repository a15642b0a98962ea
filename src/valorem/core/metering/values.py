"""How a value found in an event is taken as a number or as text, the same for meters, filters and expressions."""

from datetime import datetime
from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, parse_decimal, plain
from valorem.core.time import write_instant

#: Integers below this magnitude have at most 18 digits.
MOST = 10**18


def number_of(value: object, field: str) -> Decimal:
    """Take a JSON number or decimal text as an exact number of at most 18 digits before and 12 after the point.

    Raises:
        InvalidInputError: For anything else, also for true, false and null, naming the field.
    """
    if type(value) is int and -MOST < value < MOST:
        return Decimal(value)
    if type(value) is Decimal and not value:
        return ZERO
    if value is None:
        raise InvalidInputError("is missing or null", field=field, hint="send a number")
    return parse_decimal(value, field)


def text_of(value: object) -> str | None:
    """Take a scalar as text: text as it is, numbers by value (``1.0`` is ``1``), ``true`` and ``false``, instants.

    Returns:
        ``None`` for null and for lists and objects, which are no scalar.
    """
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        return str(value)
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return write_instant(value)
    return None
