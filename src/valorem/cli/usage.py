"""``valorem usage``: what a customer used."""

from typing import Annotated

import typer

from valorem.cli.output import Json, cell, number, say, show_json, table
from valorem.cli.parameters import an_instant, pairs
from valorem.cli.session import client_of


def usage(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's key.")],
    meter: Annotated[str, typer.Argument(help="The meter's key.")],
    by: Annotated[str, typer.Option(help="period, hour, day or month.")] = "period",
    dimension: Annotated[
        list[str] | None, typer.Option(help="Group by this dimension; may be repeated.")
    ] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only dimension=value; may be repeated.")] = None,
    start: Annotated[str | None, typer.Option(help="From this instant or day.")] = None,
    end: Annotated[str | None, typer.Option(help="Before this instant or day.")] = None,
    as_json: Json = False,
) -> None:
    """What a customer used, live: everything acknowledged is in it."""
    found = client_of(context).usage(
        customer,
        meter,
        start=an_instant(start, "--start"),
        end=an_instant(end, "--end"),
        by=by,
        dimensions=dimension or [],
        where=pairs(where, "--where"),
    )
    if as_json:
        show_json(found)
        return
    unit = found.unit or "quantity"
    names = list(dimension or [])
    table(
        ("from", "to", *names, unit, "events"),
        [(r.start, r.end, *(r.dimensions.get(n) for n in names), r.quantity, r.events) for r in found.rows],
        right=(unit, "events"),
        title=f"{found.customer} · {found.meter} · {found.zone} · as of {cell(found.as_of)}",
    )
    if found.total is not None:
        say(f"total {number(found.total)} {unit}", "bold")
