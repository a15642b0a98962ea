"""``valorem contract change``: the term, the least and greatest an invoice comes to, spend thresholds."""

from typing import Annotated, Any

import typer

from valorem.cli.contract_changes import At, Contract, Preview, Reason, do
from valorem.cli.contract_changes import app as changes
from valorem.cli.output import Json

__all__ = ("bounds", "changes", "term", "thresholds")


@changes.command()
def term(
    context: typer.Context,
    contract: Contract,
    length: Annotated[
        str, typer.Argument(help="How long it is agreed for at a time, such as '1 year'; or none.")
    ],
    at: At = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Say how long it is agreed for at a time, counted from its start; each end of a term begins another one."""
    change = {"kind": "term", "term": None if length == "none" else length}
    do(context, contract, change, at, reason, as_json=as_json)


@changes.command()
def bounds(
    context: typer.Context,
    contract: Contract,
    minimum: Annotated[str | None, typer.Option(help="What a period's invoice comes to at least.")] = None,
    maximum: Annotated[str | None, typer.Option(help="What it comes to at most.")] = None,
    at: At = None,
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Agree a minimum and a maximum in the place of the plan's; what is left out is the plan's again."""
    change: dict[str, Any] = {
        "kind": "bounds",
        "minimum": None if minimum is None else {"amount": minimum},
        "maximum": None if maximum is None else {"amount": maximum},
    }
    do(context, contract, change, at, reason, preview=preview, as_json=as_json)


@changes.command()
def thresholds(
    context: typer.Context,
    contract: Contract,
    fixed: Annotated[
        list[str] | None, typer.Option(help="Spend at which usage is billed; may be repeated, rising.")
    ] = None,
    recurring: Annotated[str | None, typer.Option(help="And again after every so much more.")] = None,
    over: Annotated[str, typer.Option(help="period, or lifetime: where spend is counted from.")] = "period",
    at: At = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Bill usage before its period ends whenever spend passes an amount; without any, as the plan says."""
    said = {"fixed": fixed or [], "recurring": recurring, "over": over} if fixed or recurring else None
    do(context, contract, {"kind": "thresholds", "thresholds": said}, at, reason, as_json=as_json)
