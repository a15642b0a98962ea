"""Thresholds: an amount or a share, and which of several have been reached."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.units import parse_quantity, parse_share


@dataclass(frozen=True, slots=True)
class Threshold:
    """One threshold.

    Attributes:
        form: ``amount`` in the unit of what is watched, or ``share`` of the whole it is compared with.
        value: The amount, or the share as a fraction (0.8 for 80%).
        of: ``used`` is reached from below; ``left``, a balance, is reached from above.
    """

    form: Literal["amount", "share"]
    value: Decimal
    of: Literal["used", "left"] = "used"

    def __str__(self) -> str:
        return plain(self.value) if self.form == "amount" else f"{plain(self.value.scaleb(2))}%"


@dataclass(frozen=True, slots=True)
class Level:
    """What thresholds are compared with.

    Attributes:
        used: How much was used or spent.
        whole: What shares are shares of; None where there is none, and then no share is ever reached.
        left: The balance, where there is one.
    """

    used: Decimal
    whole: Decimal | None = None
    left: Decimal | None = None

    @property
    def amount(self) -> Decimal:
        """What is told: the balance where there is one, else the use."""
        return self.used if self.left is None else self.left


def parse_threshold(value: object, field: str | None = None) -> Threshold:
    """Read ``80%``, ``1M`` or ``500``.

    Raises:
        InvalidInputError: For anything else, and for less than zero.
    """
    if isinstance(value, Threshold):
        return value
    share = isinstance(value, str) and value.rstrip().endswith("%")
    number = parse_share(value, field) if share else parse_quantity(value, field)
    if number < 0:
        raise InvalidInputError("a threshold is not below zero", field=field, hint="write 80% or an amount")
    return Threshold("share" if share else "amount", number)


@exact
def point_of(threshold: Threshold, level: Level) -> Decimal | None:
    """The amount at which a threshold lies; None where it is a share of nothing."""
    if threshold.form == "amount":
        return threshold.value
    return threshold.value * level.whole if level.whole else None


def is_reached(threshold: Threshold, level: Level) -> bool:
    """Whether a threshold has been reached: use that is at it or past it, a balance that is below it or used up."""
    point = point_of(threshold, level)
    if point is None:
        return False
    if threshold.of == "used":
        return level.used >= point
    if level.left is None or not level.whole:  # what was never granted has not run low
        return False
    return level.left < point or (level.left <= point == ZERO)


def reached(thresholds: Iterable[Threshold], level: Level) -> tuple[Threshold, ...]:
    """Every threshold that has been reached, the one reached first in front."""
    found = [each for each in thresholds if is_reached(each, level)]
    return tuple(sorted(found, key=lambda each: _height(each, level)))


def foremost(thresholds: Sequence[Threshold], level: Level) -> Threshold | None:
    """The reached threshold that says most; of several at the same point a share before an amount, the last of them."""
    found = reached(thresholds, level)
    if not found:
        return None
    top = _height(found[-1], level)
    level_with = [each for each in found if _height(each, level) == top]
    shares = [each for each in level_with if each.form == "share"]
    return (shares or level_with)[-1]


@exact
def distance(thresholds: Iterable[Threshold], level: Level) -> Decimal | None:
    """How much more use reaches the next threshold at the earliest; None where there is none left."""
    gaps = []
    for each in thresholds:
        point = point_of(each, level)
        if point is None:
            continue
        if each.of == "used" and point > level.used:
            gaps.append(point - level.used)
        elif each.of == "left" and level.left is not None and not is_reached(each, level):
            gaps.append(level.left - point)
    return min(gaps, default=None)


def _height(threshold: Threshold, level: Level) -> Decimal:
    point = point_of(threshold, level)
    assert point is not None  # only reached ones are compared
    return point if threshold.of == "used" else -point


def _read(value: object) -> Threshold:
    try:
        return parse_threshold(value)
    except InvalidInputError as error:
        raise ValueError(f"{error.message} ({error.hint})") from None


#: A threshold as a field of the catalog.
ThresholdText = Annotated[
    Threshold,
    BeforeValidator(_read),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(
        {"type": ["number", "string"], "description": "a share or an amount", "examples": ["80%", "1M"]}
    ),
]
Thresholds = Annotated[tuple[ThresholdText, ...], Field(min_length=1, max_length=25)]
