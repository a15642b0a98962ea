"""Rollover: how much of what is left is carried on when a period ends."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from valorem.core.entry import Entry
from valorem.core.numbers import ZERO, exact
from valorem.core.units import Quantity, Share, Span

_Part = Annotated[Share, Field(ge=0, le=1)]


class Rollover(Entry):
    """What is carried on; without any cap, everything that is left.

    Attributes:
        cap_amount: At most so many credits.
        cap_share: At most this share of what ``of`` names.
        of: Whether the share is of what was granted or of what remains.
        floor_amount: At least so many are there after a reset, even if fewer were left; a cap that is lower wins.
        lasts: How long what is carried on can be used; without it, it never expires.
    """

    cap_amount: Quantity | None = None
    cap_share: _Part | None = None
    of: Literal["granted", "remaining"] = "granted"
    floor_amount: Quantity = ZERO
    lasts: Span | None = None


#: Nothing is carried on.
NO_ROLLOVER = Rollover(cap_amount=ZERO)


@exact
def rolled_over(rollover: Rollover, granted: Decimal, remaining: Decimal) -> Decimal:
    """How many credits stand after the rollover: min(caps, max(floor, remaining)).

    Args:
        rollover: The rule.
        granted: The grant's original amount.
        remaining: What is left of it; a debt counts as nothing.
    """
    carried = max(rollover.floor_amount, remaining, ZERO)
    if rollover.cap_amount is not None:
        carried = min(carried, rollover.cap_amount)
    if rollover.cap_share is not None:
        base = granted if rollover.of == "granted" else max(remaining, ZERO)
        carried = min(carried, base * rollover.cap_share)
    return carried
