"""What was used, day by day and by workload."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from valorem.core.numbers import ZERO
from valorem.engine.usage import UsageReport
from valorem.web.charts.chart import CATEGORIES, COLOURS, OTHER, Table
from valorem.web.portal.charts.frame import PortalChart
from valorem.web.portal.words import Words

_DAY = {"type": "temporal", "timeUnit": {"unit": "yearmonthdate", "utc": True}}


def usage_chart(
    words: Words,
    title: str,
    unit: str,
    report: UsageReport,
    dimension: str | None,
    names: Mapping[str, str],
    now: datetime,
) -> PortalChart | None:
    """Use by day, stacked by a dimension's values: the six largest, then the rest; None where nothing was used."""
    if not report.rows:
        return None
    rest, untagged = words.say("other"), words.say("not given")

    def value_of(dimensions: Mapping[str, str | None]) -> str:
        if dimension is None:
            return title
        found = dimensions.get(dimension)
        return untagged if found is None else names.get(found, found)

    totals: dict[str, Decimal] = {}
    for row in report.rows:
        value = value_of(row.dimensions)
        totals[value] = totals.get(value, ZERO) + row.quantity
    ranked = sorted(totals, key=lambda value: (-totals[value], value))
    shown = ranked if len(ranked) <= CATEGORIES else ranked[: CATEGORIES - 1]
    series = [*shown, rest] if len(shown) < len(ranked) else shown
    sums: dict[tuple[str, str], Decimal] = {}
    zone = ZoneInfo(report.zone)
    for row in report.rows:
        place = (
            f"{row.start.astimezone(zone):%Y-%m-%d}",
            value_of(row.dimensions) if value_of(row.dimensions) in shown else rest,
        )
        sums[place] = sums.get(place, ZERO) + row.quantity
    today = f"{now.astimezone(zone):%Y-%m-%d}"
    partial, whole = words.say("so far"), words.say("whole day")
    data = [
        {
            "day": day,
            "date": words.date(datetime.fromisoformat(day).date()),
            "value": value,
            "rank": series.index(value),
            "quantity": amount,
            "text": words.quantity_text(amount),
            "state": partial if day == today else whole,
        }
        for (day, value), amount in sums.items()
    ]
    spec = {
        "mark": {"type": "bar", "width": {"band": 0.8}},
        "encoding": {
            "x": {
                "field": "day",
                **_DAY,
                "axis": {"title": None, "format": "%-d %b", "grid": False, "tickCount": 8},
                "scale": {"type": "utc", "domain": [_day(report.start, zone), _day(report.end, zone)]},
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
                "scale": {
                    "domain": series,
                    "range": [OTHER if each == rest else COLOURS[place] for place, each in enumerate(series)],
                },
                **({"legend": None} if len(series) == 1 else {}),
            },
            "order": {"field": "rank"},
            "opacity": {
                "field": "state",
                "type": "ordinal",
                "legend": None,
                "scale": {"domain": [partial, whole], "range": [0.55, 1]},
            },
            "tooltip": [
                {"field": "date", "title": words.say("Day")},
                {"field": "value", "title": title},
                {"field": "text", "title": unit or title},
                {"field": "state", "title": words.say("State")},
            ],
        },
    }
    days = sorted({day for day, _ in sums}, reverse=True)
    table = Table(
        (words.say("Day"), *(f"#{value}" for value in series)),
        [
            (
                words.date(datetime.fromisoformat(day).date()),
                *(words.quantity(sums.get((day, value), ZERO)) for value in series),
            )
            for day in days
        ],
    )
    total = sum(totals.values(), ZERO)
    sentence = words.say(
        "%(what)s by day: %(total)s %(unit)s so far this period",
        what=title,
        total=words.compact_text(total),
        unit=unit,
    ).replace("  ", " ")
    return PortalChart("usage", sentence, spec, data, table, report.as_of, 200, words.language)


def _day(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d}"
