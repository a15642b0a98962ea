"""``valorem customer``: who is charged, and under which subjects its events come."""

from typing import Annotated

import typer

from valorem.cli.output import Json, more, say, show_json, table
from valorem.cli.parameters import After, Limit, an_instant, pairs
from valorem.cli.session import client_of
from valorem.client.values import Customer

app = typer.Typer(no_args_is_help=True, help="Who is charged.")
Metadata = Annotated[list[str] | None, typer.Option("--metadata", help="name=value; may be repeated.")]


@app.command()
def create(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Your own name for it; events with this subject are its own.")],
    name: Annotated[str, typer.Option(help="For people.")],
    currency: Annotated[str, typer.Option(help="Of its invoices, such as USD.")],
    zone: Annotated[str | None, typer.Option(help="Time zone of its periods; UTC where left out.")] = None,
    alias: Annotated[
        list[str] | None, typer.Option(help="Another subject of its events; may be repeated.")
    ] = None,
    consolidated: Annotated[
        bool, typer.Option("--consolidated", help="One invoice for all its contracts that are due on a day.")
    ] = False,
    metadata: Metadata = None,
    as_json: Json = False,
) -> None:
    """Make a customer. Events already recorded under its key or an alias are its own."""
    made = client_of(context).create_customer(
        key,
        name,
        currency,
        zone=zone,
        aliases=alias or [],
        metadata=pairs(metadata, "--metadata"),
        consolidated=consolidated,
    )
    _show(made, as_json=as_json)


@app.command()
def show(context: typer.Context, key: str, as_json: Json = False) -> None:
    """Show a customer."""
    _show(client_of(context).get_customer(key), as_json=as_json)


@app.command(name="list")
def list_(context: typer.Context, after: After = None, limit: Limit = 50, as_json: Json = False) -> None:
    """List customers in order of key."""
    page = client_of(context).list_customers(after=after, limit=limit)
    if as_json:
        show_json(page)
        return
    table(
        ("customer", "name", "currency", "zone", "subjects"),
        [(c.key, c.name, c.currency, c.zone, c.subjects) for c in page.items],
    )
    more(page.next)


@app.command()
def update(
    context: typer.Context,
    key: str,
    name: Annotated[str | None, typer.Option(help="For people.")] = None,
    consolidated: Annotated[
        bool | None,
        typer.Option(
            "--consolidated/--apart",
            help="One invoice for all its contracts that are due on a day, or each its own.",
        ),
    ] = None,
    metadata: Metadata = None,
    as_json: Json = False,
) -> None:
    """Change a customer's name, metadata or how it is invoiced; what is left out stays."""
    changed = client_of(context).update_customer(
        key,
        name=name,
        metadata=pairs(metadata, "--metadata") if metadata else None,
        consolidated=consolidated,
    )
    _show(changed, as_json=as_json)


@app.command()
def alias(context: typer.Context, key: str, subject: str, as_json: Json = False) -> None:
    """Attach a subject: its events, past and future, are the customer's."""
    _show(client_of(context).add_alias(key, subject), as_json=as_json)


@app.command()
def reminders(
    context: typer.Context,
    key: str,
    pause: Annotated[bool, typer.Option("--pause/--resume", help="Send none for now, or go on.")],
    as_json: Json = False,
) -> None:
    """Pause the reminders of what a customer owes, or go on with them."""
    client = client_of(context)
    details = {name: value for name, value in client.get_customer(key).billing.items() if value is not None}
    details.pop("reminders", None)
    changed = client.update_customer(key, billing=details | ({"reminders": "paused"} if pause else {}))
    if as_json:
        show_json(changed)
        return
    say(f"{key}: reminders {'are paused' if pause else 'go on'}")


@app.command()
def account(
    context: typer.Context,
    key: str,
    parent: Annotated[str | None, typer.Option(help="Put it under this customer.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Put it under nobody.")] = False,
    payer: Annotated[str, typer.Option(help="self, or parent: who is billed for its usage.")] = "self",
    tiers: Annotated[
        str, typer.Option(help="Billed to the parent: pooled with its usage, or apart.")
    ] = "pooled",
    commitments: Annotated[
        str | None,
        typer.Option(
            help="Whether the parent's commitments cover it too: shared, or own. Without it shared where the parent pays."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="From when, on the quarter-hour grid; else from always.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show who stands above and under a customer, or with --parent or --alone change it."""
    client = client_of(context)
    if parent is None and not alone:
        found = client.get_account(key)
    else:
        found = client.set_account(
            key,
            parent=parent,
            payer=payer,
            tiers=tiers,
            commitments=commitments,
            since=an_instant(since, "--since"),
        )
    if as_json:
        show_json(found)
        return
    above = f"under {found.parent}" if found.parent else "under nobody"
    say(f"{found.customer} · {above} · usage billed to {found.billed_to}", "bold")
    if found.parent:
        say(f"tiers {found.tiers} · commitments {found.commitments}")
    if found.children:
        table(
            ("under it", "paid by", "tiers", "commitments"),
            [(each.customer, each.payer, each.tiers, each.commitments) for each in found.children],
        )
    if len(found.history) > 1:
        table(
            ("since", "parent", "paid by", "tiers", "commitments"),
            [(each.since, each.parent, each.payer, each.tiers, each.commitments) for each in found.history],
        )


def _show(customer: Customer, *, as_json: bool) -> None:
    if as_json:
        show_json(customer)
        return
    say(f"{customer.key} · {customer.name} · {customer.currency} · {customer.zone}", "bold")
    say(f"subjects: {', '.join(customer.subjects)}")
    for name, value in customer.metadata.items():
        say(f"{name}: {value}")
