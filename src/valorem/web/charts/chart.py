"""What every chart has: a sentence that is the answer, a specification, the same numbers as a table, and their instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from markupsafe import Markup

from valorem.web.locales import language, symbols

#: Categories in fixed order: the same place has the same hue in both themes; measured apart for colour-blind eyes too.
CATEGORIES = 6
COLOURS = tuple(f"var(--c{number})" for number in range(1, CATEGORIES + 1))
OTHER = "var(--c-other)"
_FONT = 'system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_TEXT = {"labelColor": "var(--muted)", "titleColor": "var(--muted)", "labelFontSize": 12, "titleFontSize": 12}
#: Every role that writes text is coloured here: one left out would stay black on a dark page.
CONFIG: Mapping[str, Any] = {
    "font": _FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        **_TEXT,
        "titleFontWeight": "normal",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelPadding": 6,
        "tickCount": 5,
    },
    "legend": {**_TEXT, "orient": "top", "title": None, "symbolType": "square", "offset": 8},
    "header": _TEXT,
    "title": {"color": "var(--ink)", "subtitleColor": "var(--muted)"},
    "text": {"color": "var(--ink)", "fontSize": 12},
    "range": {"category": list(COLOURS)},
}
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _numbers() -> dict[str, Any]:
    """How the axes write numbers: as the page does."""
    known = symbols(language())
    return {"decimal": known.decimal, "thousands": known.group, "grouping": [3], "currency": ["", ""]}


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers of a chart for whoever reads rather than looks.

    Attributes:
        head: Column titles; those of numbers begin with ``#``, which is not shown.
        rows: Text or markup, one for each column.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str | Markup]]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        name: Unique on its page; an id and the name of its data set.
        sentence: The answer, for people: the caption.
        spec: Vega-Lite without data, size and configuration.
        data: Rows; decimals stay exact until they are drawn.
        table: The same numbers as text.
        as_of: The instant they are of; None for what does not change.
        height: In pixels.
    """

    name: str
    sentence: str
    spec: Mapping[str, Any]
    data: Sequence[Mapping[str, Any]]
    table: Table
    as_of: datetime | None = None
    height: int = 200

    def document(self, width: int | str) -> dict[str, Any]:
        """The whole specification; ``container`` as width lets the page decide."""
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "width": width,
            "height": self.height,
            "autosize": {"type": "fit-x", "contains": "padding"},
            "config": {**CONFIG, "locale": {"number": _numbers()}},
            "data": {"name": self.name, "values": [dict(row) for row in self.data]},
            **self.spec,
        }

    def json(self, width: int | str) -> str:
        """The same as text, numbers to the last digit."""
        return _ENCODER.encode(self.document(width)).decode()

    def json_block(self) -> Markup:
        """The specification for a data block of the page, from which it cannot break out."""
        return Markup(self.json("container").replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704 - escaped
