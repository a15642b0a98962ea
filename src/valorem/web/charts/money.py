"""Charts of money: revenue by month, the steps from nothing to an invoice's total, and from one bill to the next."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.insight.difference import Difference
from valorem.core.numbers import ZERO
from valorem.engine.overview import Issued
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
CAUSE_NAMES: Mapping[str, str] = {
    "length": "Length of period",
    "quantity": "Quantity",
    "price": "Price per unit",
    "fixed": "Fixed fees",
    "credits": "Discounts and credits",
    "bounds": "Minimum and maximum",
    "late": "Late usage",
}
_MOST_STEPS = 9
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
    """From nothing to an invoice's total, one bar for each group of lines; the smallest are put together."""
    kept = list(steps)
    if len(kept) > _MOST_STEPS:
        ranked = sorted(kept, key=lambda step: -abs(step[1]))
        shown = {label for label, _ in ranked[: _MOST_STEPS - 1]}
        rest = sum((amount for label, amount in kept if label not in shown), ZERO)
        kept = [(label, amount) for label, amount in kept if label in shown] + [("other lines", rest)]
    sentence = f"{money_text(total, currency)} {currency}, from the first line to the total"
    return _bridge(name, sentence, kept, total, currency)


def difference_chart(name: str, found: Difference, before: str) -> Chart:
    """Why a bill differs from the one before: one bar for each cause, to the side on which it moves the total."""
    rows: list[dict[str, Any]] = [
        {
            "cause": CAUSE_NAMES[cause],
            "amount": amount,
            "kind": "more" if amount > 0 else "less",
            "text": _signed(amount, found.currency),
        }
        for cause, amount in found.parts.items()
    ]
    sign = "more" if found.total > 0 else "less"
    sentence = (
        f"{money_text(abs(found.total), found.currency)} {found.currency} {sign} than {before}"
        if found.total
        else f"As much as {before}"
    )
    table = [
        (CAUSE_NAMES[cause], signed_money(amount, found.currency)) for cause, amount in found.parts.items()
    ]
    table.append(("Together", signed_money(found.total, found.currency)))
    value = {"field": "amount", "type": "quantitative"}
    spec = {
        "encoding": {
            "y": {
                "field": "cause",
                "type": "nominal",
                "sort": None,
                "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 160},
            },
            "x": {
                **value,
                "axis": {"title": None, "format": ",.0f", "tickCount": 5},
                "scale": {"zero": True, "padding": 60},
            },
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
                        {"field": "cause", "title": "Cause"},
                        {"field": "text", "title": found.currency},
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
                for kind, align, shift in (("more", "left", 6), ("less", "right", -6))
            ),
        ],
    }
    return Chart(
        name,
        sentence,
        spec,
        rows,
        Table(("Cause", f"#{found.currency}"), table),
        height=30 * max(2, len(rows)),
    )


def _signed(amount: Decimal, currency: str) -> str:
    return f"{'+' if amount > 0 else '−'}{money_text(abs(amount), currency)}"


def _bridge(
    name: str, sentence: str, steps: Iterable[tuple[str, Decimal]], total: Decimal, currency: str
) -> Chart:
    rows: list[dict[str, Any]] = []
    table: list[tuple[Any, ...]] = []
    level = ZERO
    for label, amount in steps:
        rows.append(
            _bar(label, level, level + amount, "more" if amount > 0 else "less", _signed(amount, currency))
        )
        level += amount
        table.append((label, bare_money(amount, currency), bare_money(level, currency)))
    rows.append(_bar("Total", ZERO, total, "total", money_text(total, currency)))
    table.append(("Total", bare_money(total, currency), bare_money(total, currency)))
    base = {
        "x": {"field": "label", **_BAND, "axis": {**_BAND["axis"], "labelExpr": "split(datum.label, ' ')"}}
    }
    spec = {
        "encoding": base,
        "layer": [
            {
                "mark": {"type": "bar", "width": {"band": 0.6}, "cornerRadius": 1},
                "encoding": {
                    "y": {"field": "from", "type": "quantitative", "axis": _AXIS, "scale": {"zero": True}},
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
                    "tooltip": [{"field": "label", "title": "Step"}, {"field": "text", "title": currency}],
                },
            },
            {
                "mark": {"type": "text", "dy": -7, "color": "var(--ink)", "fontSize": 11},
                "encoding": {"y": {"field": "top", "type": "quantitative"}, "text": {"field": "text"}},
            },
        ],
    }
    return Chart(
        name,
        sentence,
        spec,
        rows,
        Table(("Step", f"#Amount, {currency}", f"#Then, {currency}"), table),
        height=210,
    )


def _bar(label: str, low: Decimal, high: Decimal, kind: str, text: str) -> dict[str, Any]:
    return {"label": label, "from": low, "to": high, "top": max(low, high), "kind": kind, "text": text}
