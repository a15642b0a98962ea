"""``valorem clock``: what time it is in a workspace; a sandbox's moves only when told."""

from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from valorem.cli.output import Json, cell, err, say, show_json
from valorem.cli.parameters import an_instant
from valorem.cli.session import client_of

app = typer.Typer(no_args_is_help=True, help="What time it is; a sandbox's clock moves only when told.")


@app.command()
def show(context: typer.Context, as_json: Json = False) -> None:
    """Show the workspace's time."""
    clock = client_of(context).get_clock()
    if as_json:
        show_json(clock)
        return
    say(f"{cell(clock.now)} ({'follows real time' if clock.moves_by_itself else 'moves only when told'})")
    if clock.next_due_at:
        say(f"something falls due at {cell(clock.next_due_at)}")


@app.command()
def advance(
    context: typer.Context,
    to: Annotated[str | None, typer.Option(help="To this instant or day, on the quarter-hour grid.")] = None,
    periods: Annotated[int | None, typer.Option(help="Instead: over so many period ends.")] = None,
    contract: Annotated[str | None, typer.Option(help="With --periods: those of this contract.")] = None,
    as_json: Json = False,
) -> None:
    """Move a sandbox's clock forward; everything that falls due on the way is done."""
    client = client_of(context)
    with Progress(
        SpinnerColumn(), TextColumn("advancing"), TimeElapsedColumn(), console=err, transient=True
    ) as bar:
        bar.add_task("advancing")
        report = client.advance_clock(to=an_instant(to, "--to"), periods=periods, contract=contract)
    if as_json:
        show_json(report)
        return
    say(
        f"{cell(report.before)} → {cell(report.now)} · {report.closed.drafted:,} drafted"
        f" · {report.closed.finalised + report.closed.progressive:,} finalised"
    )
