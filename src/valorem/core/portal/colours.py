"""Colours: how well two of them can be told apart, and the nearest one that can be read."""

import re
from decimal import Decimal, localcontext
from functools import cache

_HEX = re.compile(r"#[0-9a-f]{6}")
#: Text of ordinary size; WCAG 2.2, success criterion 1.4.3.
READABLE = Decimal("4.5")
_STEPS = 50
Rgb = tuple[int, int, int]


def is_colour(text: str) -> bool:
    """Whether it is written ``#rrggbb``, in lower case."""
    return _HEX.fullmatch(text) is not None


def rgb(colour: str) -> Rgb:
    """The three channels, 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def mixed(colour: str, other: str, parts: int, of: int) -> str:
    """A colour with so many parts of another in it, channel by channel."""
    channels = (
        (one * (of - parts) + two * parts + of // 2) // of
        for one, two in zip(rgb(colour), rgb(other), strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in channels)


@cache
def contrast(one: str, other: str) -> Decimal:
    """The contrast ratio of two colours, 1 to 21, rounded to hundredths (WCAG 2.2, "contrast ratio")."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    with localcontext(prec=12):
        return ((lighter + Decimal("0.05")) / (darker + Decimal("0.05"))).quantize(Decimal("0.01"))


def readable(colour: str, *backgrounds: str) -> str:
    """The colour itself where it can be read on every background, else the nearest towards black or white that can."""
    for parts in range(_STEPS + 1):
        for end in ("#000000", "#ffffff"):
            tried = mixed(colour, end, parts, _STEPS)
            if all(contrast(tried, ground) >= READABLE for ground in backgrounds):
                return tried
    raise ValueError(f"nothing can be read on all of {', '.join(backgrounds)}")


def ink_on(colour: str) -> str:
    """What to write with on a colour: white or near-black, whichever stands out more."""
    return max(("#ffffff", "#0b1220"), key=lambda ink: contrast(ink, colour))


@cache
def _luminance(colour: str) -> Decimal:
    red, green, blue = (_linear(channel) for channel in rgb(colour))
    with localcontext(prec=12):
        return Decimal("0.2126") * red + Decimal("0.7152") * green + Decimal("0.0722") * blue


@cache
def _linear(channel: int) -> Decimal:
    with localcontext(prec=12):
        share = Decimal(channel) / 255
        if share <= Decimal("0.04045"):
            return share / Decimal("12.92")
        return ((share + Decimal("0.055")) / Decimal("1.055")) ** Decimal("2.4")
