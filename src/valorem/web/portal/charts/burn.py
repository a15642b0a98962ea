"""What is left of credits, day by day, and when it ends."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from valorem.core.numbers import ZERO
from valorem.web.charts.chart import Table
from valorem.web.portal.charts.frame import Point, PortalChart, local_time
from valorem.web.portal.words import Words


def burn_chart(
    words: Words,
    name: str,
    unit: str,
    points: Sequence[Point],
    empty_at: datetime | None,
    lost: Decimal,
    zone: str,
    at: datetime,
) -> PortalChart:
    """What was left of credits day by day, and where it leads at the pace of the last days; what expires falls off."""
    known, going = words.say("left"), words.say("at the pace of the last days")
    rows = [_left(words, point, known, zone) for point in points]
    if empty_at is not None and points and points[-1].amount > 0:
        ahead = [points[-1], Point(empty_at, min(lost, points[-1].amount))]
        rows += [_left(words, point, going, zone) for point in (*ahead, Point(empty_at, ZERO))]
    x = {
        "field": "at",
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": {"title": None, "format": "%-d %b", "grid": False, "tickCount": 7},
    }
    y = {
        "field": "amount",
        "type": "quantitative",
        "axis": {"title": unit, "format": "~s"},
        "scale": {"zero": True},
    }
    tooltip = [
        {"field": "day", "title": words.say("Day")},
        {"field": "text", "title": unit},
        {"field": "state", "title": words.say("State")},
    ]
    spec = {
        "layer": [
            {
                "transform": [{"filter": {"field": "state", "equal": known}}],
                "mark": {
                    "type": "area",
                    "interpolate": "step-after",
                    "color": "var(--c3)",
                    "opacity": 0.16,
                    "line": {"color": "var(--c3)", "strokeWidth": 2.5},
                },
                "encoding": {"x": x, "y": y, "tooltip": tooltip},
            },
            {
                "transform": [{"filter": {"field": "state", "equal": going}}],
                "mark": {
                    "type": "line",
                    "strokeDash": [5, 4],
                    "strokeWidth": 2,
                    "color": "var(--c3)",
                    "point": {"size": 40, "filled": False, "color": "var(--c3)"},
                },
                "encoding": {"x": x, "y": y, "tooltip": tooltip},
            },
        ]
    }
    last = points[-1].amount if points else ZERO
    left = words.quantity_text(last)
    sentence = (
        words.say("%(unit)s: all used up", unit=unit)
        if not last
        else words.say(
            "%(n)s %(unit)s left; at this pace until %(day)s",
            n=left,
            unit=unit,
            day=words.date(empty_at.astimezone(ZoneInfo(zone)).date()),
        )
        if empty_at is not None
        else words.say("%(n)s %(unit)s left; at this pace they do not run out", n=left, unit=unit)
    )
    table = Table(
        (words.say("Day"), f"#{unit}", words.say("State")),
        [(row["day"], row["text"], row["state"]) for row in reversed(rows)],
    )
    return PortalChart(name, sentence, spec, rows, table, at, 190, words.language)


def _left(words: Words, point: Point, state: str, zone: str) -> dict[str, Any]:
    return {
        "at": local_time(point.at, zone),
        "day": words.day_text(point.at, zone),
        "amount": point.amount,
        "text": words.quantity_text(point.amount),
        "state": state,
    }
