"""The portal's charts: the frame of all charts, with the numbers and dates of the customer's language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import get_day_names, get_month_names

from valorem.core.insight.difference import Cause, Difference
from valorem.core.numbers import ZERO
from valorem.engine.usage import UsageReport
from valorem.web.charts.chart import CATEGORIES, COLOURS, OTHER, Chart, Table
from valorem.web.portal.words import Words, words_of

_MOST_STEPS = 9
_DAY = {"type": "temporal", "timeUnit": {"unit": "yearmonthdate", "utc": True}}


@dataclass(frozen=True, slots=True)
class PortalChart(Chart):
    """A chart whose axes are written in a language."""

    language: str = "en"

    def document(self, width: int | str) -> dict[str, Any]:
        """The whole specification."""
        found = Chart.document(self, width)
        return {**found, "config": {**found["config"], "locale": _locale(self.language)}}


@dataclass(frozen=True, slots=True)
class Point:
    """What was spent, or is left, at the end of a day."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Edge:
    """An amount to stay under: a budget, with what happens there."""

    amount: Decimal
    label: str


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
        "scale": {"type": "utc", "domain": [_local(start, zone), _local(end, zone)]},
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
        "at": _local(point.at, zone),
        "day": words.moment_text(point.at, zone),
        "amount": point.amount,
        "text": words.money_text(point.amount, currency),
        "state": state,
    }


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
        "at": _local(point.at, zone),
        "day": words.day_text(point.at, zone),
        "amount": point.amount,
        "text": words.quantity_text(point.amount),
        "state": state,
    }


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
            "text": _signed(words, amount, found.currency),
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
                "text": _signed(words, amount, currency),
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


def _signed(words: Words, amount: Decimal, currency: str) -> str:
    return f"{'+' if amount > 0 else '−'}{words.money_text(abs(amount), currency)}"


def _local(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}"


def _day(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d}"


@cache
def _locale(language: str) -> Mapping[str, Any]:
    """How axes write numbers and dates, from the same data as the text around them."""
    locale = words_of(language).locale
    symbols = locale.number_symbols["latn"]
    names = get_day_names("wide", locale=locale), get_day_names("abbreviated", locale=locale)
    months = get_month_names("wide", locale=locale), get_month_names("abbreviated", locale=locale)
    sunday_first = [6, 0, 1, 2, 3, 4, 5]
    return {
        "number": {
            "decimal": symbols["decimal"],
            "thousands": symbols["group"],
            "grouping": [3],
            "currency": ["", ""],
        },
        "time": {
            "dateTime": "%x %X",
            "date": "%Y-%m-%d",
            "time": "%H:%M:%S",
            "periods": ["AM", "PM"],
            "days": [names[0][day] for day in sunday_first],
            "shortDays": [names[1][day] for day in sunday_first],
            "months": [months[0][month] for month in range(1, 13)],
            "shortMonths": [months[1][month] for month in range(1, 13)],
        },
    }


__all__ = [
    "Edge",
    "Point",
    "PortalChart",
    "burn_chart",
    "cause_names",
    "difference_chart",
    "spend_chart",
    "usage_chart",
    "waterfall_chart",
]
