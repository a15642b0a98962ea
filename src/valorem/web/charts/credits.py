"""The chart of a credit account: what was left after each day, and when it runs out at the pace of late."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.numbers import ZERO
from valorem.core.time import write_instant
from valorem.web.charts.chart import Chart, Table
from valorem.web.formats import day_text, moment_text, quantity_text

_WAS, _WILL = "left", "at this pace"


def burn_chart(
    name: str,
    unit: str,
    points: Sequence[tuple[datetime, Decimal]],
    runs_out_at: datetime | None,
    zone: str,
    now: datetime,
) -> Chart | None:
    """What is left over time; None where nothing has happened.

    Args:
        name: Unique on its page.
        unit: What one credit is called.
        points: Instants and what was left then, in order, the last of them now.
        runs_out_at: When nothing is left at this pace; None for never.
        zone: Of the days shown.
        now: The instant looked at.
    """
    if len(points) < 2:
        return None
    rows: list[dict[str, Any]] = [_row(at, level, _WAS, zone) for at, level in points]
    last = points[-1][1]
    if runs_out_at is not None and runs_out_at > now:
        rows += [_row(now, last, _WILL, zone), _row(runs_out_at, ZERO, _WILL, zone)]
        sentence = f"{quantity_text(last)} {unit} left; at this pace until {day_text(runs_out_at, zone)}"
    else:
        sentence = f"{quantity_text(last)} {unit} left"
    x = {"field": "at", "type": "temporal", "axis": {"title": None, "format": "%-d %b", "grid": False}}
    y = {
        "field": "left",
        "type": "quantitative",
        "axis": {"title": None, "format": ",.0f"},
        "scale": {"zero": True},
    }
    tooltip = [{"field": "day", "title": "Until"}, {"field": "text", "title": "Left"}, {"field": "state"}]
    was = {"filter": {"field": "state", "equal": _WAS}}
    spec = {
        "layer": [
            {
                "transform": [was],
                "mark": {"type": "area", "interpolate": "step-after", "color": "var(--c1)", "opacity": 0.14},
                "encoding": {"x": x, "y": y},
            },
            {
                "transform": [was],
                "mark": {
                    "type": "line",
                    "interpolate": "step-after",
                    "strokeWidth": 2,
                    "color": "var(--c1)",
                    "point": {"size": 30, "color": "var(--c1)", "opacity": 0.01},
                },
                "encoding": {"x": x, "y": y, "tooltip": tooltip},
            },
            {
                "transform": [{"filter": {"field": "state", "equal": _WILL}}],
                "mark": {
                    "type": "line",
                    "strokeWidth": 2,
                    "strokeDash": [5, 4],
                    "color": "var(--c1)",
                    "point": {"size": 40, "filled": False, "color": "var(--c1)"},
                },
                "encoding": {"x": x, "y": y, "tooltip": tooltip},
            },
        ]
    }
    table = Table(
        ("Until", "#Left", "State"), [(row["day"], row["text"], row["state"]) for row in reversed(rows)]
    )
    return Chart(name, sentence, spec, rows, table, as_of=now, height=170)


def _row(at: datetime, level: Decimal, state: str, zone: str) -> dict[str, Any]:
    return {
        "at": write_instant(at),
        "day": moment_text(at, zone),
        "left": level,
        "text": quantity_text(level),
        "state": state,
    }
