"""Bars that lead from one amount to another: the steps to a total, and what a difference is made of. Words come from the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from markupsafe import Markup

from valorem.core.insight.difference import Cause, Difference
from valorem.core.numbers import ZERO, exact
from valorem.web.charts.chart import Table

#: Writes an amount, as text on a bar and as a cell of the table.
Writes: TypeAlias = Callable[[Decimal], str]
_MOST_STEPS = 9
_AMOUNT_AXIS = {"title": None, "format": ",.0f"}


@dataclass(frozen=True, slots=True)
class Bridge:
    """What a chart of this kind draws.

    Attributes:
        spec: Vega-Lite without data, size and configuration.
        rows: One for each bar.
        table: The same numbers as text.
        height: In pixels.
    """

    spec: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    table: Table
    height: int


@dataclass(frozen=True, slots=True)
class WaterfallWords:
    """What the steps to a total are called.

    Attributes:
        rest: The smallest steps, put together.
        total: Where they lead.
        heads: Of the columns: the step, its amount, and what it comes to then.
    """

    rest: str
    total: str
    heads: tuple[str, str, str]


@exact
def waterfall(
    steps: Sequence[tuple[str, Decimal]], total: Decimal, words: WaterfallWords, text: Writes, cell: Writes
) -> Bridge:
    """From nothing to a total, one bar for each step; the smallest are put together.

    Args:
        steps: What each is called, and its amount.
        total: Where they lead.
        words: What else is written.
        text: Writes an amount on a bar.
        cell: Writes an amount in the table.
    """
    rows: list[dict[str, Any]] = []
    table: list[tuple[str, str, str]] = []
    level = ZERO
    for label, amount in _largest(steps, words.rest):
        kind = "more" if amount > 0 else "less"
        rows.append(_bar(label, level, level + amount, kind, signed(amount, text)))
        level += amount
        table.append((label, cell(amount), cell(level)))
    rows.append(_bar(words.total, ZERO, total, "total", text(total)))
    table.append((words.total, cell(total), cell(total)))
    step, amount_head, then = words.heads
    return Bridge(
        _waterfall_spec(step, amount_head), rows, Table((step, f"#{amount_head}", f"#{then}"), table), 210
    )


def _largest(steps: Sequence[tuple[str, Decimal]], rest: str) -> list[tuple[str, Decimal]]:
    if len(steps) <= _MOST_STEPS:
        return list(steps)
    shown = {label for label, _ in sorted(steps, key=lambda step: -abs(step[1]))[: _MOST_STEPS - 1]}
    others = sum((amount for label, amount in steps if label not in shown), ZERO)
    return [step for step in steps if step[0] in shown] + [(rest, others)]


def _bar(label: str, low: Decimal, high: Decimal, kind: str, text: str) -> dict[str, Any]:
    return {"label": label, "from": low, "to": high, "top": max(low, high), "kind": kind, "text": text}


def _waterfall_spec(step: str, amount: str) -> dict[str, Any]:
    x = {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "axis": {"labelAngle": 0, "title": None, "labelLimit": 120, "labelExpr": "split(datum.label, ' ')"},
    }
    colours = {"domain": ["total", "more", "less"], "range": ["var(--c1)", "var(--c3)", "var(--c6)"]}
    bars = {
        "mark": {"type": "bar", "width": {"band": 0.6}, "cornerRadius": 1},
        "encoding": {
            "y": {"field": "from", "type": "quantitative", "axis": _AMOUNT_AXIS, "scale": {"zero": True}},
            "y2": {"field": "to"},
            "color": {"field": "kind", "type": "nominal", "legend": None, "scale": colours},
            "tooltip": [{"field": "label", "title": step}, {"field": "text", "title": amount}],
        },
    }
    labels = {
        "mark": {"type": "text", "dy": -7, "color": "var(--ink)", "fontSize": 11},
        "encoding": {"y": {"field": "top", "type": "quantitative"}, "text": {"field": "text"}},
    }
    return {"encoding": {"x": x}, "layer": [bars, labels]}


@dataclass(frozen=True, slots=True)
class DifferenceWords:
    """What the parts of a difference are called.

    Attributes:
        causes: Each cause.
        together: Their sum.
        heads: Of the columns: the cause, and its amount.
    """

    causes: Mapping[Cause, str]
    together: str
    heads: tuple[str, str]


def difference(
    found: Difference, words: DifferenceWords, text: Writes, cell: Callable[[Decimal], Markup]
) -> Bridge:
    """What a difference is made of: one bar for each cause, to the side on which it moves the total.

    Args:
        found: The difference.
        words: What is written beside the amounts.
        text: Writes an amount without its sign.
        cell: Writes an amount with its sign, in the table.
    """
    rows = [
        {
            "cause": words.causes[cause],
            "amount": amount,
            "kind": "more" if amount > 0 else "less",
            "text": signed(amount, text),
        }
        for cause, amount in found.parts.items()
    ]
    table = [(words.causes[cause], cell(amount)) for cause, amount in found.parts.items()]
    table.append((words.together, cell(found.total)))
    cause, amount_head = words.heads
    height = 30 * max(2, len(rows))
    return Bridge(
        _difference_spec(cause, amount_head), rows, Table((cause, f"#{amount_head}"), table), height
    )


def _difference_spec(cause: str, amount: str) -> dict[str, Any]:
    y = {
        "field": "cause",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "ticks": False, "domain": False, "labelLimit": 190},
    }
    x = {
        "field": "amount",
        "type": "quantitative",
        "axis": {**_AMOUNT_AXIS, "tickCount": 5},
        "scale": {"zero": True, "padding": 70},
    }
    colours = {"domain": ["more", "less"], "range": ["var(--less)", "var(--more)"]}
    bars = {
        "mark": {"type": "bar", "height": {"band": 0.6}, "cornerRadiusEnd": 2},
        "encoding": {
            "color": {"field": "kind", "type": "nominal", "legend": None, "scale": colours},
            "tooltip": [{"field": "cause", "title": cause}, {"field": "text", "title": amount}],
        },
    }
    labels = [
        {
            "transform": [{"filter": f"datum.kind == '{kind}'"}],
            "mark": {"type": "text", "align": align, "dx": shift, "color": "var(--ink)", "fontSize": 12},
            "encoding": {"text": {"field": "text"}},
        }
        for kind, align, shift in (("more", "left", 6), ("less", "right", -6))
    ]
    return {"encoding": {"y": y, "x": x}, "layer": [bars, *labels]}


def signed(amount: Decimal, text: Writes) -> str:
    """An amount with its sign, plus as well, as the page writes money."""
    return f"{'+' if amount > 0 else '−'}{text(abs(amount))}"
