"""What was spent so far, where it leads, and the budgets to stay under."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from valorem.core.numbers import ZERO
from valorem.web.charts.chart import Table
from valorem.web.portal.charts.frame import Edge, Point, PortalChart, local_time
from valorem.web.portal.words import Words


def spend_chart(
    words: Words,
    points: Sequence[Point],
    ahead: Point | None,
    edges: Sequence[Edge],
    *,
    currency: str,
    zone: str,
    start: datetime,
    end: datetime,
    at: datetime,
) -> PortalChart:
    """What the period has come to day by day, where it leads, and the budgets it should stay under."""
    so_far, going = words.say("so far"), words.say("if use goes on")
    rows = [_spent(words, point, so_far, currency, zone) for point in points]
    if ahead is not None and points:
        rows += [_spent(words, point, going, currency, zone) for point in (points[-1], ahead)]
    rules = [
        {"limit": edge.amount, "label": f"{words.money_text(edge.amount, currency)} · {edge.label}"}
        for edge in edges
    ]
    x = {
        "field": "at",
        "type": "temporal",
        "axis": {"title": None, "format": "%-d %b", "grid": False, "tickCount": 7},
        "scale": {"type": "utc", "domain": [local_time(start, zone), local_time(end, zone)]},
    }
    y = {
        "field": "amount",
        "type": "quantitative",
        "axis": {"title": currency, "format": ",.0f"},
        "scale": {"zero": True},
    }
    tooltip = [
        {"field": "day", "title": words.say("Day")},
        {"field": "text", "title": words.say("Amount")},
        {"field": "state", "title": words.say("State")},
    ]
    layers: list[dict[str, Any]] = [
        {
            "transform": [{"filter": {"field": "state", "equal": so_far}}],
            "mark": {"type": "area", "color": "var(--c1)", "opacity": 0.14},
            "encoding": {"x": x, "y": y},
        },
        {
            "transform": [{"filter": {"field": "state", "equal": so_far}}],
            "mark": {
                "type": "line",
                "strokeWidth": 2.5,
                "color": "var(--c1)",
                "point": {"size": 30, "filled": True, "color": "var(--c1)", "opacity": 0.01},
            },
            "encoding": {"x": x, "y": y, "tooltip": tooltip},
        },
        {
            "transform": [{"filter": {"field": "state", "equal": going}}],
            "mark": {
                "type": "line",
                "strokeWidth": 2,
                "strokeDash": [5, 4],
                "color": "var(--c1)",
                "opacity": 0.75,
                "point": {"size": 40, "filled": False, "color": "var(--c1)"},
            },
            "encoding": {"x": x, "y": y, "tooltip": tooltip},
        },
    ]
    if rules:
        layers += [
            {
                "data": {"values": rules},
                "mark": {"type": "rule", "color": "var(--less)", "strokeWidth": 1.5},
                "encoding": {"y": {"field": "limit", "type": "quantitative"}},
            },
            {
                "data": {"values": rules},
                "mark": {
                    "type": "text",
                    "align": "left",
                    "baseline": "bottom",
                    "dx": 4,
                    "dy": -3,
                    "color": "var(--less)",
                    "fontSize": 12,
                },
                "encoding": {
                    "x": {"value": 0},
                    "y": {"field": "limit", "type": "quantitative"},
                    "text": {"field": "label"},
                },
            },
        ]
    last = points[-1].amount if points else ZERO
    sentence = (
        words.say(
            "%(amount)s so far this period; %(ahead)s at its end if use goes on like this",
            amount=words.money_text(last, currency),
            ahead=words.money_text(ahead.amount, currency),
        )
        if ahead is not None
        else words.say("%(amount)s so far this period", amount=words.money_text(last, currency))
    )
    table = Table(
        (words.say("Until"), "#" + words.say("Spent"), words.say("State")),
        [(row["day"], row["text"], row["state"]) for row in reversed(rows)],
    )
    return PortalChart("spend", sentence, {"layer": layers}, rows, table, at, 210, words.language)


def _spent(words: Words, point: Point, state: str, currency: str, zone: str) -> dict[str, Any]:
    return {
        "at": local_time(point.at, zone),
        "day": words.moment_text(point.at, zone),
        "amount": point.amount,
        "text": words.money_text(point.amount, currency),
        "state": state,
    }
