"""What a vendor says of its portal: name, logo, colours, who may frame it, which plans customers may choose themselves."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from valorem.core.billing.parties import LogoFile, Part, Words
from valorem.core.entry import Key
from valorem.core.portal.colours import READABLE, contrast, is_colour, mixed, readable

#: The languages of the portal, the same as those of the documents.
LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "he")
#: Backgrounds of the pages in both modes.
LIGHT, DARK = ("#ffffff", "#f6f7f9"), ("#0f1417", "#171d22")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:]+\]")
_MAIL = re.compile(r"[^@\s<>\"']{1,64}@[^@\s<>\"']{1,190}")
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def soft(accent: str, *, dark: bool) -> str:
    """The faint background on which the accent marks what is chosen."""
    return mixed(DARK[0], accent, 1, 6) if dark else mixed(LIGHT[0], accent, 1, 11)


def accent_grounds(accent: str, *, dark: bool) -> tuple[str, ...]:
    """Everything on which the accent is written."""
    return (*(DARK if dark else LIGHT), soft(accent, dark=dark))


def _colour(text: str) -> str:
    if not is_colour(text := text.lower()):
        raise ValueError("a colour is written #rrggbb (such as #1d4ed8)")
    return text


def _light(text: str) -> str:
    return _legible(_colour(text), dark=False)


def _dark(text: str) -> str:
    return _legible(_colour(text), dark=True)


def _legible(colour: str, *, dark: bool) -> str:
    grounds = accent_grounds(colour, dark=dark)
    least = min(contrast(colour, ground) for ground in grounds)
    if least < READABLE:
        raise ValueError(
            f"{colour} cannot be read on the {'dark' if dark else 'light'} pages: its contrast is {least}, "
            f"{READABLE} is needed (the nearest that can be is {nearest(colour, dark=dark)})"
        )
    return colour


def nearest(colour: str, *, dark: bool) -> str:
    """The nearest colour that can be read as an accent."""
    found = colour
    for _ in range(8):  # its own faint background moves with it
        again = readable(found, *accent_grounds(found, dark=dark))
        if again == found:
            break
        found = again
    return found


def _origin(text: str) -> str:
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port of this origin is no number (write https://app.example.com)") from None
    host = parts.netloc.rpartition("@")[2].rpartition(":")[0] if port is not None else parts.netloc
    plain = parts.scheme == "http" and host in _LOCAL
    if (
        not (parts.scheme == "https" or plain)
        or not _HOST.fullmatch(host)
        or text != f"{parts.scheme}://{parts.netloc}"
    ):
        raise ValueError(
            "an origin is https:// and a host, without a path (https://app.example.com); http only on this machine"
        )
    return text


def _support(text: str) -> str:
    if _MAIL.fullmatch(text) or (text.startswith("https://") and not re.search(r"[\s<>\"']", text)):
        return text
    raise ValueError("where customers turn to is an e-mail address or an https:// address")


Accent = Annotated[str, AfterValidator(_light)]
Language = Literal["en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "he"]
#: What customers may do themselves besides budgets and notices, and plans that are offered.
Permission = Literal["seats", "credits", "payments", "billing"]
PERMISSIONS: tuple[Permission, ...] = ("seats", "credits", "payments", "billing")


class PortalSettings(Part):
    """How a workspace's portal looks and what it offers.

    Attributes:
        name: The vendor's name at the top; the seller's where left out.
        logo: Beside or instead of the name; that of the invoices where left out.
        accent: Links and buttons on light pages, ``#rrggbb``; it must be readable there.
        accent_dark: The same on dark pages; made from ``accent`` where left out.
        mode: Light, dark, or as the customer's system says.
        corners: How round boxes are.
        origins: Who may show the portal in a frame, such as ``https://app.example.com``.
        support: Where customers turn to: an e-mail or https address.
        offers: Plans that customers may change to themselves, in the order shown.
        allows: What else they may do themselves: change seats, buy credits, pay invoices, change their billing details.
        language: For customers whose language is not known.
        names: What values of dimensions are called: ``{"gpt-5.4": "Large model"}``.
    """

    name: Words | None = None
    logo: LogoFile | None = None
    accent: Accent = "#1d4ed8"
    accent_dark: Annotated[str, AfterValidator(_dark)] | None = None
    mode: Literal["auto", "light", "dark"] = "auto"
    corners: Literal["square", "soft", "round"] = "soft"
    origins: Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], Field(max_length=20)] = ()
    support: Annotated[str, AfterValidator(_support), Field(max_length=300)] | None = None
    offers: Annotated[tuple[Key, ...], Field(max_length=20)] = ()
    allows: Annotated[tuple[Permission, ...], Field(max_length=len(PERMISSIONS))] = PERMISSIONS
    language: Language = "en"
    names: Annotated[dict[Words, Words], Field(max_length=500)] = Field(default_factory=dict)

    @property
    def dark_accent(self) -> str:
        """The accent on dark pages."""
        return self.accent_dark or nearest(self.accent, dark=True)
