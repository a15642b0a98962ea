"""Attribution: which touches stand before a success, and how they share it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.durations import window_end
from valorem.core.outcomes.terms import AttributionModel

#: Shares are kept to twelve places; what rounding leaves goes to the largest remainders, so they add up to one.
_PLACE = Decimal(1).scaleb(-12)
_POSITION_END = Decimal("0.4")
_POSITION_MIDDLE = Decimal("0.2")


def attributed(touch: datetime, success: datetime, within: timedelta) -> bool:
    """Whether a success lies in ``[touch, touch + within)``: neither at the end, nor before the touch."""
    return touch <= success < window_end(touch, within, "elapsed", "UTC")


@exact
def weights(
    touches: Sequence[datetime],
    success: datetime,
    model: AttributionModel,
    half_life: timedelta | None = None,
) -> list[Decimal]:
    """How much each touch weighs, touches in order of time; the weights need not add up to one.

    ``position`` gives 40 % to the first, 40 % to the last and 20 % to those between; two touches share evenly.
    ``time_decay`` halves the weight of a touch for every half-life before the success.

    Raises:
        InvalidInputError: For time decay without a half-life.
    """
    count = len(touches)
    match model:
        case "any" | "linear":
            return [ONE] * count
        case "first":
            return [ONE if index == 0 else ZERO for index in range(count)]
        case "last":
            return [ONE if index == count - 1 else ZERO for index in range(count)]
        case "position":
            if count <= 2:
                return [ONE] * count
            middle = _POSITION_MIDDLE / (count - 2)
            return [_POSITION_END, *[middle] * (count - 2), _POSITION_END]
        case "time_decay":
            if not half_life:
                raise InvalidInputError("time decay needs a half-life", field="attribution.half_life")
            half = Decimal(half_life // timedelta(microseconds=1))
            ages = [Decimal((success - touch) // timedelta(microseconds=1)) for touch in touches]
            return [Decimal(2) ** (-age / half) for age in ages]


@exact
def split(total: Decimal, shares: Sequence[Decimal], place: Decimal) -> list[Decimal]:
    """Split a total by weights in steps of ``place``, by largest remainder; ties go to the earlier.

    Raises:
        InvalidInputError: With no weights, or weights that are all zero.
    """
    whole = sum(shares, ZERO)
    if not whole:
        raise InvalidInputError("a split needs at least one weight above zero", field="weights")
    exactly = [total * share / whole for share in shares]
    floored = [each.quantize(place, rounding="ROUND_FLOOR") for each in exactly]
    missing = int((total - sum(floored, ZERO)) / place)
    by_remainder = sorted(range(len(shares)), key=lambda i: (floored[i] - exactly[i], i))
    for index in by_remainder[:missing]:
        floored[index] += place
    return floored


def touch_shares(
    touches: Sequence[datetime],
    success: datetime,
    model: AttributionModel,
    half_life: timedelta | None = None,
) -> list[Decimal]:
    """The share of each touch, to twelve places, adding up to exactly one."""
    return split(ONE, weights(touches, success, model, half_life), _PLACE) if touches else []
