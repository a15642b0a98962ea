"""Charts of money: revenue by month, the steps from nothing to an invoice's total, and from one bill to the next."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.insight.difference import Cause, Difference
from valorem.core.numbers import ZERO
from valorem.engine.overview import Issued
from valorem.web.charts.bridges import DifferenceWords, WaterfallWords, difference, waterfall
from valorem.web.charts.chart import Chart, Table
from valorem.web.formats import bare_money, money_text, signed_money
from valorem.web.standings import Sum

_AXIS = {"format": ",.0f", "title": None}
_BAND: dict[str, Any] = {
    "axis": {"labelAngle": 0, "title": None, "labelLimit": 120},
    "sort": None,
    "type": "nominal",
}
#: What a cause of a difference is called.
CAUSE_NAMES: Mapping[Cause, str] = {
    "length": "Length of period",
    "quantity": "Quantity",
    "price": "Price per unit",
    "fixed": "Fixed fees",
    "credits": "Discounts and credits",
    "bounds": "Minimum and maximum",
    "late": "Late usage",
}
_STATES = {"invoiced": "var(--c1)", "so far": "var(--c3)", "projected": "var(--c-ghost)"}


def revenue_chart(issued: Sequence[Issued], running: Sum | None, currency: str, at: datetime) -> Chart | None:
    """Final invoices by month of issue, and what the running periods come to; None where there is nothing to show."""
    months = [each for each in issued if each.currency == currency][-11:]
    rows: list[dict[str, Any]] = [
        {
            "label": f"{each.month:%b %y}",
            "state": "invoiced",
            "amount": each.total,
            "text": money_text(each.total, currency),
        }
        for each in months
    ]
    if running is not None:
        rest = max(ZERO, running.projected - running.so_far)
        rows += [
            {
                "label": "running",
                "state": "so far",
                "amount": running.so_far,
                "text": money_text(running.so_far, currency),
            },
            {
                "label": "running",
                "state": "projected",
                "amount": rest,
                "text": money_text(running.projected, currency),
            },
        ]
    if not rows:
        return None
    states = [state for state in _STATES if any(row["state"] == state for row in rows)]
    table_rows = [
        (f"{each.month:%B %Y}", str(each.count), bare_money(each.total, currency))
        for each in reversed(months)
    ]
    sentence = (
        f"Invoiced by month of issue, {currency}"
        if running is None
        else f"The running periods come to {money_text(running.so_far, currency)} {currency} so far"
    )
    spec = {
        "mark": {"type": "bar", "cornerRadiusEnd": 2, "width": {"band": 0.62}},
        "encoding": {
            "x": {"field": "label", **_BAND},
            "y": {"field": "amount", "type": "quantitative", "axis": _AXIS, "stack": "zero"},
            "color": {
                "field": "state",
                "type": "nominal",
                "scale": {
                    "domain": states,
                    "range": [_STATES[state] for state in states],
                },
            },
            "order": {"field": "state", "sort": "descending"},
            "tooltip": [
                {"field": "label", "title": "Period"},
                {"field": "state"},
                {"field": "text", "title": currency},
            ],
        },
    }
    return Chart(
        f"revenue-{currency.lower()}",
        sentence,
        spec,
        rows,
        Table(("Issued in", "#Invoices", f"#Total, {currency}"), table_rows),
        as_of=at,
        height=180,
    )


def waterfall_chart(name: str, steps: Sequence[tuple[str, Decimal]], currency: str, total: Decimal) -> Chart:
    """From nothing to an invoice's total, one bar for each group of lines."""
    words = WaterfallWords("other lines", "Total", ("Step", f"Amount, {currency}", f"Then, {currency}"))
    drawn = waterfall(
        steps,
        total,
        words,
        lambda amount: money_text(amount, currency),
        lambda amount: bare_money(amount, currency),
    )
    sentence = f"{money_text(total, currency)} {currency}, from the first line to the total"
    return Chart(name, sentence, drawn.spec, drawn.rows, drawn.table, height=drawn.height)


def difference_chart(name: str, found: Difference, before: str) -> Chart:
    """Why a bill differs from the one before."""
    currency = found.currency
    sign = "more" if found.total > 0 else "less"
    sentence = (
        f"{money_text(abs(found.total), currency)} {currency} {sign} than {before}"
        if found.total
        else f"As much as {before}"
    )
    drawn = difference(
        found,
        DifferenceWords(CAUSE_NAMES, "Together", ("Cause", currency)),
        lambda amount: money_text(amount, currency),
        lambda amount: signed_money(amount, currency),
    )
    return Chart(name, sentence, drawn.spec, drawn.rows, drawn.table, height=drawn.height)
