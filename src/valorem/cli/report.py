"""``valorem report``: pages to read once a week."""

import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from valorem.cli.output import Json, say, show_json, table
from valorem.cli.parameters import an_instant
from valorem.cli.session import client_of
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, plain

app = typer.Typer(no_args_is_help=True, help="Pages to read once a week.")


@app.command()
def weekly(
    context: typer.Context,
    plan: Annotated[
        str | None, typer.Option(help="The free plan; the one without charges where left out.")
    ] = None,
    end: Annotated[
        str | None, typer.Option(help="End of the week: an instant or a day; now where left out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it there: .md or .html; else print Markdown.")
    ] = None,
    as_json: Json = False,
) -> None:
    """How customers of a free plan fared: funnel, limits met, where people stall, cost and margin."""
    report = client_of(context).weekly_report(plan=plan, end=an_instant(end, "--end"))
    if as_json:
        show_json(report)
    elif output is None:
        sys.stdout.write(report.markdown)
    elif output.suffix in (".md", ".html"):
        output.write_text(report.html if output.suffix == ".html" else report.markdown, encoding="utf-8")
        say(f"written to {output}")
    else:
        raise InvalidInputError(f"{output.name} is neither", field="--output", hint="name it ….md or ….html")


@app.command()
def retention(
    context: typer.Context,
    months: Annotated[int, typer.Option(help="How many months back.")] = 12,
    as_json: Json = False,
) -> None:
    """How invoiced revenue moved from month to month, and which share of it stayed."""
    page = client_of(context).retention(months=months)
    if as_json:
        show_json(page)
        return
    table(
        ("currency", "month", "start", "new", "more", "less", "gone", "end", "net %", "gross %"),
        [
            (
                one.currency,
                f"{one.after:%Y-%m}",
                one.start,
                one.new,
                one.expansion,
                one.contraction,
                one.churned,
                one.end,
                _percent(one.net_retention),
                _percent(one.gross_retention),
            )
            for one in page.items
        ],
        right=("start", "new", "more", "less", "gone", "end", "net %", "gross %"),
    )


@app.command()
def forecast(
    context: typer.Context,
    contract: str,
    periods: Annotated[int, typer.Option(min=0, max=24, help="How many periods back to compare.")] = 6,
    as_json: Json = False,
) -> None:
    """What a contract's running period will come to, and how far such forecasts were off, fixed and variable apart."""
    found = client_of(context).contract_forecast(contract, periods=periods)
    if as_json:
        show_json(found)
        return
    shown = [found.running, *reversed(found.past)]
    table(
        ("period", "known %", "fixed", "variable", "total", "came fixed", "came variable", "came total"),
        [
            (
                f"{one.period.start:%Y-%m-%d}",
                _percent(one.elapsed),
                one.projected.fixed,
                one.projected.variable,
                one.projected.total,
                one.actual and one.actual.fixed,
                one.actual and one.actual.variable,
                one.actual and one.actual.total,
            )
            for one in shown
        ],
        right=("known %", "fixed", "variable", "total", "came fixed", "came variable", "came total"),
    )
    for each in found.accuracy:
        say(
            f"{_percent(each.elapsed)} % through {each.periods} periods, off by: fixed {_off(each.fixed)},"
            f" variable {_off(each.variable)}, total {_off(each.total)}"
        )


@app.command()
def margins(
    context: typer.Context,
    contract: str,
    start: Annotated[
        str | None, typer.Option(help="An instant or a day; the running period's start where left out.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="An instant or a day; now where left out.")] = None,
    as_json: Json = False,
) -> None:
    """What a contract brought and cost, in all and by the unit of each meter."""
    found = client_of(context).contract_margins(
        contract, start=an_instant(start, "--start"), end=an_instant(end, "--end")
    )
    if as_json:
        show_json(found)
        return
    table(
        ("meter", "unit", "used", "revenue", "cost", "margin", "revenue each", "cost each", "margin each"),
        [
            (
                one.meter,
                one.unit,
                one.quantity,
                one.revenue,
                one.cost,
                one.margin,
                one.revenue_per_unit,
                one.cost_per_unit,
                one.margin_per_unit,
            )
            for one in found.meters
        ],
        right=("used", "revenue", "cost", "margin", "revenue each", "cost each", "margin each"),
    )
    rest = "" if found.cost is None else f", cost {plain(found.cost)}, margin {plain(found.margin or ZERO)}"
    say(f"in all: revenue {plain(found.revenue)}{rest} {found.currency}", "bold")


def _off(share: Decimal | None) -> str:
    return "something where nothing came" if share is None else f"{_percent(share)} %"


def _percent(share: Decimal | None) -> str | None:
    return None if share is None else f"{share.scaleb(2):.1f}"
