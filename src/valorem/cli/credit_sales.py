"""``valorem credits buy``, ``purchases``, ``order``, ``top-up``: credits that customers pay for."""

from datetime import datetime
from typing import Annotated

import typer

from valorem.cli.credits import app
from valorem.cli.output import Json, more, say, show_json, table
from valorem.cli.parameters import After, Limit, an_instant
from valorem.cli.session import client_of
from valorem.core.errors import InvalidInputError

__all__ = ["app"]

top_ups = typer.Typer(no_args_is_help=True, help="Credits bought by a rule.")
Preview = Annotated[bool, typer.Option("--preview", help="Only show what it comes to; nothing is written.")]


app.add_typer(top_ups, name="top-up")


@app.command()
def buy(
    context: typer.Context,
    customer: str,
    credit: str,
    amount: Annotated[str | None, typer.Argument(help="Credits, at their price; or give --pack.")] = None,
    pack: Annotated[str | None, typer.Option(help="A pack of the catalog.")] = None,
    quantity: Annotated[str | None, typer.Option(help="How many packs.")] = None,
    lasts: Annotated[str | None, typer.Option(help="For how long, such as '12 months'.")] = None,
    holder: Annotated[str | None, typer.Option(help="The member whose allowance it becomes.")] = None,
    on_payment: Annotated[
        bool | None,
        typer.Option(
            "--on-payment/--at-once", help="When the credits are given; as the credit type says else."
        ),
    ] = None,
    identifier: Annotated[
        str | None, typer.Option("--id", help="Your own; the same id is the same purchase.")
    ] = None,
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Sell credits: write the invoice, and give the credits at once or when it is paid."""
    found = client_of(context).buy_credits(
        customer,
        credit,
        pack=pack,
        amount=amount,
        quantity=quantity,
        lasts=lasts,
        holder=holder,
        on_payment=on_payment,
        id=identifier,
        preview=preview,
    )
    if as_json:
        show_json(found)
        return
    given = f"{found.credits} given" if found.granted_at else f"{found.credits} given when it is paid"
    invoice = "no invoice" if found.invoice_number is None else f"invoice {found.invoice_number}"
    if preview:
        invoice = "nothing is written"
    total = found.amount if found.total is None else found.total
    say(f"{found.quantity} × {found.description} · {total} {found.currency} · {invoice} · {given}", "bold")


@app.command()
def purchases(
    context: typer.Context,
    customer: str,
    after: After = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List what a customer bought, top-ups too."""
    page = client_of(context).list_purchases(customer, after=after, limit=limit)
    if as_json:
        show_json(page)
        return
    table(
        ("purchase", "credits", "amount", "", "invoice", "state", "given"),
        [
            (p.id, p.credits, p.amount, p.currency, p.invoice_number, p.state, p.granted_at)
            for p in page.items
        ],
        right=("credits", "amount"),
    )
    for p in page.items:
        if p.waits:
            say(f"{p.id} waits for its taxes: {p.waits}", "bold")
    more(page.next)


@app.command()
def order(
    context: typer.Context,
    contract: str,
    credit: str,
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Your own key of the order.")],
    price: Annotated[str, typer.Option(help="What all of it costs.")],
    stretch: Annotated[
        list[str], typer.Option(help="AMOUNT@START..END, such as 120000@2026-01-01..2027-01-01; repeat it.")
    ],
    invoiced: Annotated[list[str], typer.Option(help="When an instalment is invoiced; repeat it.")],
    name: Annotated[str | None, typer.Option(help="How the instalments are called.")] = None,
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Take an order of credits, paid in instalments and usable in stretches of their own."""
    found = client_of(context).order_credits(
        contract,
        credit,
        identifier,
        name or identifier,
        stretches=[_stretch(text) for text in stretch],
        price=price,
        invoiced_at=[_instant(text, "--invoiced") for text in invoiced],
        preview=preview,
    )
    if as_json:
        show_json(found)
        return
    table(
        ("grant", "credits", "cost", "from", "to"),
        [(g.id, g.amount, g.cost, g.start, g.end) for g in found.grants],
        right=("credits", "cost"),
    )
    table(
        ("instalment", "amount", "", "at"),
        [(one.name, one.amount, found.currency, one.at) for one in found.instalments],
        right=("amount",),
    )
    if preview:
        say("nothing is written", "dim")


@top_ups.command("set")
def set_rule(
    context: typer.Context,
    customer: str,
    credit: str,
    threshold: Annotated[str, typer.Argument(help="A balance of this or less is topped up.")],
    to: Annotated[str | None, typer.Option(help="Buy up to this balance.")] = None,
    amount: Annotated[str | None, typer.Option(help="Instead: buy so many.")] = None,
    pack: Annotated[str | None, typer.Option(help="Instead: buy a pack of the catalog.")] = None,
    lasts: Annotated[str | None, typer.Option(help="How long what is bought can be used.")] = None,
    most_per_day: Annotated[int | None, typer.Option(help="Purchases on one day.")] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of those days.")] = None,
    key: Annotated[str | None, typer.Option(help="Names the rule; auto where left out.")] = None,
    as_json: Json = False,
) -> None:
    """Buy credits whenever the balance falls to a threshold: once for each crossing."""
    found = client_of(context).set_top_up(
        customer,
        credit,
        threshold=threshold,
        target=to,
        amount=amount,
        pack=pack,
        lasts=lasts,
        most_per_day=most_per_day,
        zone=zone,
        key=key,
    )
    if as_json:
        show_json(found)
        return
    what = f"pack {found.pack}" if found.pack else f"up to {found.target}" if found.target else found.amount
    say(f"{found.key}: at {found.threshold} or less buy {what}, at most {found.most_per_day} a day", "bold")


@top_ups.command("list")
def list_rules(context: typer.Context, customer: str, credit: str, as_json: Json = False) -> None:
    """List the rules of an account."""
    found = client_of(context).list_top_ups(customer, credit)
    if as_json:
        show_json(found)
        return
    table(
        ("rule", "at or below", "up to", "amount", "pack", "a day", "bought"),
        [(r.key, r.threshold, r.target, r.amount, r.pack, r.most_per_day, r.crossings) for r in found.items],
        right=("at or below", "up to", "amount", "a day", "bought"),
    )


@top_ups.command("remove")
def remove_rule(
    context: typer.Context, customer: str, credit: str, key: str = "auto", as_json: Json = False
) -> None:
    """Buy nothing more by a rule; what it bought stays."""
    found = client_of(context).remove_top_up(key, customer, credit)
    if as_json:
        show_json(found)
        return
    say(f"{found.key} is removed", "bold")


def _stretch(text: str) -> dict[str, object]:
    amount, _, span = text.partition("@")
    start, dots, end = span.partition("..")
    if not amount or not start:
        raise InvalidInputError(
            f"{text!r} is no stretch", field="--stretch", hint="write 120000@2026-01-01..2027-01-01"
        )
    found: dict[str, object] = {"amount": amount, "start": _instant(start, "--stretch")}
    if dots and end:
        found["end"] = _instant(end, "--stretch")
    return found


def _instant(text: str, option: str) -> datetime:
    found = an_instant(text, option)
    assert found is not None  # only no text gives none
    return found
