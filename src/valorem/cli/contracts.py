"""``valorem contract``: put a customer on a plan, date its seats."""

from typing import Annotated

import typer

from valorem.cli import contract_changes, contract_terms
from valorem.cli.output import Json, cell, more, say, show_json, table
from valorem.cli.parameters import After, Customer, Limit, an_instant, pairs, quantities
from valorem.cli.session import client_of
from valorem.client.values import Contract
from valorem.core.numbers import parse_decimal

app = typer.Typer(no_args_is_help=True, help="A customer's terms on a plan.")
app.add_typer(contract_terms.changes, name="change")
app.command()(contract_changes.history)
app.command()(contract_changes.parked)
_INSTANT = "Such as 2026-03-01T00:00:00Z; on the quarter-hour grid."


@app.command()
def create(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's key.")],
    plan: Annotated[str, typer.Argument(help="The plan's key.")],
    start: Annotated[
        str | None, typer.Option(help=f"First instant billed; now where left out. {_INSTANT}")
    ] = None,
    end: Annotated[str | None, typer.Option(help=f"First instant not billed. {_INSTANT}")] = None,
    term: Annotated[
        str | None, typer.Option(help="How long it is agreed for at a time, such as '1 year'.")
    ] = None,
    renewal: Annotated[
        str, typer.Option(help="At the end of the term: automatic begins another one, none ends it.")
    ] = "automatic",
    every: Annotated[
        str | None, typer.Option(help="Billing interval, such as '1 month'; else the plan's.")
    ] = None,
    anchor: Annotated[
        str | None, typer.Option(help="start, calendar, or an instant periods count from.")
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of its periods; else the customer's.")] = None,
    seats: Annotated[
        list[str] | None, typer.Option(help="key=number from the start on; may be repeated.")
    ] = None,
    catalog_version: Annotated[int | None, typer.Option(help="Version to pin; else the newest.")] = None,
    policy: Annotated[list[str] | None, typer.Option(help="name=value that differs from the plan's.")] = None,
    purchase_order: Annotated[str | None, typer.Option(help="Printed on invoices.")] = None,
    as_json: Json = False,
) -> None:
    """Put a customer on a plan; the contract pins the catalog version it starts on."""
    counted_from = anchor if anchor in {None, "start", "calendar"} else an_instant(anchor, "--anchor")
    made = client_of(context).create_contract(
        customer,
        plan,
        start=an_instant(start, "--start"),
        end=an_instant(end, "--end"),
        term=term,
        renewal=renewal,
        every=every,
        anchor=counted_from,
        zone=zone,
        seats=quantities(seats, "--seats"),
        catalog_version=catalog_version,
        policies=pairs(policy, "--policy") or None,
        purchase_order=purchase_order,
    )
    _show(made, as_json=as_json)


@app.command()
def show(context: typer.Context, contract: str, as_json: Json = False) -> None:
    """Show a contract."""
    _show(client_of(context).get_contract(contract), as_json=as_json)


@app.command(name="list")
def list_(
    context: typer.Context,
    customer: Customer = None,
    after: After = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List contracts."""
    page = client_of(context).list_contracts(customer=customer, after=after, limit=limit)
    if as_json:
        show_json(page)
        return
    table(
        ("contract", "customer", "plan", "version", "start", "end", "every"),
        [(c.id, c.customer, c.plan, c.catalog_version, c.start, c.end, c.every) for c in page.items],
        right=("version",),
    )
    more(page.next)


@app.command()
def seats(
    context: typer.Context,
    contract: str,
    key: Annotated[str, typer.Argument(help="Which seats, as the plan's fees name them.")],
    quantity: Annotated[str, typer.Argument(help="How many from that instant on.")],
    since: Annotated[str | None, typer.Option(help=f"Now where left out. {_INSTANT}")] = None,
    as_json: Json = False,
) -> None:
    """Say how many seats there are from an instant on."""
    changed = client_of(context).set_seats(
        contract, key, parse_decimal(quantity, "quantity"), since=an_instant(since, "--since")
    )
    _show(changed, as_json=as_json)


def _show(contract: Contract, *, as_json: bool) -> None:
    if as_json:
        show_json(contract)
        return
    say(
        f"{contract.id} · {contract.customer} on {contract.plan} (catalog version {contract.catalog_version})",
        "bold",
    )
    say(f"from {cell(contract.start)} to {cell(contract.end)}, every {contract.every}, in {contract.zone}")
    if contract.term is not None:
        renews = (
            "and ends then" if contract.renews_at is None else f"and renews at {cell(contract.renews_at)}"
        )
        say(f"agreed for {contract.term} {renews}")
    for key, history in contract.seats.items():
        dated = ", ".join(f"{cell(one.quantity)} from {cell(one.since)}" for one in history)
        say(f"{key}: {dated}")
    for name, value in (contract.policies or {}).items():
        say(f"{name}: {value}")
