"""A contract over time: what ran when, in lanes, with today marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from valorem.core.time import write_instant
from valorem.web.charts.chart import Chart, Table
from valorem.web.formats import day_text


@dataclass(frozen=True, slots=True)
class Stretch:
    """Something that held from one instant to another.

    Attributes:
        lane: Which kind of thing: period, plan, seats, discount.
        label: What held.
        start: From when.
        end: Until when; None while it is open.
        tone: ``past``, ``now``, ``ahead``.
    """

    lane: str
    label: str
    start: datetime
    end: datetime | None
    tone: str


def timeline_chart(
    name: str, sentence: str, stretches: Sequence[Stretch], now: datetime, until: datetime, zone: str
) -> Chart:
    """Lanes of stretches up to an instant; those that are open end there."""
    data: list[dict[str, Any]] = [
        {
            "lane": each.lane,
            "label": each.label,
            "start": write_instant(each.start),
            "end": write_instant(min(each.end or until, until)),
            "tone": each.tone,
            "from": day_text(each.start, zone),
            "until": "open" if each.end is None else day_text(each.end, zone),
        }
        for each in stretches
        if each.start < until
    ]
    lanes = list(dict.fromkeys(each.lane for each in stretches))
    x = {"type": "temporal", "scale": {"type": "utc"}}
    spec = {
        "layer": [
            {
                "mark": {
                    "type": "bar",
                    "height": {"band": 0.72},
                    "cornerRadius": 3,
                    "stroke": "var(--bg)",
                    "strokeWidth": 1,
                },
                "encoding": {
                    "x": {
                        "field": "start",
                        **x,
                        "axis": {"title": None, "format": "%-d %b %y", "grid": False, "tickCount": 6},
                    },
                    "x2": {"field": "end"},
                    "y": {
                        "field": "lane",
                        "type": "nominal",
                        "sort": lanes,
                        "axis": {"title": None, "ticks": False, "domain": False},
                    },
                    "color": {
                        "field": "tone",
                        "type": "nominal",
                        "legend": None,
                        "scale": {
                            "domain": ["past", "now", "ahead"],
                            "range": ["var(--c-ghost)", "var(--c1)", "var(--c-faint)"],
                        },
                    },
                    "tooltip": [
                        {"field": "lane", "title": "What"},
                        {"field": "label", "title": "Held"},
                        {"field": "from", "title": "From"},
                        {"field": "until", "title": "Until"},
                    ],
                },
            },
            {
                "transform": [{"filter": "datum.lane != 'Periods'"}],
                "mark": {"type": "text", "align": "left", "dx": 8, "fontSize": 11},
                "encoding": {
                    "x": {"field": "start", **x},
                    "y": {"field": "lane", "type": "nominal", "sort": lanes},
                    "text": {"field": "label"},
                    "color": {
                        "field": "tone",
                        "type": "nominal",
                        "legend": None,
                        "scale": {
                            "domain": ["past", "now", "ahead"],
                            "range": ["var(--ink)", "var(--on-c1)", "var(--ink)"],
                        },
                    },
                },
            },
            {
                "mark": {"type": "rule", "color": "var(--bad)", "strokeWidth": 2},
                "data": {"values": [{"now": write_instant(now)}]},
                "encoding": {"x": {"field": "now", **x}},
            },
        ],
        "resolve": {"scale": {"color": "independent"}},
    }
    table = Table(
        ("What", "Held", "From", "Until"),
        [
            (
                each.lane,
                each.label,
                day_text(each.start, zone),
                "open" if each.end is None else day_text(each.end, zone),
            )
            for each in stretches
        ],
    )
    return Chart(name, sentence, spec, data, table, height=36 * max(1, len(lanes)) + 10)
