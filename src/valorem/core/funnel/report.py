"""The weekly report: one page for whoever looks after a free plan, as Markdown and as HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from html import escape

from valorem.core.funnel.journeys import NAMES, Funnel
from valorem.core.money import minor_digits
from valorem.core.numbers import ONE, exact, plain
from valorem.core.time import QUARTER_HOUR_S

#: Use is known to the quarter hour, so nothing shorter is told apart.
_GRAIN = timedelta(seconds=QUARTER_HOUR_S)

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a2e}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{padding:.4rem .6rem;border-bottom:1px solid #ddd}"
    "th{text-align:left}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "@media (prefers-color-scheme:dark){body{background:#12121c;color:#e8e8f0}th,td{border-color:#333}}"
)


@dataclass(frozen=True, slots=True)
class PlanMargin:
    """What a plan brought and cost in the week.

    Attributes:
        plan: Its key.
        currency: Of the amounts.
        customers: How many contracts ran on it.
        revenue: What they were charged for the week.
        cost: What their use cost, by the meters' own unit costs; None where no meter of it has one.
    """

    plan: str
    currency: str
    customers: int
    revenue: Decimal
    cost: Decimal | None

    @property
    def margin(self) -> Decimal | None:
        """Revenue less cost."""
        return None if self.cost is None else self.revenue - self.cost


@dataclass(frozen=True, slots=True)
class WeeklyReport:
    """What a week was like.

    Attributes:
        plan: The free plan looked at.
        start: Of the week.
        end: Of the week.
        funnel: Of everybody who ever signed up for the plan.
        cohorts: The same by week of signing up, the last ones.
        margins: By plan.
        crossed: Alert kind to how many thresholds were crossed in the week.
        walls: Feature to how many customers met its limit in the week.
        signed_up: How many signed up for the plan in the week.
        upgraded: How many left it for another one in the week.
    """

    plan: str
    start: datetime
    end: datetime
    funnel: Funnel
    cohorts: tuple[Funnel, ...]
    margins: tuple[PlanMargin, ...]
    crossed: dict[str, int]
    walls: dict[str, int]
    signed_up: int = 0
    upgraded: int = 0


@dataclass(frozen=True, slots=True)
class _Table:
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def markdown(report: WeeklyReport) -> str:
    """The report as Markdown."""
    lines = [f"# {_title(report)}", "", _in_short(report), ""]
    for table in _tables(report):
        lines += [f"## {table.title}", ""]
        if not table.rows:
            lines += ["Nothing this week.", ""]
            continue
        lines.append("| " + " | ".join(map(_cell, table.columns)) + " |")
        lines.append("| --- |" + " ---: |" * (len(table.columns) - 1))
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]
        lines.append("")
    return "\n".join(lines)


def html(report: WeeklyReport) -> str:
    """The report as one page of HTML that needs nothing else."""
    title = escape(_title(report))
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{title}</h1>',
        f"<p>{escape(_in_short(report))}</p>",
    ]
    for table in _tables(report):
        parts.append(f"<h2>{escape(table.title)}</h2>")
        if not table.rows:
            parts.append("<p>Nothing this week.</p>")
            continue
        head = "".join(
            f'<th scope="col"{_numeric(place)}>{escape(column)}</th>'
            for place, column in enumerate(table.columns)
        )
        body = "".join(
            "<tr>"
            + "".join(f"<td{_numeric(place)}>{escape(text)}</td>" for place, text in enumerate(row))
            + "</tr>"
            for row in table.rows
        )
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    return "\n".join([*parts, "</body></html>", ""])


def _title(report: WeeklyReport) -> str:
    last = report.end - timedelta(microseconds=1)
    return f"Plan {report.plan}: {report.start:%Y-%m-%d} to {last:%Y-%m-%d}"


def _in_short(report: WeeklyReport) -> str:
    """What somebody with half a minute should know."""
    steps = {one.step: one for one in report.funnel.steps}
    whole = steps["signed_up"].customers
    week = f"{report.signed_up} signed up and {report.upgraded} upgraded this week."
    if not whole:
        return f"{week} Nobody is on the plan yet."
    activated, upgraded = steps["activated"], steps["upgraded"]
    ever = (
        f"Of {whole} who ever signed up, {_share(activated.share)} had a first success"
        f" (half of them within {_time(activated.median_from_start)}) and {_share(upgraded.share)} upgraded."
    )
    stalled = max(report.funnel.steps, key=lambda one: one.stalled)
    if not stalled.stalled:
        return f"{week} {ever}"
    return f"{week} {ever} Most of the others stand at: {NAMES[stalled.step]} ({stalled.stalled})."


def _most_stalled(funnel: Funnel) -> str:
    most = max(funnel.steps, key=lambda one: one.stalled)
    return f"{NAMES[most.step]} ({most.stalled})" if most.stalled else "—"


def _first_success(funnel: Funnel) -> str:
    return _time(next(one.median_from_start for one in funnel.steps if one.step == "activated"))


def _tables(report: WeeklyReport) -> Sequence[_Table]:
    return (
        _Table(
            "The funnel",
            ("step", "customers", "share", "median time", "stopped here"),
            tuple(
                (
                    NAMES[one.step],
                    str(one.customers),
                    _share(one.share),
                    "—" if one.step == "signed_up" else _time(one.median_from_start),
                    str(one.stalled),
                )
                for one in report.funnel.steps
            ),
        ),
        _Table(
            "By week of signing up",
            (
                "week",
                *(NAMES[one.step] for one in report.funnel.steps),
                "median time to first success",
                "most stopped at",
            ),
            tuple(
                (
                    one.cohort,
                    *(str(step.customers) for step in one.steps),
                    _first_success(one),
                    _most_stalled(one),
                )
                for one in report.cohorts
            ),
        ),
        _Table("Limits met this week", ("feature", "customers"), _counts(report.walls)),
        _Table(
            "Where people stall",
            ("feature", "customers who met its limit and did not upgrade"),
            _counts(report.funnel.walls),
        ),
        _Table("Alerts this week", ("alert", "crossings"), _counts(report.crossed)),
        _Table(
            "Revenue, cost of use and margin this week",
            ("plan", "contracts", "revenue", "cost", "margin"),
            tuple(
                (
                    one.plan,
                    str(one.customers),
                    _money(one.revenue, one.currency),
                    _money(one.cost, one.currency),
                    _money(one.margin, one.currency),
                )
                for one in report.margins
            ),
        ),
    )


def _counts(counts: dict[str, int]) -> tuple[tuple[str, ...], ...]:
    return tuple((name, str(count)) for name, count in counts.items())


@exact
def _money(amount: Decimal | None, currency: str) -> str:
    if amount is None:
        return "not known"
    cent = ONE.scaleb(
        -minor_digits(currency)
    )  # finer amounts, as of a cost by the unit, stay as fine as they are
    return f"{plain(amount) if amount % cent else f'{amount.quantize(cent):f}'} {currency}"


def _share(share: Decimal) -> str:
    return f"{plain(share.scaleb(2))} %"


def _time(length: timedelta | None) -> str:
    if length is None:
        return "—"
    if length < _GRAIN:
        return "under 15 min"
    minutes = int(length.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    return f"{days} d {hours} h" if days else f"{hours} h {minutes % 60} min"


def _numeric(place: int) -> str:
    return ' class="n"' if place else ""


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
