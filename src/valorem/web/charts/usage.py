"""Charts of usage: how much was used each day, by one dimension."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from valorem.core.numbers import ZERO
from valorem.documents.usage_chart import usage_spec
from valorem.engine.usage import UsageReport
from valorem.web.charts.chart import CATEGORIES, COLOURS, OTHER, Chart, Table
from valorem.web.formats import compact_text, plural, quantity

_OTHER = "other"


def usage_chart(
    name: str, title: str, report: UsageReport, dimension: str | None, now: datetime
) -> Chart | None:
    """Usage by day, stacked by a dimension's values: the six largest, then the rest; None where nothing was used."""
    if not report.rows:
        return None
    totals: dict[str, Decimal] = {}
    for row in report.rows:
        value = _value(row.dimensions.get(dimension) if dimension else None, dimension, title)
        totals[value] = totals.get(value, ZERO) + row.quantity
    ranked = sorted(totals, key=lambda value: (-totals[value], value))
    shown = ranked if len(ranked) <= CATEGORIES else ranked[: CATEGORIES - 1]
    series = [*shown, _OTHER] if len(shown) < len(ranked) else shown
    zone = ZoneInfo(report.zone)
    sums: dict[tuple[str, str], Decimal] = {}
    for row in report.rows:
        value = _value(row.dimensions.get(dimension) if dimension else None, dimension, title)
        place = f"{row.start.astimezone(zone):%Y-%m-%d}", value if value in shown else _OTHER
        sums[place] = sums.get(place, ZERO) + row.quantity
    today = f"{now.astimezone(zone):%Y-%m-%d}"
    data: list[dict[str, Any]] = [
        {
            "day": day,
            "value": value,
            "rank": series.index(value),
            "quantity": amount,
            "text": compact_text(amount),
            "state": "so far" if day == today else "whole day",
        }
        for (day, value), amount in sums.items()
    ]
    unit = report.unit or "units"
    total = sum(totals.values(), ZERO)
    spec = usage_spec(
        unit=plural(unit, 2),
        dimension=dimension or "Meter",
        series=series,
        colours=_range(series),
        start=f"{report.start.astimezone(zone):%Y-%m-%d}",
        end=f"{report.end.astimezone(zone):%Y-%m-%d}",
        legend=len(series) > 1,
    )
    days = sorted({day for day, _ in sums}, reverse=True)
    table = Table(
        ("Day", *(f"#{value}" for value in series)),
        [(day, *(quantity(sums.get((day, value), ZERO)) for value in series)) for day in days],
    )
    sentence = f"{title} by day: {compact_text(total)} {plural(unit, total)} so far this period"
    return Chart(name, sentence, spec, data, table, as_of=report.as_of, height=190)


def _value(value: str | None, dimension: str | None, title: str) -> str:
    return title if dimension is None else value if value is not None else "not given"


def _range(series: Sequence[str]) -> list[str]:
    return [OTHER if value == _OTHER else COLOURS[place] for place, value in enumerate(series)]
