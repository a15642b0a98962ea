"""``valorem check``: may a customer do something now; and what single customers are conceded."""

import json
from decimal import Decimal
from typing import Annotated, Any

import typer

from valorem.cli.output import Json, cell, money, say, show_json, table
from valorem.cli.parameters import an_instant, pairs
from valorem.cli.session import client_of
from valorem.client.limit_values import CheckResult
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal

concessions = typer.Typer(no_args_is_help=True, help="What single customers get beside their plan.")


def check(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's key, or one of its subjects.")],
    feature: Annotated[list[str], typer.Argument(help="One feature or several.")],
    quantity: Annotated[
        str | None, typer.Option(help="How much is about to be used; 1 where left out.")
    ] = None,
    dimension: Annotated[
        list[str] | None, typer.Option(help="name=value, such as user=ann; may be repeated.")
    ] = None,
    consume: Annotated[
        str | None, typer.Option(help="The event that is the use, as JSON; recorded if it is allowed.")
    ] = None,
    hold: Annotated[
        str | None, typer.Option(help="Reserve the quantity under this id; with --consume, the hold to end.")
    ] = None,
    lasts: Annotated[int | None, typer.Option(help="For how many seconds; 600 where left out.")] = None,
    credit: Annotated[str | None, typer.Option(help="Reserve credits of this type too.")] = None,
    amount: Annotated[str | None, typer.Option(help="How many of them.")] = None,
    as_json: Json = False,
) -> None:
    """May this customer use these features now, and how much is left? Exit code 1 where not."""
    found = client_of(context).check(
        customer,
        feature[0] if len(feature) == 1 else feature,
        consume=None if consume is None else _event(consume),
        hold=hold,
        lasts_s=lasts,
        credit=credit,
        amount=amount,
        quantity=None if quantity is None else parse_decimal(quantity, "--quantity"),
        dimensions=pairs(dimension, "--dimension"),
    )
    if as_json:
        show_json(found)
    else:
        table(
            ("feature", "allowed", "why", "used", "limit", "left", "window", "resets", "by"),
            [
                (
                    one.feature,
                    one.allowed,
                    one.reason.replace("_", " "),
                    one.used,
                    one.limit,
                    one.remaining,
                    one.window,
                    one.resets_at,
                    one.origin,
                )
                for one in found.results
            ],
            right=("used", "limit", "left"),
            title=f"{customer} · as of {cell(found.as_of)}"
            + (" · the server could not look" if found.stale else ""),
        )
        if found.consumed is not None:
            say(f"the use is {found.consumed}", "bold")
        if found.hold is not None:
            say(f"{found.hold.id}: {cell(found.hold.quantity)} held until {cell(found.hold.expires)}", "bold")
        if (credits_held := found.credit_hold) is not None:
            say(f"{credits_held.id}: {cell(credits_held.amount)} credits {credits_held.state}", "bold")
        for one in found.results:
            show_prompt(one)
    if not found.allowed:
        raise typer.Exit(1)


def _event(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise InvalidInputError(f"this is no JSON: {error}", field="--consume") from None
    if not isinstance(found, dict):
        raise InvalidInputError(
            "an event is an object", field="--consume", hint='{"id": …, "source": …, "type": …}'
        )
    return found


def show_prompt(result: CheckResult) -> None:
    """The way past a limit, where there is one."""
    if (prompt := result.prompt) is None:
        return
    price = ""
    if prompt.fees and prompt.currency:
        fees = " + ".join(f"{money(amount, prompt.currency)} {name}" for name, amount in prompt.fees.items())
        price = f" · {fees} every {(prompt.every or '').removeprefix('1 ')}"
    say(f"→ {prompt.text}{price}" + (f" · {prompt.link}" if prompt.link else ""), "bold")


@concessions.command()
def grant(
    context: typer.Context,
    customer: str,
    feature: str,
    raise_by: Annotated[str | None, typer.Option(help="So much more in every limit.")] = None,
    value: Annotated[str | None, typer.Option(help="true, false, or a value feature's value.")] = None,
    promotion: Annotated[bool, typer.Option("--promotion", help="Show it as a promotion.")] = False,
    until: Annotated[
        str | None, typer.Option(help="To this instant or day; for ever where left out.")
    ] = None,
    reason: Annotated[str, typer.Option(help="For people.")] = "",
    as_json: Json = False,
) -> None:
    """Give a customer more, or less, of a feature than its plan does."""
    made = client_of(context).grant_concession(
        customer,
        feature,
        origin="promotion" if promotion else "override",
        value={"true": True, "false": False}.get(value or "", value),
        raised_by=raise_by,
        until=an_instant(until, "--until"),
        reason=reason,
    )
    if as_json:
        show_json(made)
    else:
        say(f"{made.id}: {made.feature} by {made.origin} from {cell(made.since)}", "bold")


@concessions.command(name="list")
def list_(context: typer.Context, customer: str, as_json: Json = False) -> None:
    """List what a customer was conceded."""
    page = client_of(context).list_concessions(customer)
    if as_json:
        show_json(page)
        return
    table(
        ("id", "feature", "by", "value", "raised by", "from", "until", "reason"),
        [(c.id, c.feature, c.origin, c.value, c.raised_by, c.since, c.until, c.reason) for c in page.items],
    )


@concessions.command()
def end(context: typer.Context, customer: str, concession: str) -> None:
    """Let a concession end now."""
    client_of(context).end_concession(customer, concession)
    say(f"{concession} has ended")
