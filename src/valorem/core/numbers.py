"""Exact numbers: how they are read, computed with and written.

No float ever takes part. Every public pure function that does arithmetic runs under :data:`EXACT`, because the
standard decimal context silently drops digits past the 28th, and a quantity (30 digits) times a rate (30 digits)
needs 60.
"""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from functools import wraps
from typing import ParamSpec, TypeVar

from valorem.core.errors import InvalidInputError

P = ParamSpec("P")
R = TypeVar("R")

ZERO = Decimal(0)
ONE = Decimal(1)

#: Digits enough for any product of sums Valorem forms; only a division can be inexact, and it is rounded later.
EXACT = Context(prec=100, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])

MAX_INTEGER_DIGITS = 18
MAX_FRACTION_DIGITS = 12
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,12})?", re.ASCII)


def exact(function: Callable[P, R]) -> Callable[P, R]:
    """Run a pure function under the :data:`EXACT` context, whatever the caller's thread has set."""

    @wraps(function)
    def under_exact_context(*args: P.args, **kwargs: P.kwargs) -> R:
        with localcontext(EXACT):
            return function(*args, **kwargs)

    return under_exact_context


def parse_decimal(value: object, field: str | None = None) -> Decimal:
    """Read a finite decimal of at most 18 digits before and 12 after the point.

    Args:
        value: ASCII text, an int or a Decimal. A float is refused: it has already lost digits.
        field: Dotted path for the error.

    Raises:
        InvalidInputError: For anything else, with the accepted form in the hint.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, int) and not isinstance(value, bool):
        if -(10**MAX_INTEGER_DIGITS) < value < 10**MAX_INTEGER_DIGITS:
            return Decimal(value)
        text = "an integer of more than 18 digits"
    elif isinstance(value, Decimal):
        text = format(value, "f") if value.is_finite() and abs(value.adjusted()) < 40 else str(value)
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    else:
        raise InvalidInputError(
            f"expected a decimal number, found {_described(value)}",
            field=field,
            hint="write it as a number or as text such as 12.50",
        )
    if _NUMBER.fullmatch(text) is None:
        raise InvalidInputError(
            f"expected a decimal number, found {_shortened(text)}",
            field=field,
            hint="at most 18 digits before and 12 after the point, ASCII digits only, no exponent",
        )
    number = Decimal(text)
    return number or ZERO  # -0 is 0


def plain(number: Decimal) -> str:
    """Write a decimal as people and JSON read it: no exponent, no trailing zeros, no negative zero."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _described(value: object) -> str:
    names = {
        bool: "true or false",
        float: "a binary float",
        type(None): "nothing",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _shortened(text: str, most: int = 40) -> str:
    return repr(text if len(text) <= most else text[:most] + "…")
