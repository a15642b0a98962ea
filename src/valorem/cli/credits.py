"""``valorem balance``, ``valorem credits`` and ``valorem ledger``: prepaid credits, and the books about them."""

import json
import sys
from typing import Annotated

import typer

from valorem.cli.output import Json, instant, more, say, show_json, table
from valorem.cli.parameters import After, Limit, a_date, an_instant
from valorem.cli.session import client_of

app = typer.Typer(no_args_is_help=True, help="Prepaid credits.")
ledger = typer.Typer(no_args_is_help=True, help="The books of prepaid credits.")
By = Annotated[str, typer.Option(help="meter, product, member or a dimension of the meters.")]
Start = Annotated[str | None, typer.Option(help="First instant, such as 2026-03-01.")]
End = Annotated[str | None, typer.Option(help="First instant not in it; now where left out.")]


def balance(
    context: typer.Context,
    customer: str,
    credit: Annotated[str | None, typer.Option(help="Only this credit type.")] = None,
    at: Annotated[str | None, typer.Option(help="As it stood then.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a customer has of prepaid credits."""
    found = client_of(context).credit_balance(customer, credit=credit, at=an_instant(at, "--at"))
    if as_json:
        show_json(found)
        return
    for each in found.items:
        say(f"{each.available} {each.name} available, {each.held} held, {each.overage} over", "bold")
        table(
            ("grant", "source", "holder", "of", "left", "held", "until"),
            [(g.grant, g.source, g.holder, g.amount, g.remaining, g.held, g.end) for g in each.grants],
            right=("of", "left", "held"),
        )
    if not found.items:
        say("no credits", "dim")


@app.command()
def grant(
    context: typer.Context,
    customer: str,
    credit: str,
    amount: str,
    lasts: Annotated[str | None, typer.Option(help="For how long, such as '12 months'.")] = None,
    start: Annotated[
        str | None, typer.Option(help="From when, on a quarter hour; now where left out.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Instead of --lasts: until when.")] = None,
    priority: Annotated[int | None, typer.Option(help="Lower is used first.")] = None,
    source: Annotated[
        str | None, typer.Option(help="included, purchased, promotional or adjustment.")
    ] = None,
    holder: Annotated[str | None, typer.Option(help="The member whose allowance it is.")] = None,
    cost: Annotated[str | None, typer.Option(help="What was paid for it elsewhere.")] = None,
    identifier: Annotated[
        str | None, typer.Option("--id", help="Your own; the same id is the same grant.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give credits; what a customer pays for is `valorem credits buy`."""
    given = client_of(context).give_credits(
        customer,
        credit,
        amount,
        lasts=lasts,
        start=an_instant(start, "--start"),
        expires=an_instant(expires, "--expires"),
        priority=priority,
        source=source,
        holder=holder,
        cost=cost,
        id=identifier,
    )
    if as_json:
        show_json(given)
        return
    say(f"{given.grant.id} · {given.grant.amount} given · {given.available} available", "bold")


@app.command()
def grants(
    context: typer.Context,
    customer: str,
    credit: str,
    after: After = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List recorded grants."""
    page = client_of(context).list_grants(customer, credit, after=after, limit=limit)
    if as_json:
        show_json(page)
        return
    table(
        ("grant", "amount", "source", "holder", "start", "end"),
        [(g.id, g.amount, g.source, g.holder, g.start, g.end) for g in page.items],
        right=("amount",),
    )
    more(page.next)


@app.command()
def void(context: typer.Context, customer: str, credit: str, grant: str, as_json: Json = False) -> None:
    """Take back what is unused of a grant."""
    done = client_of(context).void_grant(customer, credit, grant)
    if as_json:
        show_json(done)
        return
    say(f"{done.grant.id} ended · {done.available} available", "bold")


@app.command()
def expiry(
    context: typer.Context,
    customer: str,
    credit: str,
    grant: str,
    expires: Annotated[str, typer.Argument(help="Until when, such as 2027-01-01; or never.")],
    as_json: Json = False,
) -> None:
    """Let a grant end at another time."""
    until = an_instant(expires, "EXPIRES") if expires != "never" else None
    done = client_of(context).change_grant_expiry(customer, credit, grant, expires=until or "never")
    if as_json:
        show_json(done)
        return
    ends = "never ends" if done.grant.end is None else f"ends {instant(done.grant.end)}"
    say(f"{done.grant.id} {ends} · {done.available} available", "bold")


@app.command()
def members(context: typer.Context, customer: str, as_json: Json = False) -> None:
    """List who has a seat with an allowance of their own."""
    found = client_of(context).list_credit_members(customer)
    if as_json:
        show_json(found)
        return
    table(("member", "since", "until"), [(one.member, one.since, one.until) for one in found.items])


@app.command()
def member(
    context: typer.Context,
    customer: str,
    name: Annotated[str, typer.Argument(help="As usage names them.")],
    since: Annotated[str | None, typer.Option(help="From when; this quarter hour where left out.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when; to end a seat.")] = None,
    as_json: Json = False,
) -> None:
    """Give somebody a seat with an allowance of their own, or say when it ends."""
    done = client_of(context).set_credit_member(
        customer, name, since=an_instant(since, "--since"), until=an_instant(until, "--until")
    )
    if as_json:
        show_json(done)
        return
    until = f" to {instant(done.until)}" if done.until else ""
    say(f"{done.member} has a seat from {instant(done.since)}{until}", "bold")


@app.command()
def statement(
    context: typer.Context,
    customer: str,
    credit: str,
    start: Start = None,
    end: End = None,
    by: By = "meter",
    as_json: Json = False,
) -> None:
    """Show what there was, what came, what it was used for and what is left."""
    found = client_of(context).credit_statement(
        customer, credit, start=an_instant(start, "--start"), end=an_instant(end, "--end"), by=by
    )
    if as_json:
        show_json(found)
        return
    table(
        ("at", "", "change", "balance"),
        [(line.at, line.text, line.change, line.balance) for line in found.lines],
        right=("change", "balance"),
    )
    if found.uncovered:
        say(f"{found.uncovered} more were used than there were", "bold")


@app.command()
def burn(
    context: typer.Context,
    customer: str,
    credit: str,
    start: Start = None,
    end: End = None,
    by: By = "meter",
    as_json: Json = False,
) -> None:
    """Show what used credits up."""
    found = client_of(context).credit_burn(
        customer, credit, start=an_instant(start, "--start"), end=an_instant(end, "--end"), by=by
    )
    if as_json:
        show_json(found)
        return
    table((by, "credits"), [(row.value or "other", row.amount) for row in found.rows], right=("credits",))


@app.command()
def forecast(context: typer.Context, customer: str, credit: str, as_json: Json = False) -> None:
    """Say when credits run out if usage goes on as in the last seven days."""
    found = client_of(context).credit_forecast(customer, credit)
    if as_json:
        show_json(found)
        return
    if found.runs_out_at is None:
        say(f"{found.per_day} a day: they do not run out; {found.lost} expire unused")
    else:
        say(f"{found.per_day} a day: {found.days_left} days left, {found.lost} expire unused")


@ledger.command()
def verify(
    context: typer.Context,
    customer: Annotated[str | None, typer.Option(help="Only this customer's accounts.")] = None,
    credit: Annotated[str | None, typer.Option(help="Only this credit type.")] = None,
    as_json: Json = False,
) -> None:
    """Check the books: the chain, the sums, and both against a replay of everything recorded."""
    found = client_of(context).verify_ledger(customer=customer, credit=credit)
    if as_json:
        show_json(found)
    else:
        table(
            ("customer", "credit", "entries", "problems"),
            [(c.customer, c.credit, c.entries, "; ".join(c.problems) or "none") for c in found.items],
            right=("entries",),
        )
    if any(check.problems for check in found.items):
        raise typer.Exit(1)


@ledger.command()
def revenue(
    context: typer.Context,
    start: Annotated[str, typer.Argument(help="First day, such as 2026-03-01.")],
    end: Annotated[str, typer.Argument(help="Last day.")],
    customer: Annotated[str | None, typer.Option(help="Only this customer's.")] = None,
    credit: Annotated[str | None, typer.Option(help="Only this credit type.")] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of the days, such as Europe/Berlin.")] = None,
    as_json: Json = False,
) -> None:
    """Show prepaid revenue by day: drawn at cost basis, breakage, credits that cost nothing apart."""
    found = client_of(context).revenue_by_day(
        a_date(start, "START"), a_date(end, "END"), customer=customer, credit=credit, zone=zone
    )
    if as_json:
        show_json(found)
        return
    numbers = ("sold", "revenue", "breakage", "refunded", "free", "lapsed", "on_demand")
    table(
        ("day", "credit", "currency", *(name.replace("_", " ") for name in numbers)),
        [
            (row.day, row.credit, row.currency or "none", *(getattr(row, name) for name in numbers))
            for row in found.items
        ],
        right=tuple(name.replace("_", " ") for name in numbers),
    )


@ledger.command()
def export(context: typer.Context, customer: str, credit: str) -> None:
    """Write an account's entries as JSON lines."""
    client, after = client_of(context), 0
    while found := client.ledger_entries(customer, credit, after=after).items:
        for each in found:
            line = {"number": each.number, "digest": each.digest, **each.entry}
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        after = found[-1].number
