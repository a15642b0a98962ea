"""``valorem up``, ``migrate`` and ``doctor``: the commands that do not talk HTTP, because they make that possible."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from valorem.cli.output import Json, out, say, show_json
from valorem.config import Settings

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class Finding(Protocol):
    """One thing the doctor looked at."""

    @property
    def name(self) -> str:
        """What was looked at."""

    @property
    def verdict(self) -> str:
        """``ok``, ``warn`` or ``fail``."""

    @property
    def found(self) -> str:
        """What was seen."""

    @property
    def way_out(self) -> str:
        """What to do."""


class Machine(Protocol):
    """What the composition root can do on this machine."""

    def serve(self, settings: Settings, *, worker: bool, admin_key: bool, say: Callable[[str], None]) -> None:
        """Run the server until it is told to stop."""

    def migrate(self, settings: Settings, revision: str) -> tuple[str | None, str | None]:
        """Bring the schema to a revision (``head``, ``base`` or a name); the revisions before and after."""

    def examine(self, settings: Settings) -> Sequence[Finding]:
        """Look at everything the server depends on."""


def add_commands(app: typer.Typer, machine: Machine) -> None:
    """Add the commands of this module to the command line."""

    @app.command()
    def up(
        data: Annotated[Path | None, typer.Option(help="Data folder, instead of VALOREM_DATA.")] = None,
        host: Annotated[
            str | None, typer.Option(help="Address to listen on, instead of VALOREM_HOST.")
        ] = None,
        port: Annotated[
            int | None, typer.Option(min=0, max=65535, help="Port, instead of VALOREM_PORT.")
        ] = None,
        worker: Annotated[bool, typer.Option(help="Also do what falls due, in the same process.")] = True,
        admin_key: Annotated[
            bool, typer.Option("--admin-key", help="Issue another admin key of the live workspace at start.")
        ] = False,
    ) -> None:
        """Serve the API, the pages and the worker; start the embedded PostgreSQL unless VALOREM_DATABASE_URL is set."""
        machine.serve(_settings(data=data, host=host, port=port), worker=worker, admin_key=admin_key, say=say)

    @app.command()
    def migrate(
        revision: Annotated[str, typer.Argument(help="head, base, or a revision's name.")] = "head",
        data: Annotated[Path | None, typer.Option(help="Data folder, instead of VALOREM_DATA.")] = None,
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask before going back.")] = False,
    ) -> None:
        """Bring the database's schema to this version's, or back. The server must not be running on the same folder."""
        if revision != "head" and not yes:
            typer.confirm(
                "Going back may remove what newer versions recorded. Is there a backup?", abort=True
            )
        before, after = machine.migrate(_settings(data=data), revision)
        say(f"the schema was at {before or 'nothing'} and is at {after or 'nothing'}")

    @app.command()
    def doctor(
        data: Annotated[Path | None, typer.Option(help="Data folder, instead of VALOREM_DATA.")] = None,
        as_json: Json = False,
    ) -> None:
        """Look at versions, durability, disk, clock, migrations and backlog. Exits with 1 if anything fails."""
        findings = machine.examine(_settings(data=data))
        if as_json:
            show_json([_written(finding) for finding in findings])
        else:
            for finding in findings:
                out.print(
                    f"[{_STYLES[finding.verdict]}]{finding.verdict:>4}[/]  [bold]{finding.name}[/]", end="  "
                )
                say(finding.found)
                if finding.way_out:
                    say(f"      → {finding.way_out}")
        if any(finding.verdict == "fail" for finding in findings):
            raise typer.Exit(1)


def _settings(**given: Any) -> Settings:
    settings = Settings.from_environment()
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _written(finding: Finding) -> dict[str, str]:
    return {
        "name": finding.name,
        "verdict": finding.verdict,
        "found": finding.found,
        "way_out": finding.way_out,
    }
