"""The command line, put together.

Exit codes: 0 done, 1 refused or not all as it should be, 2 the command was written wrongly, 3 no server answered,
130 interrupted.
"""

import sys
from typing import Annotated

import typer

from valorem import __version__
from valorem.cli import (
    alerts,
    catalog,
    clock,
    contracts,
    credit_sales,
    customers,
    events,
    invoices,
    keys,
    outcomes,
    portal,
    report,
    sources,
    webhooks,
    workspaces,
)
from valorem.cli import credits as prepaid
from valorem.cli.check import check, concessions
from valorem.cli.demo.command import demo
from valorem.cli.output import fail, say
from valorem.cli.serving import Machine, add_commands
from valorem.cli.session import NoKeyError, Session
from valorem.cli.usage import usage
from valorem.client import ApiError, ConnectionFailedError
from valorem.core.catalog.problems import CatalogError
from valorem.core.errors import ValoremError

REFUSED, NO_SERVER, INTERRUPTED = 1, 3, 130


def command_line(machine: Machine) -> typer.Typer:
    """Every command.

    Args:
        machine: Does what cannot be done over HTTP.
    """
    app = typer.Typer(
        name="valorem",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Usage in, correct invoices out.",
    )

    @app.callback()
    def options(
        context: typer.Context,
        url: Annotated[
            str | None,
            typer.Option(envvar="VALOREM_URL", help="The server; else the one of the data folder."),
        ] = None,
        key: Annotated[
            str | None,
            typer.Option(
                envvar="VALOREM_API_KEY",
                help="The API key; else the one in the data folder.",
                show_envvar=True,
            ),
        ] = None,
        _version: Annotated[
            bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
        ] = False,
    ) -> None:
        context.obj = Session(url or None, key or None)

    add_commands(app, machine)
    app.add_typer(catalog.app, name="catalog")
    app.add_typer(customers.app, name="customer")
    app.add_typer(contracts.app, name="contract")
    app.add_typer(events.app, name="events")
    app.command()(usage)
    app.command()(check)
    app.add_typer(concessions, name="concession")
    app.add_typer(alerts.budgets, name="budget")
    app.add_typer(alerts.app, name="alerts")
    app.add_typer(webhooks.app, name="webhooks")
    app.add_typer(report.app, name="report")
    app.command()(prepaid.balance)
    app.add_typer(credit_sales.app, name="credits")
    app.add_typer(prepaid.ledger, name="ledger")
    app.command()(demo)
    app.add_typer(invoices.app, name="invoice")
    app.add_typer(outcomes.app, name="outcomes")
    app.add_typer(sources.app, name="sources")
    app.add_typer(portal.app, name="portal")
    app.add_typer(clock.app, name="clock")
    app.add_typer(keys.app, name="keys")
    app.add_typer(workspaces.app, name="workspace")
    return app


def run(machine: Machine, arguments: list[str] | None = None) -> int:
    """Run one command; whatever goes wrong is said in words, never as a traceback.

    Returns:
        The exit code.
    """
    try:
        command_line(machine)(arguments)
    except SystemExit as done:  # how typer ends: also after it has said what was written wrongly
        return done.code if isinstance(done.code, int) else 0
    except KeyboardInterrupt:
        fail("interrupted")
        return INTERRUPTED
    except ApiError as error:
        problems = [
            f"{p.file}:{p.line}:{p.column} {p.path}: {p.message}\n    → {p.hint}" for p in error.problems
        ]
        where = f"{error.field}: " if error.field and not problems else ""
        fail(f"{where}{error.detail}", hint=None if problems else _way_out(error), details=problems)
        return REFUSED
    except ConnectionFailedError as error:
        fail(str(error), hint="is the server running? start one with: valorem up")
        return NO_SERVER
    except CatalogError as error:
        fail(error.message, details=error.report().splitlines())
        return REFUSED
    except ValoremError as error:
        where = f"{error.field}: " if error.field else ""
        fail(f"{where}{error.message}", hint=error.hint)
        return REFUSED
    except NoKeyError as error:
        fail(str(error))
        return REFUSED
    except OSError as error:
        fail(str(error))
        return REFUSED
    return 0


def _way_out(error: ApiError) -> str | None:
    if error.status == 401:
        return "set VALOREM_API_KEY to a key that is not revoked or expired"
    if error.status >= 500 and error.request_id and not error.hint:
        return f"look for request {error.request_id} in the server's log"
    return error.hint


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"valorem {__version__}")
        sys.stdout.flush()
        raise typer.Exit
