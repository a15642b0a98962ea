"""``valorem portal``: what end customers see, and the links that open it."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from valorem.cli.output import Json, say, show_json
from valorem.cli.session import client_of
from valorem.core.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="The portal of end customers.")


@app.command()
def link(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's key.")],
    lasts: Annotated[int, typer.Option(help="Seconds within which it is followed.")] = 600,
    origin: Annotated[str | None, typer.Option(help="The page that frames it.")] = None,
    language: Annotated[str | None, typer.Option(help="Such as de or he.")] = None,
    as_json: Json = False,
) -> None:
    """Make a link that opens a customer's portal. It works once."""
    made = client_of(context).create_portal_link(customer, lasts_s=lasts, origin=origin, language=language)
    if as_json:
        show_json(made)
    else:
        say(made.url or "")


@app.command()
def end(context: typer.Context, customer: Annotated[str, typer.Argument(help="The customer's key.")]) -> None:
    """End every open session of a customer's portal."""
    ended = client_of(context).end_portal_sessions(customer).ended
    say(f"{ended} {'session' if ended == 1 else 'sessions'} of {customer} ended")


@app.command()
def settings(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="YAML to put in their place.")
    ] = None,
) -> None:
    """Show how the portal looks; with a file, change it."""
    client = client_of(context)
    found = client.get_portal_settings() if file is None else client.set_portal_settings(_read(file))
    say(yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip())


def _read(file: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{file.name} is no YAML: {error}", field=str(file)) from None
    if not isinstance(read, dict):
        raise InvalidInputError("the file holds no settings", field=str(file), hint="write name: value lines")
    return read
