"""Colours that can be read, and settings that say what is wrong with those that cannot."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from valorem.core.portal.colours import READABLE, contrast, ink_on, mixed, readable
from valorem.core.portal.settings import PortalSettings, accent_grounds, nearest

COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == Decimal("21.00")
    assert contrast("#777777", "#ffffff") == Decimal("4.48")
    assert contrast("#767676", "#ffffff") == Decimal("4.54")
    assert contrast("#1d4ed8", "#ffffff") == contrast("#ffffff", "#1d4ed8")


@settings(max_examples=60, deadline=None)
@given(COLOURS)
def test_any_colour_has_a_near_one_that_can_be_read_in_both_modes(colour: str) -> None:
    for dark in (False, True):
        found = nearest(colour, dark=dark)
        assert all(contrast(found, ground) >= READABLE for ground in accent_grounds(found, dark=dark))
        assert contrast(ink_on(found), found) >= READABLE
    assert readable(colour, colour) != colour
    assert mixed(colour, "#000000", 0, 5) == colour
    assert mixed(colour, "#ffffff", 5, 5) == "#ffffff"


def test_a_colour_that_can_be_read_stays_as_it_is() -> None:
    assert PortalSettings(accent="#0B6E4F").accent == "#0b6e4f"
    assert nearest("#0b6e4f", dark=False) == "#0b6e4f"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"accent": "#ffd200"}, "the nearest that can be is #"),
        ({"accent": "red"}, "written #rrggbb"),
        ({"accent_dark": "#101010"}, "dark pages"),
        ({"origins": ["http://app.example.com"]}, "https"),
        ({"origins": ["https://app.example.com/x"]}, "without a path"),
        ({"origins": ["https://*.example.com"]}, "an origin is"),
        ({"origins": ["https://a.example.com; script-src *"]}, "an origin is"),
        ({"support": "javascript:alert(1)"}, "e-mail address"),
        ({"support": 'a@b"><script>'}, "e-mail address"),
        ({"language": "xx"}, "Input should be"),
        ({"colour": "#000000"}, "Extra inputs"),
    ],
)
def test_what_is_wrong_is_said(said: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        PortalSettings.model_validate(said)


def test_a_page_on_this_machine_may_frame_it_without_tls() -> None:
    assert PortalSettings(origins=("http://localhost:3000",)).origins == ("http://localhost:3000",)
