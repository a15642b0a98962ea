"""``valorem alerts`` and ``valorem budget``: what was crossed, rules of one's own, amounts not to pass."""

from typing import Annotated, get_args

import typer

from valorem.cli.output import Json, cell, say, show_json, table
from valorem.cli.parameters import Customer, Limit, pairs
from valorem.cli.session import client_of
from valorem.core.alerts.kinds import AlertKind

app = typer.Typer(no_args_is_help=True, help="What was crossed, and rules beside those of plans.")
budgets = typer.Typer(no_args_is_help=True, help="Amounts that use should not pass.")


@app.command(name="list")
def list_(
    context: typer.Context, customer: Customer = None, limit: Limit = 50, as_json: Json = False
) -> None:
    """List what was crossed, newest first."""
    page = client_of(context).list_crossings(customer=customer, limit=limit)
    if as_json:
        show_json(page)
        return
    table(
        ("when", "customer", "alert", "threshold", "level", "of", "back"),
        [
            (c.crossed_at, c.customer, c.alert, c.threshold, c.level, c.whole, c.recovered_at)
            for c in page.items
        ],
        right=("threshold", "level", "of"),
    )


@app.command()
def add(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help=", ".join(get_args(AlertKind)) + ".")],
    at: Annotated[list[str] | None, typer.Option(help="80% or an amount; may be repeated.")] = None,
    on: Annotated[
        str | None, typer.Option(help="The meter, the feature of limit, or the credit type.")
    ] = None,
    before: Annotated[
        list[str] | None, typer.Option(help="For what ends or runs out: 7 days; may be repeated.")
    ] = None,
    customer: Customer = None,
    again: Annotated[bool, typer.Option("--again", help="Tell again after a recovery.")] = False,
    as_json: Json = False,
) -> None:
    """Be told of one thing more."""
    made = client_of(context).add_alert_rule(
        kind,
        at or [],
        customer=customer,
        on=on,
        before=before or [],
        re_arm="recovery" if again else "window",
    )
    if as_json:
        show_json(made)
    else:
        say(f"{made.id}: {made.kind} {made.on or ''} at {', '.join(made.at or made.before)}", "bold")


@app.command()
def rules(context: typer.Context, customer: Customer = None, as_json: Json = False) -> None:
    """List the rules of one customer, or those for all."""
    page = client_of(context).list_alert_rules(customer=customer)
    if as_json:
        show_json(page)
        return
    table(
        ("id", "customer", "kind", "on", "at", "again"),
        [(r.id, r.customer, r.kind, r.on, r.at or r.before, r.re_arm) for r in page.items],
    )


@app.command()
def remove(context: typer.Context, rule: str, customer: Customer = None) -> None:
    """Remove a rule."""
    client_of(context).remove_alert_rule(rule, customer=customer)
    say(f"{rule} is removed")


@budgets.command(name="set")
def set_(
    context: typer.Context,
    customer: str,
    amount: str,
    window: Annotated[str | None, typer.Option(help="day, week, month or billing period.")] = None,
    hard: Annotated[bool, typer.Option("--hard", help="Stop further use once it is reached.")] = False,
    meter: Annotated[str | None, typer.Option(help="Only what this meter's use costs.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Only dimension=value; may be repeated.")] = None,
    at: Annotated[list[str] | None, typer.Option(help="When to tell; 80% and 100% where left out.")] = None,
    as_json: Json = False,
) -> None:
    """Set a budget."""
    made = client_of(context).create_budget(
        customer,
        amount,
        window=window,
        kind="hard" if hard else "notify",
        meter=meter,
        where=pairs(where, "--where"),
        at=at or None,
    )
    if as_json:
        show_json(made)
    else:
        say(f"{made.id}: {cell(made.amount)} a {made.window}, {made.kind}", "bold")


@budgets.command()
def show(context: typer.Context, customer: str, as_json: Json = False) -> None:
    """Show a customer's budgets and what is spent of each."""
    page = client_of(context).list_budgets(customer)
    if as_json:
        show_json(page)
        return
    table(
        ("id", "amount", "spent", "left", "window", "until", "kind", "meter", "by"),
        [
            (b.id, b.amount, b.spent, b.left, b.window, b.window_end, b.kind, b.meter, b.set_by)
            for b in page.items
        ],
        right=("amount", "spent", "left"),
    )


@budgets.command(name="remove")
def remove_budget(context: typer.Context, customer: str, budget: str) -> None:
    """Remove a budget."""
    client_of(context).remove_budget(customer, budget)
    say(f"{budget} is removed")
