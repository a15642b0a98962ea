"""From the first line of an invoice to its total."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from valorem.core.numbers import ZERO
from valorem.web.charts.chart import Table
from valorem.web.portal.charts.frame import PortalChart, signed
from valorem.web.portal.words import Words

_MOST_STEPS = 9


def waterfall_chart(
    words: Words, steps: Sequence[tuple[str, Decimal]], currency: str, total: Decimal
) -> PortalChart:
    """From nothing to what is due, one bar for each group of lines; the smallest are put together."""
    kept = list(steps)
    if len(kept) > _MOST_STEPS:
        shown = {label for label, _ in sorted(kept, key=lambda step: -abs(step[1]))[: _MOST_STEPS - 1]}
        rest = sum((amount for label, amount in kept if label not in shown), ZERO)
        kept = [step for step in kept if step[0] in shown] + [(words.say("other lines"), rest)]
    rows: list[dict[str, Any]] = []
    table: list[tuple[Any, ...]] = []
    level = ZERO
    for label, amount in kept:
        kind = "more" if amount > 0 else "less"
        rows.append(
            {
                "label": label,
                "from": level,
                "to": level + amount,
                "top": max(level, level + amount),
                "kind": kind,
                "text": signed(words, amount, currency),
            }
        )
        level += amount
        table.append((label, words.money(amount, currency), words.money(level, currency)))
    due = words.say("Total")
    rows.append(
        {
            "label": due,
            "from": ZERO,
            "to": total,
            "top": max(ZERO, total),
            "kind": "total",
            "text": words.money_text(total, currency),
        }
    )
    table.append((due, words.money(total, currency), words.money(total, currency)))
    spec = {
        "encoding": {
            "x": {
                "field": "label",
                "type": "nominal",
                "sort": None,
                "axis": {
                    "labelAngle": 0,
                    "title": None,
                    "labelLimit": 120,
                    "labelExpr": "split(datum.label, ' ')",
                },
            }
        },
        "layer": [
            {
                "mark": {"type": "bar", "width": {"band": 0.6}, "cornerRadius": 1},
                "encoding": {
                    "y": {
                        "field": "from",
                        "type": "quantitative",
                        "axis": {"format": ",.0f", "title": None},
                        "scale": {"zero": True},
                    },
                    "y2": {"field": "to"},
                    "color": {
                        "field": "kind",
                        "type": "nominal",
                        "legend": None,
                        "scale": {
                            "domain": ["total", "more", "less"],
                            "range": ["var(--c1)", "var(--c3)", "var(--c6)"],
                        },
                    },
                    "tooltip": [
                        {"field": "label", "title": words.say("Step")},
                        {"field": "text", "title": words.say("Amount")},
                    ],
                },
            },
            {
                "mark": {"type": "text", "dy": -7, "color": "var(--ink)", "fontSize": 11},
                "encoding": {"y": {"field": "top", "type": "quantitative"}, "text": {"field": "text"}},
            },
        ],
    }
    sentence = words.say(
        "%(amount)s, from the first line to the total", amount=words.money_text(total, currency)
    )
    heads = (words.say("Step"), "#" + words.say("Amount"), "#" + words.say("Then"))
    return PortalChart("waterfall", sentence, spec, rows, Table(heads, table), None, 210, words.language)
