"""The frame of the portal's charts: numbers and dates in the customer's language."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import get_day_names, get_month_names

from valorem.web.charts.chart import Chart
from valorem.web.portal.words import words_of


@dataclass(frozen=True, slots=True)
class PortalChart(Chart):
    """A chart whose axes are written in a language."""

    language: str = "en"

    def document(self, width: int | str) -> dict[str, Any]:
        """The whole specification."""
        found = Chart.document(self, width)
        return {**found, "config": {**found["config"], "locale": _locale(self.language)}}


@dataclass(frozen=True, slots=True)
class Point:
    """What was spent, or is left, at the end of a day."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Edge:
    """An amount to stay under: a budget, with what happens there."""

    amount: Decimal
    label: str


def local_time(at: datetime, zone: str) -> str:
    """An instant as a clock in the customer's zone shows it."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}"


@cache
def _locale(language: str) -> Mapping[str, Any]:
    """How axes write numbers and dates, from the same data as the text around them."""
    locale = words_of(language).locale
    symbols = locale.number_symbols["latn"]
    names = get_day_names("wide", locale=locale), get_day_names("abbreviated", locale=locale)
    months = get_month_names("wide", locale=locale), get_month_names("abbreviated", locale=locale)
    sunday_first = [6, 0, 1, 2, 3, 4, 5]
    return {
        "number": {
            "decimal": symbols["decimal"],
            "thousands": symbols["group"],
            "grouping": [3],
            "currency": ["", ""],
        },
        "time": {
            "dateTime": "%x %X",
            "date": "%Y-%m-%d",
            "time": "%H:%M:%S",
            "periods": ["AM", "PM"],
            "days": [names[0][day] for day in sunday_first],
            "shortDays": [names[1][day] for day in sunday_first],
            "months": [months[0][month] for month in range(1, 13)],
            "shortMonths": [months[1][month] for month in range(1, 13)],
        },
    }
