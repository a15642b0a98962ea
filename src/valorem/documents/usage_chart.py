"""The chart of usage by day: one specification for the console, the portal and the annex of an invoice."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from threading import Lock
from typing import Any

from babel import Locale
from babel.dates import get_day_names, get_month_names, get_period_names

from valorem.core.numbers import plain
from valorem.documents.document import UsageSeries
from valorem.documents.words import Words

#: In points of the drawing; the page scales it to its width.
_WIDTH, _HEIGHT = 680, 150
_INK, _LINE = "#5d6873", "#d5dae0"
_UNSAFE = re.compile(r"<(?:script|foreignObject)", re.IGNORECASE)
#: The library draws one at a time.
_drawing = Lock()


def usage_spec(
    *,
    unit: str,
    dimension: str,
    series: Sequence[str],
    colours: Sequence[str],
    start: str,
    end: str,
    monthly: bool = False,
    axis_format: str = "%-d %b",
    legend: bool = True,
) -> dict[str, Any]:
    """Bars of usage by day, stacked: Vega-Lite without data, size and configuration.

    Each row of data has ``day``, ``value`` (one of the series), ``rank``, ``quantity``, ``text`` (the quantity in words)
    and ``state`` (``so far`` or ``whole day``).

    Args:
        unit: Of the quantities.
        dimension: What the series are values of.
        series: Their names, the lowest in the stack first.
        colours: One for each.
        start: First day shown, as ``YYYY-MM-DD``.
        end: The day after the last.
        monthly: Whether a bar is a month.
        axis_format: How a day, or a month, is written under the axis.
        legend: Whether to say which colour is which.
    """
    return {
        "mark": {"type": "bar", "width": {"band": 0.8}},
        "encoding": {
            "x": {
                "field": "day",
                "type": "temporal",
                "timeUnit": {"unit": "yearmonth" if monthly else "yearmonthdate", "utc": True},
                "axis": {"title": None, "format": axis_format, "grid": False, "tickCount": 8},
                "scale": {"type": "utc", "domain": [start, end]},
            },
            "y": {
                "field": "quantity",
                "type": "quantitative",
                "stack": "zero",
                "axis": {"title": unit, "format": "~s"},
            },
            "color": {
                "field": "value",
                "type": "nominal",
                "scale": {"domain": list(series), "range": list(colours)},
                **({} if legend else {"legend": None}),
            },
            "order": {"field": "rank"},
            "opacity": {
                "field": "state",
                "type": "ordinal",
                "legend": None,
                "scale": {"domain": ["so far", "whole day"], "range": [0.55, 1]},
            },
            "tooltip": [
                {"field": "day", "type": "temporal", "title": "Day", "format": "%-d %b %Y"},
                {"field": "value", "title": dimension},
                {"field": "text", "title": unit},
                {"field": "state", "title": "State"},
            ],
        },
    }


def draw_usage(series: UsageSeries, words: Words, accent: str) -> str:
    """The usage of one meter as SVG, with the reader's names of months and marks of numbers."""
    import vl_convert  # noqa: PLC0415 - loading it takes a second, and only charts need it

    days = [day for day, _ in series.days]
    spec = usage_spec(
        unit="",  # it stands above the drawing
        dimension="",
        series=[series.name],
        colours=[accent],
        start=days[0].isoformat(),
        end=_after(days[-1], monthly=series.monthly).isoformat(),
        monthly=series.monthly,
        axis_format="%b %Y" if series.monthly else _day_format(words.locale),
        legend=False,
    )
    rows = [
        {
            "day": day.isoformat(),
            "value": series.name,
            "rank": 0,
            "quantity": plain(value),
            "text": words.number(value),
            "state": "whole day",
        }
        for day, value in series.days
    ]
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": _WIDTH,
        "height": _HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": _config(words),
        "data": {"values": rows, "format": {"parse": {"quantity": "number"}}},
        **spec,
    }
    with _drawing:
        svg: str = vl_convert.vegalite_to_svg(json.dumps(whole), vl_version="6.4")
    if _UNSAFE.search(svg):
        raise ValueError("the drawing holds more than shapes and letters")
    return svg


def _after(day: date, *, monthly: bool) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1) if monthly else day + timedelta(days=1)


def _day_format(locale: Locale) -> str:
    """How a day is written under an axis: day and month in the language's own order."""
    if locale.language in ("ja", "ko", "zh"):
        return "%-m/%-d"
    return "%b %-d" if str(locale.datetime_skeletons["MMMd"].pattern).startswith("M") else "%-d %b"


def _config(words: Words) -> Mapping[str, Any]:
    font = "Noto Sans CJK JP" if words.locale.language == "ja" else "Libertinus Serif"
    label = {
        "labelFont": font,
        "labelColor": _INK,
        "labelFontSize": 11,
        "titleFont": font,
        "titleColor": _INK,
    }
    return {
        "font": font,
        "background": "transparent",
        "view": {"stroke": None},
        "axis": {
            **label,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "gridColor": _LINE,
            "domainColor": _LINE,
            "tickColor": _LINE,
            "labelPadding": 5,
            "tickCount": 4,
        },
        "locale": {"number": _numbers(words.locale), "time": _times(words.locale)},
    }


def _numbers(locale: Locale) -> dict[str, Any]:
    symbols = locale.number_symbols["latn"]
    return {
        "decimal": symbols["decimal"],
        "thousands": symbols["group"],
        "grouping": [3],
        "currency": ["", ""],
    }


def _times(locale: Locale) -> dict[str, Any]:
    def in_order(names: Mapping[int, str], first: int, last: int) -> list[str]:
        return [names[place] for place in range(first, last + 1)]

    def weekdays(width: str) -> list[str]:
        names = get_day_names(width, locale=locale)  # type: ignore[arg-type]
        return [names[6], *(names[place] for place in range(6))]

    periods = get_period_names(width="abbreviated", locale=locale)
    return {
        "dateTime": "%x, %X",
        "date": "%-d %b %Y",
        "time": "%H:%M:%S",
        "periods": [periods.get("am", "AM"), periods.get("pm", "PM")],
        "days": weekdays("wide"),
        "shortDays": weekdays("abbreviated"),
        "months": in_order(get_month_names("wide", context="stand-alone", locale=locale), 1, 12),
        "shortMonths": in_order(get_month_names("abbreviated", locale=locale), 1, 12),
    }
