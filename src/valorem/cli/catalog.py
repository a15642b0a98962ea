"""``valorem catalog``: prices as files; plan a change, apply it, look back, roll back."""

from pathlib import Path
from typing import Annotated

import typer

from valorem.cli import migrations
from valorem.cli.output import Json, more, say, show_json, table
from valorem.cli.parameters import After, Limit
from valorem.cli.session import author, client_of
from valorem.client.values import Change
from valorem.core.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="What is sold, as a folder of YAML files.")
app.command()(migrations.migrate)
app.command()(migrations.undo_migration)
Folder = Annotated[Path, typer.Argument(help="The folder with meters/, features/, prices/ and plans/.")]
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


@app.command()
def plan(context: typer.Context, folder: Folder = Path("catalog"), as_json: Json = False) -> None:
    """Show what applying a folder would change, and which contracts use what changes. Touches nothing."""
    found = client_of(context).plan_catalog(read_folder(folder))
    if as_json:
        show_json(found)
        return
    base = f"version {found.base_version}" if found.base_version else "an empty catalog"
    say(f"against {base}:", "bold")
    _show_changes(found.changes)
    if found.affected_total:
        say(
            f"\n{found.affected_total} contracts use what changes; they keep the version they are on:", "bold"
        )
        table(
            ("contract", "customer", "plan", "version"),
            [(c.contract, c.customer, c.plan, c.catalog_version) for c in found.affected_contracts],
            right=("version",),
        )


@app.command()
def apply(
    context: typer.Context,
    folder: Folder = Path("catalog"),
    message: Annotated[str, typer.Option("--message", "-m", help="Why.")] = "",
    by: Annotated[
        str | None, typer.Option("--author", help="Who; your account's name where left out.")
    ] = None,
    expect: Annotated[int | None, typer.Option(help="Refuse unless this is the newest version.")] = None,
    as_json: Json = False,
) -> None:
    """Make a folder the next version."""
    if not message:
        raise InvalidInputError(
            "say why", field="--message", hint='for example --message "Cheaper input tokens"'
        )
    version = client_of(context).apply_catalog(
        read_folder(folder), message=message, author=by or author(), expect_version=expect
    )
    if as_json:
        show_json(version)
    else:
        say(f"version {version.version} is in force · {version.message} · {version.author}")


@app.command()
def log(context: typer.Context, after: After = None, limit: Limit = 20, as_json: Json = False) -> None:
    """List the versions, newest first."""
    page = client_of(context).list_catalog_versions(after=after, limit=limit)
    if as_json:
        show_json(page)
        return
    table(
        ("version", "applied", "author", "message"),
        [(v.version, v.created_at, v.author, v.message) for v in page.items],
        right=("version",),
    )
    more(page.next)


@app.command()
def show(
    context: typer.Context,
    version: Annotated[int | None, typer.Argument(help="The newest where left out.")] = None,
    to: Annotated[Path | None, typer.Option(help="Write the files into this folder instead.")] = None,
    as_json: Json = False,
) -> None:
    """Show a version's files."""
    client = client_of(context)
    found = client.get_catalog() if version is None else client.get_catalog_version(version)
    if as_json:
        show_json(found)
        return
    if to is not None:
        _write_folder(to, found.files)
        say(f"version {found.version}: {len(found.files)} files in {to}")
        return
    say(f"version {found.version} · {found.message} · {found.author}", "bold")
    for path, text in sorted(found.files.items()):
        say(f"\n# {path}", "bold")
        say(text.rstrip())


@app.command()
def diff(context: typer.Context, before: int, after: int, as_json: Json = False) -> None:
    """Show what changed in meaning between two versions."""
    found = client_of(context).diff_catalog(before, after)
    if as_json:
        show_json(found)
    else:
        _show_changes(found.changes)


@app.command()
def rollback(
    context: typer.Context,
    version: int,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why.")] = None,
    by: Annotated[str | None, typer.Option("--author", help="Who.")] = None,
    as_json: Json = False,
) -> None:
    """Apply an earlier version's files again, as a new version."""
    applied = client_of(context).rollback_catalog(version, message=message, author=by or author())
    if as_json:
        show_json(applied)
    else:
        say(f"version {applied.version} is in force and equals version {version}")


@app.command()
def schema(context: typer.Context) -> None:
    """Print the JSON Schema of the files, for editors."""
    show_json(client_of(context).catalog_schema())


def read_folder(folder: Path) -> dict[str, str]:
    """The YAML files of a folder by their path in it.

    Raises:
        InvalidInputError: If there is no such folder, or no YAML in it.
    """
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is no folder", field="folder", hint="name the catalog's folder")
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")])
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if not files:
        raise InvalidInputError(
            f"{folder} holds no YAML files",
            field="folder",
            hint="a catalog has plans/NAME.yaml, meters/NAME.yaml",
        )
    read = {}
    for name, path in files.items():
        try:
            read[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{path} is not UTF-8 (byte {error.start})", field="folder") from None
    return read


def _write_folder(folder: Path, files: dict[str, str]) -> None:
    root = folder.resolve()
    for name, text in files.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(root):  # a server one should not trust with one's files
            raise InvalidInputError(f"{name!r} would lie outside {folder}", field="--to")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _show_changes(changes: list[Change]) -> None:
    if not changes:
        say("no change in meaning", "dim")
    for change in changes:
        sign, style = _SIGNS[change.kind]
        note = " (recorded events are counted again)" if change.recount else ""
        say(f"  {sign} {change.sentence}{note}", style)
