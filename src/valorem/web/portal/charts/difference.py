"""Why one bill differs from another."""

from valorem.core.insight.difference import Cause, Difference
from valorem.web.charts.chart import Table
from valorem.web.portal.charts.frame import PortalChart, signed
from valorem.web.portal.words import Words


def cause_names(words: Words) -> dict[Cause, str]:
    """What a cause of a difference is called."""
    return {
        "length": words.say("Longer or shorter period"),
        "quantity": words.say("More or less used"),
        "price": words.say("Price per unit"),
        "fixed": words.say("Fixed fees"),
        "credits": words.say("Discounts and credits"),
        "bounds": words.say("Minimum and maximum"),
        "late": words.say("Use that arrived late"),
    }


def difference_chart(words: Words, found: Difference, before: str) -> PortalChart:
    """Why a bill differs from the one before: one bar for each cause, to the side on which it moves the total."""
    causes = cause_names(words)
    rows = [
        {
            "cause": causes[cause],
            "amount": amount,
            "kind": "more" if amount > 0 else "less",
            "text": signed(words, amount, found.currency),
        }
        for cause, amount in found.parts.items()
    ]
    amount = words.money_text(abs(found.total), found.currency)
    sentence = (
        words.say("%(amount)s more than %(before)s", amount=amount, before=before)
        if found.total > 0
        else words.say("%(amount)s less than %(before)s", amount=amount, before=before)
        if found.total
        else words.say("As much as %(before)s", before=before)
    )
    table = [(causes[cause], words.signed_money(each, found.currency)) for cause, each in found.parts.items()]
    table.append((words.say("Together"), words.signed_money(found.total, found.currency)))
    value = {
        "field": "amount",
        "type": "quantitative",
        "axis": {"title": None, "format": ",.0f", "tickCount": 5},
        "scale": {"zero": True, "padding": 70},
    }
    side = [("more", "left", 6), ("less", "right", -6)]
    spec = {
        "encoding": {
            "y": {
                "field": "cause",
                "type": "nominal",
                "sort": None,
                "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 190},
            },
            "x": value,
        },
        "layer": [
            {
                "mark": {"type": "bar", "height": {"band": 0.6}, "cornerRadiusEnd": 2},
                "encoding": {
                    "color": {
                        "field": "kind",
                        "type": "nominal",
                        "legend": None,
                        "scale": {"domain": ["more", "less"], "range": ["var(--less)", "var(--more)"]},
                    },
                    "tooltip": [
                        {"field": "cause", "title": words.say("Cause")},
                        {"field": "text", "title": words.say("Amount")},
                    ],
                },
            },
            *(
                {
                    "transform": [{"filter": f"datum.kind == '{kind}'"}],
                    "mark": {
                        "type": "text",
                        "align": align,
                        "dx": shift,
                        "color": "var(--ink)",
                        "fontSize": 12,
                    },
                    "encoding": {"text": {"field": "text"}},
                }
                for kind, align, shift in side
            ),
        ],
    }
    heads = (words.say("Cause"), "#" + words.say("Amount"))
    return PortalChart(
        "change", sentence, spec, rows, Table(heads, table), None, 30 * max(2, len(rows)), words.language
    )
