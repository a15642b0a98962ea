"""The demonstration of an enterprise order: 500,000 over three years, changed on the way, reconciled to the cent."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from valorem.cli.demo.enterprise_arithmetic import (
    ACCESS,
    DOWNGRADED,
    EXPANDED_ON,
    INSTALMENTS,
    MONTHS,
    SEATS,
    Expected,
    credited,
    expected_invoices,
    tokens_used,
)
from valorem.cli.output import say, table
from valorem.client import Client
from valorem.client.contract_values import ContractChange
from valorem.client.values import InvoiceHeader

START = datetime(2026, 1, 1, tzinfo=UTC)
_END = datetime(2029, 1, 1, tzinfo=UTC)
_CUSTOMER = "nordwerk"
_EVENTS = 12
_CREDIT = Decimal(250)
_SELLER = {
    "seller": {
        "name": "Lumen Models GmbH",
        "address": {
            "lines": ["Prinzessinnenstraße 19"],
            "postcode": "10969",
            "city": "Berlin",
            "country": "DE",
        },
        "tax_id": "DE812345678",
        "registration": "HRB 204711 B, Amtsgericht Charlottenburg",
        "email": "billing@lumen.example",
        "phone": "+49 30 5557 0100",
        "contact": "Accounts Receivable",
        "website": "lumen.example",
    },
    "bank": {"holder": "Lumen Models GmbH", "iban": "DE02120300000000202051", "bic": "BYLADEM1001"},
    "terms": {"net_days": 30},
    "notes": ["Thank you for working with us. Please quote the invoice number with your payment."],
}
_BUYER = {
    "legal_name": "Nordwerk Maschinenbau AG",
    "address": {
        "lines": ["Leopoldstraße 250", "Finance"],
        "postcode": "80807",
        "city": "München",
        "country": "DE",
    },
    "tax_id": "DE298765432",
    "email": "invoices@nordwerk.example",
    "locale": "en",
}


def play_enterprise(client: Client, folder: Path) -> bool:
    """Play the three years; returns whether every invoice is what plain arithmetic says and proves itself.

    Args:
        client: Of the sandbox, with an admin's key; its clock stands at the order's start.
        folder: Where the documents are written.
    """
    files = dict(_files())
    client.apply_catalog(files, message="Scale and Basic", author="demo")
    client.set_billing_settings(_logo(_SELLER))
    client.create_customer(_CUSTOMER, "Nordwerk", "EUR", billing=_BUYER)
    contract = client.create_contract(
        _CUSTOMER,
        "scale",
        start=START,
        term="3 years",
        renewal="none",
        seats={"seat": SEATS[0]},
        purchase_order="PO-2026-0417",
    ).id
    client.change_contract(contract, [_order()], effective=START, reason="signed order 2026-17")
    say("order 2026-17: EUR 500,000, of which may be used " + _by_year(ACCESS), "bold")
    say("invoiced in four uneven instalments; fees and what goes beyond are billed by the month\n")
    holds = True
    for year, month in MONTHS:
        if (year, month) == (2027, 3):
            client.advance_clock(to=datetime(2027, 3, 9, tzinfo=UTC))
            holds = _credit(client, _invoices(client))
        _before_month_ends(client, contract, files, year, month)
        _use(client, year, month)
    client.advance_clock(to=_END + timedelta(hours=2))
    invoices = _invoices(client)
    holds = _compare(invoices, expected_invoices()) and holds
    proven = sum(client.verify_invoice(each.id).same for each in invoices)
    say(f"computed again from recorded events: the same bytes for {proven} of {len(invoices)} invoices")
    _history(client, contract)
    _write(client, invoices, folder)
    return holds and proven == len(invoices)


def _before_month_ends(client: Client, contract: str, files: dict[str, str], year: int, month: int) -> None:
    """What is agreed in some of the months."""
    if (year, month) == EXPANDED_ON[:2]:
        client.advance_clock(to=datetime(*EXPANDED_ON, tzinfo=UTC))
        changes: list[dict[str, Any]] = [
            {"kind": "seats", "key": "seat", "quantity": str(SEATS[1])},
            {"kind": "override", "override": {"id": "platform_2", "fee": "platform", "amount": "1310"}},
        ]
        _agree(client, contract, "mid-year expansion", changes, "now")
    if (year, month) == (DOWNGRADED[0], DOWNGRADED[1] - 1):
        client.advance_clock(to=datetime(year, month, 20, tzinfo=UTC))
        changes = [
            {"kind": "remove", "what": "override", "id": "platform_2"},
            {"kind": "plan", "plan": "basic"},
        ]
        _agree(client, contract, "downgrade", changes, "period_end")
    if (year, month) == (2027, 12):
        client.advance_clock(to=datetime(2027, 12, 15, tzinfo=UTC))
        cheaper = {name: text.replace("0.002", "0.0018") for name, text in files.items()}
        client.apply_catalog(cheaper, message="Cheaper tokens", author="demo")
        seen = client.migrate_contracts("cheaper_2028", when="period_end", preview=True)
        moved = client.migrate_contracts("cheaper_2028", when="period_end", reason="new price list")
        last = seen.effects[0]
        say(
            f"migration to catalog version {moved.version}: last month would have cost EUR {last.after:,.2f}"
            f" instead of {last.before:,.2f}"
        )


def _agree(
    client: Client, contract: str, what: str, changes: list[dict[str, Any]], effective: str
) -> ContractChange:
    seen = client.change_contract(contract, changes, effective=effective, preview=True)
    done = client.change_contract(contract, changes, effective=effective, reason=what)
    difference = Decimal(0) if seen.difference is None else seen.difference
    say(
        f"{what}, effective {done.edit.effective:%d %b %Y}: EUR {difference:+,.2f} on the invoices up to then,"
        " as the preview said before"
    )
    return done


def _use(client: Client, year: int, month: int) -> None:
    """The month's tokens, in a dozen events that arrive on its last evening."""
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    client.advance_clock(to=following - timedelta(hours=1))
    share, rest = divmod(tokens_used(year, month), _EVENTS)
    client.send_events(
        [
            {
                "id": f"{year}-{month}-{number}",
                "source": "demo/app",
                "type": "llm.call",
                "subject": _CUSTOMER,
                "time": datetime(year, month, 2 * number + 1, 9, tzinfo=UTC).isoformat(),
                "data": {"tokens": share + (rest if number == 0 else 0)},
            }
            for number in range(_EVENTS)
        ]
    )


def _order() -> dict[str, Any]:
    access = [
        {"amount": str(amount), "start": f"{year}-01-01T00:00:00Z", "end": f"{year + 1}-01-01T00:00:00Z"}
        for year, amount in ACCESS.items()
    ]
    instalments = [
        {
            "id": f"order_2026_17_{number}",
            "name": f"Order 2026-17, instalment {number} of {len(INSTALMENTS)}",
            "amount": str(amount),
            "at": f"{year}-{month:02d}-01T00:00:00Z",
            "commitment": "order_2026_17",
        }
        for number, ((year, month), amount) in enumerate(INSTALMENTS.items(), 1)
    ]
    commitment = {"id": "order_2026_17", "name": "Covered by order 2026-17", "access": access}
    return {"kind": "commitment", "commitment": commitment, "instalments": instalments}


def _invoices(client: Client) -> list[InvoiceHeader]:
    return client.list_invoices(customer=_CUSTOMER, status="issued", limit=200).items


def _compare(invoices: list[InvoiceHeader], expected: list[Expected]) -> bool:
    """Every invoice beside what it must come to."""
    same = len(invoices) == len(expected)
    rows = []
    for header, each in zip(invoices, expected, strict=False):
        same = same and header.total == each.total
        rows.append(
            (
                header.number,
                f"{header.issued_at:%d %b %Y}",
                f"{each.used:,.2f}",
                f"{each.drawn:,.2f}",
                f"{header.total:,.2f}",
                f"{each.total:,.2f}",
                "yes" if header.total == each.total else "NO",
            )
        )
    table(
        ("invoice", "issued", "usage", "of the order", "total EUR", "by arithmetic", "same"),
        rows,
        right=("usage", "of the order", "total EUR", "by arithmetic"),
        title="Three years of invoices, beside arithmetic that shares no code",
    )
    billed = sum((each.total or Decimal(0) for each in invoices), Decimal(0))
    computed = sum((each.total for each in expected), Decimal(0))
    say(f"billed EUR {billed:,.2f} = EUR {computed:,.2f}", "bold green" if same else "bold red")
    for year, amount in ACCESS.items():
        used = sum(
            (each.drawn for each, month in zip(expected[1:], MONTHS, strict=True) if month[0] == year),
            Decimal(0),
        )
        say(f"  {year}: {used:,.2f} of {amount:,} used, {amount - used:,.2f} lapsed")
    return same


def _credit(client: Client, invoices: list[InvoiceHeader]) -> bool:
    """An outage in February 2027: part of the platform fee comes back."""
    (invoice,) = [each for each in invoices if each.issued_at == datetime(2027, 3, 1, tzinfo=UTC)]
    lines = client.get_invoice(invoice.id).document.lines
    place = next(number for number, line in enumerate(lines, 1) if line.key == "platform")
    note = client.issue_credit_note(invoice.id, "Outage on 14 February 2027", lines={str(place): _CREDIT})
    owed = client.get_invoice(invoice.id).owed
    expected = credited(_CREDIT)
    say(
        f"credit note {note.number} on {invoice.number}: EUR {note.total:,.2f};"
        f" still owed on it EUR {owed:,.2f}"
    )
    return note.total == expected and owed == (invoice.total or Decimal(0)) - expected


def _history(client: Client, contract: str) -> None:
    found = client.contract_history(contract)
    table(
        ("recorded", "effective", "why", "by"),
        [(each.recorded, each.effective, each.reason, each.author) for each in found.edits],
        title="What was agreed, and when",
    )


def _write(client: Client, invoices: list[InvoiceHeader], folder: Path) -> None:
    """The documents a person would look at."""
    wanted = {
        datetime(2026, 1, 1, tzinfo=UTC): "order",
        datetime(2026, 8, 1, tzinfo=UTC): "expansion",
        datetime(2026, 12, 1, tzinfo=UTC): "beyond-the-order",
    }
    for header in invoices:
        if header.issued_at in wanted:
            file = folder / f"{wanted[header.issued_at]}-{header.number}.pdf"
            file.write_bytes(client.print_invoice(header.id))
            say(f"written {file}")
    for note in client.list_credit_notes(customer=_CUSTOMER).items:
        file = folder / f"credit-note-{note.number}.pdf"
        file.write_bytes(client.print_credit_note(note.id))
        say(f"written {file}")


def _by_year(amounts: Any) -> str:
    return ", ".join(f"{amount:,} in {year}" for year, amount in amounts.items())


def _logo(settings: dict[str, Any]) -> dict[str, Any]:
    logo = (resources.files("valorem.cli.demo") / "logo.svg").read_bytes()
    return {**settings, "logo": {"format": "svg", "data": b64encode(logo).decode()}}


def _files() -> Iterator[tuple[str, str]]:
    root = resources.files("valorem.cli.demo") / "enterprise"
    for folder in root.iterdir():
        for file in folder.iterdir():
            yield f"{folder.name}/{file.name}", file.read_text(encoding="utf-8")
