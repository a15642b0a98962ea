"""``valorem keys``: API keys of a workspace."""

from typing import Annotated

import typer

from valorem.cli.output import Json, say, show_json, table
from valorem.cli.parameters import an_instant
from valorem.cli.session import client_of

app = typer.Typer(no_args_is_help=True, help="API keys of the workspace.")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do, such as events:write or read; may be repeated.")
    ],
    expires: Annotated[str | None, typer.Option(help="Worthless from this instant or day on.")] = None,
    print_key: Annotated[bool, typer.Option("--print-key", help="Print the key alone, for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Make a key. It is shown this once and kept nowhere."""
    made = client_of(context).create_key(name, scope, expires_at=an_instant(expires, "--expires"))
    if as_json:
        show_json(made)
    elif print_key:
        say(made.key or "")
    else:
        say(f"{made.id} · {made.name} · {', '.join(made.scopes)}", "bold")
        say(made.key or "", "green")
        say("keep it now: it is shown this once", "dim")


@app.command(name="list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the keys, revoked ones too."""
    page = client_of(context).list_keys()
    if as_json:
        show_json(page)
        return
    table(
        ("id", "key", "name", "scopes", "last used", "expires", "revoked"),
        [
            (k.id, f"{k.prefix}…", k.name, k.scopes, k.last_used_at, k.expires_at, k.revoked_at)
            for k in page.items
        ],
    )


@app.command()
def revoke(context: typer.Context, key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Make a key worthless."""
    client_of(context).revoke_key(key_id)
    say(f"{key_id} is worthless now")
