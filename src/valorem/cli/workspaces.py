"""``valorem workspace``: sealed worlds, live or with a clock of their own."""

from typing import Annotated

import typer

from valorem.cli.output import Json, cell, say, show_json, table
from valorem.cli.parameters import an_instant
from valorem.cli.session import client_of

app = typer.Typer(no_args_is_help=True, help="Sealed worlds: live, and any number of sandboxes.")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower-case letters, digits, - and _.")],
    live: Annotated[
        bool, typer.Option("--live", help="Follow real time instead of a clock of its own.")
    ] = False,
    clock: Annotated[
        str | None, typer.Option(help="Where a sandbox's clock starts; now where left out.")
    ] = None,
    print_key: Annotated[
        bool, typer.Option("--print-key", help="Print its admin key alone, for scripts.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a workspace and an admin key for it, which is shown this once."""
    made = client_of(context).create_workspace(
        name, kind="live" if live else "sandbox", clock_at=an_instant(clock, "--clock")
    )
    if as_json:
        show_json(made)
    elif print_key:
        say(made.admin_key.key or "")
    else:
        at = f", its clock at {cell(made.workspace.clock_at)}" if made.workspace.clock_at else ""
        say(f"{made.workspace.name} is a {made.workspace.kind} workspace{at}", "bold")
        say(f"export VALOREM_API_KEY={made.admin_key.key}", "green")
        say("keep the key now: it is shown this once", "dim")


@app.command(name="list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the workspaces."""
    page = client_of(context).list_workspaces()
    if as_json:
        show_json(page)
        return
    table(("workspace", "kind", "clock"), [(w.name, w.kind, w.clock_at) for w in page.items])
