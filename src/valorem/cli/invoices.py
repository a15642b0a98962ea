"""``valorem invoice``: see the next one, list, read, explain and prove."""

from decimal import Decimal
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from valorem.cli.output import Json, cell, days, err, instant, money, more, number, say, show_json, table
from valorem.cli.parameters import After, Customer, Limit, an_instant
from valorem.cli.session import client_of
from valorem.cli.settlement import register
from valorem.client import Client
from valorem.client.values import Contract, Explanation, Invoice, InvoiceDocument, Preview
from valorem.core.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="What is owed, and why.")
register(app)


@app.command(name="list")
def list_(
    context: typer.Context,
    customer: Customer = None,
    contract: Annotated[str | None, typer.Option(help="Only this contract.")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="draft, finalised, partially_paid, paid, overdue, uncollectible, void, or issued."),
    ] = None,
    after: After = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List invoices in the order they were issued."""
    page = client_of(context).list_invoices(
        customer=customer, contract=contract, status=status, after=after, limit=limit
    )
    if as_json:
        show_json(page)
        return
    table(
        ("invoice", "customer", "status", "period", "total"),
        [
            (
                i.number or i.id,
                i.customer,
                i.status,
                days(i.period_start, i.period_end),
                money(i.total, i.currency),
            )
            for i in page.items
        ],
        right=("total",),
    )
    more(page.next)


@app.command()
def preview(
    context: typer.Context,
    contract: Annotated[str | None, typer.Argument(help="The contract's id.")] = None,
    customer: Annotated[str | None, typer.Option(help="Instead: all contracts of this customer.")] = None,
    at: Annotated[str | None, typer.Option(help="Look at this instant; now where left out.")] = None,
    as_json: Json = False,
) -> None:
    """The next invoice: so far, and projected to the period's end."""
    client = client_of(context)
    wanted = _contracts(client, contract, customer)
    previews = [client.preview_invoice(one.id, at=an_instant(at, "--at")) for one in wanted]
    if as_json:
        show_json(previews[0] if contract else previews)
        return
    for found in previews:
        _show_preview(found)


@app.command()
def show(
    context: typer.Context,
    invoice: Annotated[str, typer.Argument(help="Its id or number.")],
    as_json: Json = False,
) -> None:
    """Show an invoice with its lines."""
    found = client_of(context).get_invoice(invoice)
    if as_json:
        show_json(found)
        return
    of = found.document.plan or {"one_off": "written by hand"}.get(found.kind, found.kind)
    say(
        f"{found.number or 'draft'} · {found.customer} · {of} · issued {instant(found.issued_at)}",
        "bold",
    )
    _show_lines(found.document)
    if found.settlement is not None:
        for tax in found.settlement.taxes:
            share = number(tax.share * 100)
            say(
                f"{tax.name} {share} % of {money(tax.base, found.currency)}: {money(tax.amount, found.currency)}"
            )
    total = found.document.total if found.total is None else found.total
    say(f"total {money(total, found.currency)} · {found.status}", "bold")
    if found.owed:
        held = f", {money(found.held, found.currency)} of it held back by a dispute" if found.held else ""
        say(f"owed {money(found.owed, found.currency)}{held}, due {found.due_on}")
    if found.waits:
        say(f"it waits: {found.waits}", "yellow")
    if found.digest:
        say(f"sha256 {found.digest}", "dim")


@app.command()
def close(context: typer.Context, as_json: Json = False) -> None:
    """Close what is due now; the worker does the same by itself. Safe to repeat."""
    client = client_of(context)
    with Progress(
        SpinnerColumn(), TextColumn("closing"), TimeElapsedColumn(), console=err, transient=True
    ) as bar:
        bar.add_task("closing")
        report = client.close_invoices()
    if as_json:
        show_json(report)
        return
    say(
        f"{report.drafted:,} drafted · {report.finalised:,} finalised · {report.empty:,} without anything to bill"
    )
    if report.progressive:
        say(f"{report.progressive:,} billed because a spend threshold was passed")
    if report.waiting:
        say(
            f"{report.waiting:,} wait for meters that are being recounted; run this again in a moment",
            "yellow",
        )


@app.command()
def explain(
    context: typer.Context,
    invoice: Annotated[str | None, typer.Argument(help="Its id or number.")] = None,
    line: Annotated[int | None, typer.Argument(help="The line's number, counted from 1.")] = None,
    customer: Annotated[str | None, typer.Option(help="With --last: this customer's newest invoice.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The newest invoice.")] = False,
    meter: Annotated[
        str | None, typer.Option(help="Instead of a line's number: every line of this meter.")
    ] = None,
    after: After = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """Explain lines: amount, steps, and the very events behind them. Without a line: all of them."""
    client = client_of(context)
    found = _chosen(client, invoice, customer, last=last)
    numbers = [
        number
        for number, one in enumerate(found.document.lines, 1)
        if (line is None or number == line) and (meter is None or one.key == meter)
    ]
    if not numbers:
        raise InvalidInputError(
            "there is no such line",
            field="line",
            hint=f"the invoice has {len(found.document.lines)}: "
            + ", ".join(f"{place} {one.key}" for place, one in enumerate(found.document.lines, 1)),
        )
    explanations = [client.explain_line(found.id, place, after=after, limit=limit) for place in numbers]
    if as_json:
        show_json(explanations[0] if line is not None else explanations)
        return
    say(
        f"{found.number or 'draft'} · {found.customer} · {money(found.document.total, found.currency)}",
        "bold",
    )
    for place, one in zip(numbers, explanations, strict=True):
        _show_explanation(place, one)


@app.command()
def verify(
    context: typer.Context,
    invoices: Annotated[list[str], typer.Argument(help="Ids or numbers.")],
    as_json: Json = False,
) -> None:
    """Compute finalised invoices again from the recorded events and compare the bytes. Exits with 1 if any differs."""
    client = client_of(context)
    proofs = [(invoice, client.verify_invoice(invoice)) for invoice in invoices]
    if as_json:
        show_json([{"invoice": invoice, "same": p.same, "digest": p.digest} for invoice, p in proofs])
    else:
        table(
            ("invoice", "same bytes", "sha256"),
            [(invoice, proof.same, proof.digest) for invoice, proof in proofs],
        )
    if not all(proof.same for _, proof in proofs):
        raise typer.Exit(1)


def _contracts(client: Client, contract: str | None, customer: str | None) -> list[Contract]:
    if (contract is None) == (customer is None):
        raise InvalidInputError("say whose", hint="give a contract's id, or --customer KEY")
    if contract is not None:
        return [client.get_contract(contract)]
    found = client.list_contracts(customer=customer, limit=200).items
    if not found:
        raise InvalidInputError(
            f"{customer} has no contract", field="--customer", hint=f"valorem contract create {customer} PLAN"
        )
    return found


def _chosen(client: Client, invoice: str | None, customer: str | None, *, last: bool) -> Invoice:
    if (invoice is None) != last:
        raise InvalidInputError(
            "say which invoice", hint="give its id or number, or --last with --customer KEY"
        )
    if invoice is not None:
        return client.get_invoice(invoice)
    newest = client.list_invoices(customer=customer, newest_first=True, limit=1).items
    if not newest:
        raise InvalidInputError(
            f"{customer or 'this workspace'} has no invoice yet", hint="see valorem invoice preview"
        )
    return client.get_invoice(newest[0].id)


def _show_preview(found: Preview) -> None:
    document = found.so_far
    say(
        f"{document.customer} · {document.plan} · {cell(found.period.start)} to {cell(found.period.end)}",
        "bold",
    )
    _show_lines(document)
    share = (
        Decimal(found.elapsed_quarter_hours) / found.total_quarter_hours
        if found.total_quarter_hours
        else None
    )
    elapsed = "" if share is None else f", {share:.0%} of the period is over"
    say(f"so far    {money(document.total, document.currency)}{elapsed}", "bold")
    bounds = ""
    if found.low is not None and found.high is not None and found.low != found.high:
        bounds = (
            f" (between {money(found.low, document.currency)} and {money(found.high, document.currency)})"
        )
    say(f"projected {money(found.projected.total, document.currency)}{bounds}", "bold")
    if found.threshold is not None:
        amount, spent = found.threshold.amount, found.threshold.spent
        say(
            f"usage is billed at {money(amount, document.currency)} of spend;"
            f" {money(spent, document.currency)} so far"
        )


def _show_lines(document: InvoiceDocument) -> None:
    table(
        ("line", "description", "period", "quantity", "amount"),
        [
            (
                place,
                one.description,
                days(one.period.start, one.period.end),
                None if one.quantity is None else number(one.quantity),
                money(one.amount, document.currency),
            )
            for place, one in enumerate(document.lines, 1)
        ],
        right=("line", "quantity", "amount"),
    )
    for one in document.unpriced:
        say(
            f"not priced: {number(one.quantity)} of {one.meter} {cell(one.dimensions)} ({one.events} events)",
            "yellow",
        )


def _show_explanation(place: int, found: Explanation) -> None:
    say(f"\nline {place}", "bold")
    for text in found.text:
        say(text)
    if found.events:
        table(
            ("time", "source", "id", "data"),
            [(e.time, e.source, e.id, cell({n: str(v) for n, v in e.data.items()})) for e in found.events],
        )
        more(found.next)
    if found.corrected:
        say("corrected events")
        table(
            ("time", "id", "state", "as sent", "counts", "by", "reason", "on this invoice"),
            [
                (
                    e.time,
                    e.id,
                    e.state,
                    e.value_sent,
                    e.value_counted,
                    e.by.id,
                    e.reason or "",
                    "yes" if e.settled else "no, on a later one",
                )
                for e in found.corrected
            ],
        )
