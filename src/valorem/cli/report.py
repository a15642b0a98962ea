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


def _percent(share: Decimal | None) -> str | None:
    return None if share is None else f"{share.scaleb(2):.1f}"
