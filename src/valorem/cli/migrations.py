"""``valorem catalog migrate``: move chosen contracts to a newer catalog version, and take it back in time."""

from typing import Annotated

import typer

from valorem.cli.output import Json, number, say, show_json, table
from valorem.cli.parameters import an_instant
from valorem.cli.session import client_of
from valorem.client.contract_values import CatalogMigration

_WORDS = {"now", "period_end", "renewal"}


def migrate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Names the migration; the same again moves nothing twice.")],
    version: Annotated[int | None, typer.Option(help="The version to move to; else the newest.")] = None,
    plan: Annotated[str | None, typer.Option(help="Only contracts on this plan.")] = None,
    customer: Annotated[list[str] | None, typer.Option(help="Only this customer; may be repeated.")] = None,
    to_plan: Annotated[str | None, typer.Option(help="Another plan of that version.")] = None,
    when: Annotated[str, typer.Option(help="now, period-end, renewal, or an instant.")] = "period-end",
    reason: Annotated[str, typer.Option(help="For the history of each contract.")] = "",
    preview: Annotated[
        bool, typer.Option("--preview", help="Show who pays more, who less; write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Move contracts to another catalog version; what it costs is told by their last whole period."""
    word = when.replace("-", "_")
    done = client_of(context).migrate_contracts(
        name,
        version=version,
        when=word if word in _WORDS else (an_instant(when, "--when") or word),
        plan=plan,
        customers=customer or (),
        to_plan=to_plan,
        reason=reason,
        preview=preview,
    )
    _show(done, as_json=as_json, word="would move" if preview else "moved")


def undo_migration(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The migration's name.")],
    as_json: Json = False,
) -> None:
    """Take a migration back for every contract on which it has not taken effect."""
    _show(client_of(context).undo_migration(name), as_json=as_json, word="taken back")


def _show(done: CatalogMigration, *, as_json: bool, word: str) -> None:
    if as_json:
        show_json(done)
        return
    say(f"{len(done.moved)} contracts {word} (version {done.version})", "bold")
    if done.effects:
        table(
            ("customer", "contract", "before", "after", "difference"),
            [
                (
                    each.customer,
                    each.contract,
                    number(each.before),
                    number(each.after),
                    number(each.difference),
                )
                for each in done.effects
            ],
            right=("before", "after", "difference"),
        )
        say(f"together {number(done.difference)} a period", "bold")
    for each in done.stayed:
        say(f"{each.customer} stays ({each.contract}): {each.why}", "yellow")
