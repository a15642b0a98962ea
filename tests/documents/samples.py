"""Documents with everything on them, for the tests of this room."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import Taxable, tax_lines
from valorem.documents.document import (
    Address,
    BankAccount,
    DocumentLine,
    InvoiceDocument,
    Logo,
    Party,
    UsageSeries,
)

D = Decimal
VAT = TaxRate("vat", "VAT", D("0.19"))
REDUCED = TaxRate("vat", "VAT", D("0.07"))
LOGO = Logo(
    b'<svg xmlns="http://www.w3.org/2000/svg" width="220" height="56" viewBox="0 0 220 56">'
    b'<circle cx="28" cy="28" r="24" fill="#1f4e79"/><path d="M17 30 L26 40 L42 17" stroke="#fff" '
    b'stroke-width="6" fill="none" stroke-linecap="round" stroke-linejoin="round"/>'
    b'<rect x="66" y="16" width="140" height="9" rx="4.5" fill="#1f4e79"/>'
    b'<rect x="66" y="32" width="92" height="9" rx="4.5" fill="#8fb0cc"/></svg>',
    "svg",
)
SELLER = Party(
    "Nordlicht Software GmbH",
    Address(("Speicherstadt 12",), "20457", "Hamburg", "DE"),
    tax_id="DE811907980",
    registration="HRB 123456 Hamburg",
    email="billing@nordlicht.example",
    phone="+49 40 1234567",
    contact="Accounts receivable",
    website="nordlicht.example",
)
BUYER = Party(
    "Müller & Söhne Maschinenbau AG",
    Address(("Werkstraße 7", "Gebäude C"), "70469", "Stuttgart", "DE"),
    tax_id="DE143593636",
    contact="Einkauf, Frau Größl",
)
BANK = BankAccount("Nordlicht Software GmbH", "DE89370400440532013000", "COBADEFFXXX", "Commerzbank")
START, END = date(2026, 1, 1), date(2026, 1, 31)


def line(
    group: Any, text: str, quantity: Any, unit: str | None, price: Any, amount: str, rate: TaxRate = VAT
):
    return DocumentLine(
        group,
        text,
        None if quantity is None else D(quantity),
        unit,
        None if price is None else D(price),
        D(amount),
        (rate,),
        START,
        END,
    )


LINES = (
    line("fees", "Team plan", 1, None, "400", "400.00"),
    line("fees", "Seats", 12, "seat", "30", "360.00"),
    line("usage", "Tokens, gpt-5.4, input", "184250000", "token", "0.0000025", "460.63"),
    line("usage", "Tokens, gpt-5.4, output", "21375000", "token", "0.000015", "320.63"),
    line("usage", "Storage, tier 1 (up to 100)", 100, "GB", "0", "0.00"),
    line("usage", "Storage, tier 2 (up to 1000)", "512.25", "GB", "0.10", "51.23"),
    line("adjustments", "Tokens, December (adjustment)", "-150000", "token", None, "-2.25"),
    line("other", "Printed handbook", 2, None, "24.50", "49.00", REDUCED),
)


def wave(scale: int, count: int = 31) -> tuple[tuple[date, Decimal], ...]:
    """A month that rises towards its middle and rests at weekends."""
    days = [START + timedelta(days=at) for at in range(count)]
    return tuple(
        (day, D(scale * (40 + min(at, count - at) * 7 - (45 if day.weekday() > 4 else 0))))
        for at, day in enumerate(days)
    )


USAGE = (UsageSeries("Tokens", "token", wave(71000)), UsageSeries("Storage", "GB", wave(6), adds_up=False))


def document(**changes: Any) -> InvoiceDocument:
    """An invoice with sums that follow from its lines."""
    lines = changes.get("lines", LINES)
    currency = changes.get("currency", "EUR")
    taxed = tax_lines(
        [Taxable(str(at), each.amount, each.rates) for at, each in enumerate(lines)], currency=currency
    )
    fields: dict[str, Any] = {
        "kind": "invoice",
        "number": "INV-2026-000042",
        "issued_on": date(2026, 2, 1),
        "due_on": date(2026, 3, 3),
        "currency": currency,
        "seller": SELLER,
        "buyer": BUYER,
        "lines": lines,
        "allowances": (),
        "taxes": taxed.totals,
        "net": taxed.net,
        "tax": taxed.tax,
        "total": taxed.gross,
        "paid": D(0),
        "due": taxed.gross - changes.get("paid", D(0)),
        "first_day": START,
        "last_day": END,
        "purchase_order": "4500017321",
        "contract": "ctr_019be2",
        "bank": BANK,
        "reference": "RF24INV2026000042",
        "notes": ("Thank you for working with us.",),
        "logo": LOGO,
        "usage": USAGE,
    }
    return InvoiceDocument(**{**fields, **changes})
