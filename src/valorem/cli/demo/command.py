"""``valorem demo``: the whole way from events to proven invoices, on a server of its own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class By(StrEnum):
    """The periods a log may be billed by."""

    month = "month"
    week = "week"


def demo(
    trace: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Play a CSV of TIMESTAMP, ContextTokens, GeneratedTokens instead.",
        ),
    ] = None,
    freemium: Annotated[
        bool,
        typer.Option("--freemium", help="Show a free plan, its limit, the prompt and the upgrade instead."),
    ] = False,
    enterprise: Annotated[
        bool,
        typer.Option(
            "--enterprise", help="Show an order of 500,000 over three years, changed on the way, instead."
        ),
    ] = False,
    incidents: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Bill a help-desk log by the resolved ticket instead."
        ),
    ] = None,
    window: Annotated[
        str, typer.Option(help="With --incidents: how long a ticket must stay resolved.")
    ] = "5 days",
    by: Annotated[By, typer.Option(help="With --incidents: the periods it is billed by.")] = By.month,
    zone: Annotated[
        str, typer.Option(help="With --incidents: the time zone whose midnights are their borders.")
    ] = "UTC",
    as_json: Annotated[
        bool, typer.Option("--json", help="With --incidents: answer the totals as JSON, for programs.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving at the end, until Ctrl-C.")] = False,
) -> None:
    """Show the whole way, from events to proven invoices, in a temporary folder; nothing else is touched."""
    # The stories bring the catalog and its parser, which no other command should wait for.
    from valorem.cli.demo.playing import Wish, play  # noqa: PLC0415

    wish = Wish(
        trace=trace,
        freemium=freemium,
        enterprise=enterprise,
        incidents=incidents,
        window=window,
        by=by.value,
        zone=zone,
        as_json=as_json,
        keep=keep,
    )
    if not play(wish):
        raise typer.Exit(1)
