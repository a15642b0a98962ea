"""One meter of several parts, in the order in which they burn: what is included, what was granted, what is paid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.numbers import ZERO, exact

_COLOURS = ("var(--c1)", "var(--c3)", "var(--c2)", "var(--c4)", "var(--c5)", "var(--c6)")
_GAP, _LEAST = Decimal("0.4"), Decimal("0.3")
_PLACES = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a meter.

    Attributes:
        name: For people.
        used: How much of it is used.
        of: How much there is; the same as ``used`` for what is paid as it is used.
    """

    name: str
    used: Decimal
    of: Decimal


@dataclass(frozen=True, slots=True)
class Segment:
    """A part in its place on a bar of 100; places are for drawing, the part has the numbers."""

    part: Part
    start: Decimal
    width: Decimal
    filled: Decimal
    colour: str


@exact
def lay_out(parts: Iterable[Part]) -> Sequence[Segment]:
    """Parts side by side, each as wide as its share; none where there is nothing of any."""
    kept = [part for part in parts if part.of > 0]
    whole = sum((part.of for part in kept), ZERO)
    found, start = [], ZERO
    for place, part in enumerate(kept):
        share = part.of * 100 / whole
        width = max(share - _GAP, _LEAST)
        filled = width * min(max(part.used / part.of, ZERO), Decimal(1))
        colour = _COLOURS[place % len(_COLOURS)]
        found.append(
            Segment(
                part,
                start.quantize(_PLACES),
                width.quantize(_PLACES),
                filled.quantize(_PLACES),
                colour,
            )
        )
        start += share
    return found
