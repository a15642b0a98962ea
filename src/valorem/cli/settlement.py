"""``valorem invoice …`` after an invoice is final: pay, credit, void, write off, print; and those written by hand."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from valorem.cli.output import Json, money, more, say, show_json, table
from valorem.cli.parameters import After, Limit
from valorem.cli.session import client_of
from valorem.client.settlement_values import CreditNote, NoteDraft, Payment
from valorem.client.values import InvoiceHeader
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal

Invoice = Annotated[str, typer.Argument(help="Its id or number.")]
Reason = Annotated[str, typer.Option(help="Why.")]


def register(app: typer.Typer) -> None:
    """Add the commands to those of ``valorem invoice``."""
    for name, command in (
        ("write", write),
        ("pay", pay),
        ("charge", charge),
        ("payments", payments),
        ("resolve", resolve),
        ("credit", credit),
        ("void", void),
        ("reissue", reissue),
        ("write-off", write_off),
        ("balance", balance),
        ("pdf", pdf),
    ):
        app.command(name)(command)


def write(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's key.")],
    line: Annotated[
        list[str], typer.Option(help="DESCRIPTION=AMOUNT, or DESCRIPTION=QUANTITYxAMOUNT; repeatable.")
    ],
    tax_code: Annotated[str | None, typer.Option(help="Of every line.")] = None,
    purchase_order: Annotated[str | None, typer.Option(help="Printed.")] = None,
    as_json: Json = False,
) -> None:
    """Write an invoice by hand; it is taxed, numbered and final at once."""
    lines = [{**_line(each), **({"tax_code": tax_code} if tax_code else {})} for each in line]
    made = client_of(context).write_invoice(customer, lines, purchase_order=purchase_order)
    _show(made, as_json=as_json)


def pay(
    context: typer.Context,
    invoice: Invoice,
    amount: Annotated[str | None, typer.Option(help="All that is owed where left out.")] = None,
    reference: Annotated[str | None, typer.Option(help="Of the bank or the receipt; noted once.")] = None,
    bank_transfer: Annotated[bool, typer.Option("--bank-transfer", help="It came by bank transfer.")] = False,
    from_balance: Annotated[
        bool, typer.Option("--from-balance", help="The customer's balance pays.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Note that money has arrived; what is more than owed goes to the customer's balance."""
    client = client_of(context)
    if from_balance:
        _show(client.pay_from_balance(invoice), as_json=as_json)
        return
    _show_payment(
        client.pay_invoice(
            invoice,
            amount=_amount(amount, "--amount"),
            provider="bank_transfer" if bank_transfer else "manual",
            reference=reference,
        ),
        as_json=as_json,
    )


def charge(
    context: typer.Context,
    invoice: Invoice,
    provider: Annotated[str, typer.Option(help="Who takes the money.")] = "stripe",
    as_json: Json = False,
) -> None:
    """Let a payment provider take what is owed; money is taken once."""
    _show_payment(client_of(context).charge_invoice(invoice, provider), as_json=as_json)


def payments(
    context: typer.Context,
    invoice: Annotated[str | None, typer.Option(help="Of this invoice.")] = None,
    customer: Annotated[str | None, typer.Option(help="Of this customer.")] = None,
    parked: Annotated[
        bool, typer.Option("--parked", help="Those that wait for a person: paid, but not as asked.")
    ] = False,
    after: After = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List payments and refunds."""
    page = client_of(context).list_payments(
        invoice=invoice, customer=customer, parked=parked or None, after=after, limit=limit
    )
    if as_json:
        show_json(page)
        return
    table(
        ("payment", "invoice", "customer", "by", "amount", "state", "problem"),
        [
            (
                each.id,
                each.invoice,
                each.customer,
                each.provider,
                money(each.amount, each.currency),
                each.state,
                each.problem,
            )
            for each in page.items
        ],
        right=("amount",),
    )
    more(page.next)


def resolve(
    context: typer.Context,
    payment: Annotated[str, typer.Argument(help="The parked payment's id.")],
    reason: Reason,
    accept: Annotated[
        bool, typer.Option("--accept/--given-back", help="What arrived counts, or it was given back outside.")
    ],
    as_json: Json = False,
) -> None:
    """Say what was found about a payment that is parked because what was paid is not what was asked."""
    _show_payment(client_of(context).resolve_payment(payment, reason, accept=accept), as_json=as_json)


def credit(
    context: typer.Context,
    invoice: Invoice,
    reason: Reason,
    line: Annotated[
        list[str] | None,
        typer.Option(help="LINE=AMOUNT without tax, repeatable; all that is left where left out."),
    ] = None,
    refund: Annotated[str | None, typer.Option(help="How much goes back as money.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show the note and write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Issue a credit note: on all of an invoice, on some lines, or on part of them."""
    client = client_of(context)
    lines = {number: _amount(amount, "--line") for number, amount in map(_pair, line)} if line else None
    back = _amount(refund, "--refund")
    draw = client.preview_credit_note if preview else client.issue_credit_note
    _show_note(draw(invoice, reason, lines=lines, refund=back), as_json=as_json)  # type: ignore[arg-type]


def void(
    context: typer.Context,
    invoice: Invoice,
    reason: Reason,
    forgive: Annotated[
        bool, typer.Option("--forgive", help="Give up what it billed; else a new draft bills it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take an invoice back as if never issued; its number stays taken, and a new draft bills the same again."""
    done = client_of(context).void_invoice(invoice, reason, then="forgive" if forgive else "reissue")
    _show(done, as_json=as_json)
    if not as_json and done.kind != "one_off":
        say(
            "what it billed is given up; invoice reissue bills it after all"
            if forgive
            else "a new draft takes its place, final at the next closing"
        )


def reissue(context: typer.Context, invoice: Invoice, as_json: Json = False) -> None:
    """Make a new draft in place of a void invoice whose amount was given up, final at the next closing."""
    _show(client_of(context).reissue_invoice(invoice), as_json=as_json)


def write_off(context: typer.Context, invoice: Invoice, reason: Reason, as_json: Json = False) -> None:
    """Give up what is owed; should money come after all, it still counts."""
    _show(client_of(context).write_off_invoice(invoice, reason), as_json=as_json)


def balance(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's key.")],
    as_json: Json = False,
) -> None:
    """Show what is owed to a customer, and why."""
    found = client_of(context).get_balances(customer)
    if as_json:
        show_json(found)
        return
    for each in found.balances:
        say(f"{money(each.amount, each.currency)} is owed to {customer}", "bold")
        table(
            ("at", "what", "amount", "because of"),
            [(one.at, one.kind, money(one.amount, each.currency), one.reference) for one in each.entries],
            right=("amount",),
        )
    if not found.balances:
        say(f"nothing is owed to {customer}")


def pdf(
    context: typer.Context,
    invoice: Annotated[str, typer.Argument(help="Its id or number; a credit note's too.")],
    to: Annotated[Path | None, typer.Option(help="Where to write it; NUMBER.pdf where left out.")] = None,
    locale: Annotated[str | None, typer.Option(help="Such as de_DE; the customer's where left out.")] = None,
    facturx: Annotated[bool, typer.Option("--facturx", help="With the electronic invoice inside.")] = False,
) -> None:
    """Print a final invoice or a credit note."""
    client = client_of(context)
    if invoice.startswith(("CRN-", "crn_")):
        content = client.print_credit_note(invoice, locale=locale)
    else:
        content = (client.einvoice if facturx else client.print_invoice)(invoice, locale=locale)
    path = to or Path(f"{invoice}.pdf")
    path.write_bytes(content)
    say(f"{path} · {len(content):,} bytes")


def _line(text: str) -> dict[str, str]:
    example = "write it as Set-up=100, or as Hours=2x150"
    description, amount = _pair(text, example)
    quantity, times, unit = amount.partition("x")
    if times and not (quantity and unit):
        raise InvalidInputError(f"{amount!r} is no amount", field="--line", hint=example)
    return {
        "description": description,
        "quantity": str(_amount(quantity, "--line")) if times else "1",
        "unit_amount": str(_amount(unit if times else amount, "--line")),
    }


def _pair(text: str, example: str = "write it as 1=50: the line's number and an amount") -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals:
        raise InvalidInputError(f"{text!r} has no =", field="--line", hint=example)
    return name, value


def _amount(text: str | None, field: str) -> Decimal | None:
    return None if text is None else parse_decimal(text, field)


def _show(found: InvoiceHeader, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    owed = "" if found.owed is None else f" · owed {money(found.owed, found.currency)}"
    if found.held:
        owed += f", {money(found.held, found.currency)} of it held back by a dispute"
    say(
        f"{found.number or found.id} · {found.status} · total {money(found.total, found.currency)}{owed}",
        "bold",
    )


def _show_payment(found: Payment, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    say(f"{found.id} · {found.provider} · {found.state} · {money(found.amount, found.currency)}", "bold")


def _show_note(found: NoteDraft, *, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    number = found.number if isinstance(found, CreditNote) else "preview"
    say(f"{number} · on {found.invoice} · {money(found.total, found.currency)} with tax", "bold")
    say(
        f"lessens what is owed by {money(found.offset, found.currency)}"
        f" · goes back {money(found.refund, found.currency)}"
        f" · to the balance {money(found.to_balance, found.currency)}"
    )
