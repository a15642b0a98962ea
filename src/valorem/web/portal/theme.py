"""The vendor's colours as a style sheet of their own: the policy allows no style inside a page."""

import re
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from valorem.core.portal.colours import ink_on
from valorem.core.portal.settings import PortalSettings, soft

_CORNERS = {"square": "0", "soft": "6px", "round": "12px"}
_TYPES = {"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg"}
_TOKENS = (Path(__file__).parents[1] / "assets" / "tokens.css").read_text(encoding="utf-8")
_DARK = re.search(r"@media \(prefers-color-scheme: dark\) \{ :root \{(.*?)\} \}", _TOKENS, re.DOTALL)
_LIGHT = re.search(r":root \{(.*?)\}", _TOKENS, re.DOTALL)


class Theme:
    """How one vendor's portal looks.

    Args:
        settings: What the vendor said.
    """

    def __init__(self, settings: PortalSettings) -> None:
        self._settings = settings

    @cached_property
    def css(self) -> str:
        """The style sheet: the vendor's accent in both modes; the one mode alone where the vendor wants that."""
        settings = self._settings
        light = _accent(settings.accent, dark=False)
        dark = _accent(settings.dark_accent, dark=True)
        corners = f"--radius: {_CORNERS[settings.corners]};"
        if settings.mode == "dark":
            return f"@media screen {{ :root {{ {_block(_DARK)} color-scheme: dark; {dark} {corners} }} }}"
        if settings.mode == "light":
            return f":root {{ {_block(_LIGHT)} color-scheme: light; {light} {corners} }}"
        return (
            f":root {{ {light} {corners} }}\n"
            f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
        )

    @cached_property
    def version(self) -> str:
        """A digest of the style sheet and the logo: with another look they have another address."""
        logo = self._settings.logo
        return sha256(self.css.encode() + (logo.content if logo is not None else b"")).hexdigest()[:12]

    @property
    def logo(self) -> tuple[bytes, str] | None:
        """The logo's bytes and media type."""
        logo = self._settings.logo
        return None if logo is None else (logo.content, _TYPES[logo.format])


def _accent(accent: str, *, dark: bool) -> str:
    return f"--accent: {accent}; --accent-ink: {ink_on(accent)}; --accent-soft: {soft(accent, dark=dark)};"


def _block(found: re.Match[str] | None) -> str:
    assert found is not None  # the pages' own colours
    return " ".join(found[1].split())
