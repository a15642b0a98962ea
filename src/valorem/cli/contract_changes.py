"""``valorem contract change``: every way a contract changes, each with ``--preview``; its history; what is parked."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from valorem.cli.output import Json, cell, money, say, show_json, table
from valorem.cli.parameters import an_instant, pairs
from valorem.cli.session import client_of
from valorem.client.contract_values import ContractChange
from valorem.client.values import InvoiceDocument
from valorem.core.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="Change a contract; each with --preview.")
_WORDS = {"now", "period_end", "renewal"}

Contract = Annotated[str, typer.Argument(help="The contract's id.")]
Identifier = Annotated[str, typer.Argument(help="Its id, chosen by you; one of the same id is replaced.")]
At = Annotated[
    str | None,
    typer.Option(
        "--at", help="now, period-end, renewal, or an instant on the quarter-hour grid, past or future."
    ),
]
Reason = Annotated[str, typer.Option(help="For whoever reads the history.")]
Preview = Annotated[bool, typer.Option("--preview", help="Show the money before and after; write nothing.")]
AtOnce = Annotated[
    bool, typer.Option("--invoice-at-once", help="With an invoice of its own, not the next one.")
]
Name = Annotated[str | None, typer.Option(help="How its line on the invoice is called.")]


@app.command(name="plan")
def change_plan(
    context: typer.Context,
    contract: Contract,
    plan: Annotated[str, typer.Argument(help="The plan's key.")],
    catalog_version: Annotated[
        int | None, typer.Option(help="Of this version; else the contract's own.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="Another billing interval, such as '1 year'.")] = None,
    at: At = None,
    reason: Reason = "",
    invoice_at_once: AtOnce = False,
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Put it on another plan: up, down, or sideways. Without --at the plan's policy says when."""
    change = {"kind": "plan", "plan": plan, "catalog_version": catalog_version, "every": every}
    do(context, contract, change, at, reason, at_once=invoice_at_once, preview=preview, as_json=as_json)


@app.command()
def upgrade(
    context: typer.Context,
    customer: Annotated[str, typer.Argument(help="The customer's key; its running contract changes.")],
    plan: Annotated[str, typer.Argument(help="The plan it goes to.")],
    seats: Annotated[list[str] | None, typer.Option(help="key=quantity; may be repeated.")] = None,
    at_once: Annotated[bool, typer.Option("--at-once", help="Invoice what it costs at once.")] = False,
    reason: Reason = "upgrade",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Let a customer go on with another plan now; what was used stays used."""
    done = client_of(context).upgrade(
        customer,
        plan,
        seats=pairs(seats, "--seats"),
        reason=reason,
        invoiced="at_once" if at_once else "next",
        preview=preview,
    )
    if as_json:
        show_json(done)
    else:
        _show(done)


@app.command(name="seats")
def change_seats(
    context: typer.Context,
    contract: Contract,
    key: Annotated[str, typer.Argument(help="Which seats or add-on, as the plan names them.")],
    quantity: Annotated[str, typer.Argument(help="How many from then on.")],
    at: At = None,
    reason: Reason = "",
    invoice_at_once: AtOnce = False,
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Say how many seats, or of an add-on, there are."""
    change = {"kind": "seats", "key": key, "quantity": quantity}
    do(context, contract, change, at, reason, at_once=invoice_at_once, preview=preview, as_json=as_json)


@app.command()
def override(
    context: typer.Context,
    contract: Contract,
    identifier: Identifier,
    meter: Annotated[str | None, typer.Option(help="The meter whose price it changes.")] = None,
    fee: Annotated[str | None, typer.Option(help="The fee it changes.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="dimension=value; only the rate of these.")] = None,
    amount: Annotated[str | None, typer.Option(help="An amount in the place of the plan's.")] = None,
    multiplier: Annotated[str | None, typer.Option(help="A factor on the plan's amounts.")] = None,
    included: Annotated[str | None, typer.Option(help="What is free in each period.")] = None,
    end: Annotated[str | None, typer.Option(help="Until when.")] = None,
    at: At = None,
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Agree a number that takes the place of the plan's, or multiplies it."""
    only = dict(each.split("=", 1) for each in where or [])
    said: dict[str, Any] = {"id": identifier, "meter": meter, "fee": fee, "where": only, "amount": amount}
    said |= {"multiplier": multiplier, "included": included, "end": an_instant(end, "--end")}
    do(
        context,
        contract,
        {"kind": "override", "override": said},
        at,
        reason,
        preview=preview,
        as_json=as_json,
    )


@app.command()
def discount(
    context: typer.Context,
    contract: Contract,
    identifier: Identifier,
    percent: Annotated[str | None, typer.Option(help="Such as 10%.")] = None,
    amount: Annotated[str | None, typer.Option(help="Off the sum of what it is for.")] = None,
    usage: Annotated[str | None, typer.Option(help="Free units of --meter in each period.")] = None,
    meter: Annotated[str | None, typer.Option(help="For --usage.")] = None,
    lasts: Annotated[str, typer.Option(help="once, forever, or a number of periods.")] = "forever",
    only: Annotated[list[str] | None, typer.Option(help="A fee, meter or charge it is for.")] = None,
    name: Name = None,
    at: At = None,
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Give a discount, or redeem a coupon."""
    said: dict[str, Any] = {
        "id": identifier,
        "percent": percent,
        "amount": amount,
        "usage": usage,
        "meter": meter,
        "name": name,
    }
    said |= {"lasts": int(lasts) if lasts.isdecimal() else lasts, "only": only}
    do(
        context,
        contract,
        {"kind": "discount", "discount": said},
        at,
        reason,
        preview=preview,
        as_json=as_json,
    )


@app.command()
def charge(
    context: typer.Context,
    contract: Contract,
    identifier: Identifier,
    amount: Annotated[str, typer.Argument(help="For one.")],
    on: Annotated[str, typer.Option(help="It stands on the first invoice issued at or after this instant.")],
    name: Name = None,
    quantity: Annotated[str, typer.Option(help="How many.")] = "1",
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Charge an amount on a date: set-up, support, an instalment."""
    said: dict[str, Any] = {
        "id": identifier,
        "name": name or identifier,
        "amount": amount,
        "quantity": quantity,
    }
    said["at"] = an_instant(on, "--on")
    do(context, contract, {"kind": "charge", "charge": said}, None, reason, preview=preview, as_json=as_json)


@app.command()
def commitment(
    context: typer.Context,
    contract: Contract,
    file: Annotated[
        Path, typer.Argument(help="JSON with `commitment` and, where it has any, `instalments`.")
    ],
    at: At = None,
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Agree a commitment: what may be used when, and when it is invoiced."""
    do(context, contract, _read(file) | {"kind": "commitment"}, at, reason, preview=preview, as_json=as_json)


@app.command()
def remove(
    context: typer.Context,
    contract: Contract,
    what: Annotated[str, typer.Argument(help="override, discount, charge or commitment.")],
    identifier: Identifier,
    at: At = None,
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Let an override, discount, charge or commitment no longer count."""
    change = {"kind": "remove", "what": what, "id": identifier}
    do(context, contract, change, at, reason, preview=preview, as_json=as_json)


@app.command()
def pause(
    context: typer.Context,
    contract: Contract,
    at: At = None,
    reason: Reason = "",
    invoice_at_once: AtOnce = False,
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Let its fees stand still."""
    change = {"kind": "pause"}
    do(context, contract, change, at, reason, at_once=invoice_at_once, preview=preview, as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    contract: Contract,
    at: At = None,
    reason: Reason = "",
    invoice_at_once: AtOnce = False,
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Let its fees run again."""
    change = {"kind": "resume"}
    do(context, contract, change, at, reason, at_once=invoice_at_once, preview=preview, as_json=as_json)


@app.command()
def cancel(
    context: typer.Context,
    contract: Contract,
    at: At = None,
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Let it end: at the period's end where --at is left out."""
    do(context, contract, {"kind": "cancel"}, at, reason, preview=preview, as_json=as_json)


@app.command()
def renew(
    context: typer.Context,
    contract: Contract,
    end: Annotated[str | None, typer.Option(help="First instant not billed; else open-ended.")] = None,
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Let it run on; this also takes back a cancellation."""
    change = {"kind": "renew", "end": an_instant(end, "--end")}
    do(context, contract, change, None, reason, preview=preview, as_json=as_json)


@app.command()
def start(
    context: typer.Context,
    contract: Contract,
    at: Annotated[str, typer.Argument(help="The instant it starts at instead.")],
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Let it start at another instant; only while nothing of it is final."""
    do(context, contract, {"kind": "start"}, at, reason, preview=preview, as_json=as_json)


@app.command(name="purchase-order")
def purchase_order(
    context: typer.Context,
    contract: Contract,
    number: Annotated[str, typer.Argument(help="Printed on invoices.")],
    at: At = None,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Set the number printed on invoices."""
    do(context, contract, {"kind": "purchase_order", "number": number}, at, reason, as_json=as_json)


@app.command()
def withdraw(
    context: typer.Context,
    contract: Contract,
    edit: Annotated[str, typer.Argument(help="The edit's id; see contract history.")],
    reason: Reason = "",
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Take back an edit that has not taken effect."""
    change = {"kind": "withdraw", "edit": edit}
    do(context, contract, change, "now", reason, preview=preview, as_json=as_json)


@app.command()
def release(context: typer.Context, contract: Contract, reason: Reason = "", as_json: Json = False) -> None:
    """Say that you have looked at a parked contract: it is invoiced again."""
    do(context, contract, {"kind": "release"}, "now", reason, as_json=as_json)


@app.command()
def edit(
    context: typer.Context,
    contract: Contract,
    file: Annotated[Path, typer.Argument(help="JSON with a list of changes, each with its kind.")],
    at: At = None,
    reason: Reason = "",
    invoice_at_once: AtOnce = False,
    preview: Preview = False,
    as_json: Json = False,
) -> None:
    """Make several changes as one edit: all of them hold, or none."""
    found = _read(file)
    changes = found["changes"] if isinstance(found, dict) else found
    do(context, contract, changes, at, reason, at_once=invoice_at_once, preview=preview, as_json=as_json)


def history(
    context: typer.Context,
    contract: Contract,
    as_of: Annotated[str | None, typer.Option(help="Only what was known by then.")] = None,
    as_json: Json = False,
) -> None:
    """Show every edit of a contract, and how it stood on a date."""
    found = client_of(context).contract_history(contract, as_of=an_instant(as_of, "--as-of"))
    if as_json:
        show_json(found)
        return
    stood = found.contract
    say(f"{stood.id} · {stood.customer} from {cell(stood.start)} to {cell(stood.end)}", "bold")
    rows = [
        (
            each.recorded,
            each.effective,
            ", ".join(_told(change) for change in each.changes) + (" (withdrawn)" if each.withdrawn else ""),
            each.author,
            each.reason,
            each.id,
        )
        for each in found.edits
    ]
    table(("recorded", "effective", "what", "by", "why", "edit"), rows)
    if found.parked:
        say(f"parked since {cell(found.parked.since)}: {found.parked.reason}", "yellow")


def parked(context: typer.Context, as_json: Json = False) -> None:
    """List the contracts of which nothing is invoiced until somebody has looked."""
    page = client_of(context).list_parked_contracts()
    if as_json:
        show_json(page)
        return
    table(("contract", "since", "why"), [(each.contract, each.since, each.reason) for each in page.items])


def do(
    context: typer.Context,
    contract: str,
    changes: Any,
    at: str | None,
    reason: str,
    *,
    at_once: bool = False,
    preview: bool = False,
    as_json: bool,
) -> None:
    """Make one edit of some changes, or see what it comes to, and show it."""
    wanted = [changes] if isinstance(changes, Mapping) else list(changes)
    done = client_of(context).change_contract(
        contract,
        [_said(each) for each in wanted],
        effective=_when(at),
        reason=reason,
        invoiced="at_once" if at_once else "next",
        preview=preview,
    )
    if as_json:
        show_json(done)
        return
    _show(done)


def _show(done: ContractChange) -> None:
    told = ", ".join(_told(each) for each in done.edit.changes)
    say(f"{done.contract.id}: {told}, effective {cell(done.edit.effective)}", "bold")
    if done.parked is not None:
        say(f"parked: {done.parked.reason}; {done.parked.release}", "yellow")
    if done.difference is None:
        say(f"recorded as edit {done.edit.id}")
        return
    for title, invoices in (("without it", done.before or []), ("with it", done.after or [])):
        say(f"\n{title}:", "bold")
        table(("issued", "kind", "line", "amount"), _lines(invoices), right=("amount",))
    say(f"\ndifference {money(done.difference, done.contract.currency)}; nothing was written", "bold")


def _lines(invoices: list[InvoiceDocument]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for each in invoices:
        rows += [
            (each.issued_at, each.kind, line.description, money(line.amount, each.currency))
            for line in each.lines
        ]
        rows.append((each.issued_at, each.kind, "total", money(each.total, each.currency)))
    return rows


def _told(change: Mapping[str, Any]) -> str:
    rest = [value for name, value in change.items() if name != "kind"]
    inner = [each["id"] if isinstance(each, Mapping) else each for each in rest]
    return " ".join(str(each) for each in (change["kind"], *inner) if isinstance(each, str | int))


def _said(change: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was left out."""
    return {
        name: _said(value) if isinstance(value, Mapping) else value
        for name, value in change.items()
        if value is not None
    }


def _when(at: str | None) -> str | datetime | None:
    word = (at or "").replace("-", "_")
    return word if word in _WORDS else an_instant(at, "--at")


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(), parse_float=str)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{file}: {error}", field="file", hint="give a file with JSON") from None
