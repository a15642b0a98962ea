"""What an invoice says for good: its lines, its settlement, the parties and the terms; canonical bytes of all of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from valorem.core.billing.canonical import read_invoice, write_invoice
from valorem.core.billing.invoice import Invoice
from valorem.core.billing.parties import BillingDetails, Seller, buyer_party, seller_party
from valorem.core.billing.payment_terms import PaymentTerms
from valorem.core.billing.settlement import Settlement, settle_invoice
from valorem.core.billing.tax_rates import TaxBook, TaxRate
from valorem.core.billing.taxes import (
    OwnRates,
    Taxable,
    Taxed,
    TaxedLine,
    TaxedProduct,
    TaxMode,
    TaxRequest,
    TaxRounding,
    TaxTotal,
)
from valorem.core.calendar import local_date
from valorem.core.money import Rounding
from valorem.core.numbers import ZERO, exact, plain


@dataclass(frozen=True, slots=True)
class Prepaid:
    """What prepaid credits pay of an invoice.

    Attributes:
        lines: What they take off each line before tax, in order; all zero where they pay the taxed sum.
        after_tax: What they pay of the taxed sum.
    """

    lines: tuple[Decimal, ...]
    after_tax: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        """All of it."""
        return sum(self.lines, self.after_tax)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the settlement of an invoice depends on beside its lines and its rates.

    Attributes:
        seller: Who charges; ``None`` where the workspace has not said.
        buyer_name: Printed on it.
        buyer: How the customer is billed.
        balance: The customer's balance that may pay it.
        terms: By when it must be paid.
        zone: The IANA time zone of its days.
        amounts: Whether its amounts are without tax, or with it.
        rounded: Where taxes are rounded.
        rounding: How.
        codes: The tax code of each line, in order.
        replaces: The number of the void invoice that it is issued again for.
        prepaid: What prepaid credits pay of it.
        rates: The taxes of each line, in order, where an outside engine told them; else the operator's own hold.
    """

    seller: Seller | None
    buyer_name: str
    buyer: BillingDetails
    balance: Decimal
    terms: PaymentTerms
    zone: str
    amounts: TaxMode
    rounded: TaxRounding
    rounding: Rounding
    codes: tuple[str | None, ...]
    replaces: str | None = None
    prepaid: Prepaid | None = None
    rates: tuple[tuple[TaxRate, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class SealedInvoice:
    """An invoice with everything on it.

    Attributes:
        invoice: Its lines.
        settlement: Its taxes, what the balance paid, what is due.
        amounts: Whether its lines are without tax, or with it.
        issued_on: The local day of issue.
        due_on: The last local day for payment.
        zone: The time zone of these days.
        seller: As it was when it was issued.
        buyer_name: As it was when it was issued.
        buyer: As it was when it was issued.
        replaces: The number of the void invoice that it is issued again for.
    """

    invoice: Invoice
    settlement: Settlement
    amounts: TaxMode
    issued_on: date
    due_on: date
    zone: str
    seller: Seller | None
    buyer_name: str
    buyer: BillingDetails
    replaces: str | None = None


@exact
def seal_invoice(invoice: Invoice, about: Circumstances, book: TaxBook) -> SealedInvoice:
    """Settle an invoice; a pure function, so that the same bytes come of it again.

    Args:
        invoice: Its lines.
        about: Everything else it depends on.
        book: The rates in force.
    """
    issued_on = local_date(invoice.issued_at, about.zone)
    rates = _rates(invoice, about, book)
    lines = [
        Taxable(str(number), line.amount, of)
        for number, (line, of) in enumerate(zip(invoice.lines, rates, strict=True), 1)
    ]
    settlement = settle_invoice(
        lines,
        currency=invoice.currency,
        mode=about.amounts,
        rounded=about.rounded,
        rounding=about.rounding,
        prepaid=ZERO if about.prepaid is None else about.prepaid.after_tax,
        applied="after tax",
        prepaid_lines=None if about.prepaid is None else about.prepaid.lines,
        balance=about.balance,
    )
    return SealedInvoice(
        invoice=invoice,
        settlement=settlement,
        amounts=about.amounts,
        issued_on=issued_on,
        due_on=about.terms.due_date(invoice.issued_at, about.zone),
        zone=about.zone,
        seller=about.seller,
        buyer_name=about.buyer_name,
        buyer=about.buyer,
        replaces=about.replaces,
    )


def tax_request(invoice: Invoice, about: Circumstances) -> TaxRequest | None:
    """What a tax engine is asked about an invoice; ``None`` where the seller has not said where it sits."""
    seller = seller_party(about.seller)
    if seller is None:
        return None
    issued_on = local_date(invoice.issued_at, about.zone)
    return TaxRequest(
        seller=seller,
        buyer=buyer_party(about.buyer, seller),
        on=issued_on,
        currency=invoice.currency,
        lines=tuple(
            TaxedProduct(str(number), line.amount, code)
            for number, (line, code) in enumerate(zip(invoice.lines, about.codes, strict=True), 1)
        ),
        reference=reference_of(invoice, issued_on),
    )


def reference_of(invoice: Invoice, issued_on: date) -> str:
    """Names the document, the same each time it is looked at before it is final."""
    if not invoice.contract:
        return f"{invoice.customer}:{issued_on.isoformat()}:{invoice.kind}"
    return f"{invoice.contract}:{invoice.boundary_index}:{invoice.kind}"


def _rates(invoice: Invoice, about: Circumstances, book: TaxBook) -> Sequence[tuple[TaxRate, ...]]:
    if about.rates is not None:
        return about.rates
    request = tax_request(invoice, about)
    if request is None or not book.rules:
        return [()] * len(invoice.lines)
    found = OwnRates(book).rates(request)
    return [found[line.key] for line in request.lines]


def sealed_bytes(sealed: SealedInvoice) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; decimals as plain text, instants with ``Z``."""
    return json.dumps(
        write_sealed(sealed), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()


def write_sealed(sealed: SealedInvoice) -> dict[str, Any]:
    """The whole invoice as JSON values."""
    return {
        **write_invoice(sealed.invoice),
        "settlement": write_settlement(sealed.settlement),
        "amounts": sealed.amounts,
        "issued_on": sealed.issued_on.isoformat(),
        "due_on": sealed.due_on.isoformat(),
        "zone": sealed.zone,
        "seller": None if sealed.seller is None else sealed.seller.model_dump(mode="json"),
        "buyer": {"name": sealed.buyer_name, **_printed(sealed.buyer)},
        "replaces": sealed.replaces,
    }


def _printed(buyer: BillingDetails) -> dict[str, Any]:
    """What of a customer's details an invoice says; how it is reminded and charged is no part of it."""
    return buyer.model_dump(mode="json", exclude={"reminders", "charge"})


def read_sealed(document: bytes) -> SealedInvoice:
    """The invoice that :func:`sealed_bytes` wrote; one from before invoices were settled owes the sum of its lines."""
    read = json.loads(document)
    invoice = read_invoice(document)
    if "settlement" not in read:
        day = invoice.issued_at.date()
        lines = tuple(TaxedLine(str(number), line.amount, {}) for number, line in enumerate(invoice.lines, 1))
        plain_sum = Settlement(
            invoice.total, (ZERO,) * len(lines), Taxed(lines, ()), ZERO, ZERO, ZERO, max(ZERO, invoice.total)
        )
        return SealedInvoice(
            invoice, plain_sum, "exclusive", day, day, "UTC", None, invoice.customer, BillingDetails()
        )
    buyer = dict(read["buyer"])
    name = buyer.pop("name")
    return SealedInvoice(
        invoice=invoice,
        settlement=read_settlement(read["settlement"]),
        amounts=read["amounts"],
        issued_on=date.fromisoformat(read["issued_on"]),
        due_on=date.fromisoformat(read["due_on"]),
        zone=read["zone"],
        seller=None if read["seller"] is None else Seller.model_validate(read["seller"]),
        buyer_name=name,
        buyer=BillingDetails.model_validate(buyer),
        replaces=read["replaces"],
    )


def write_settlement(settlement: Settlement) -> dict[str, Any]:
    """A settlement as JSON values; lines name their rates by their place among the totals."""
    taxed = settlement.taxed
    place = {total.rate: number for number, total in enumerate(taxed.totals)}
    return {
        "subtotal": plain(settlement.subtotal),
        "net": plain(taxed.net),
        "tax": plain(taxed.tax),
        "total": plain(settlement.total),
        "prepaid_after": plain(settlement.prepaid_after),
        "balance_used": plain(settlement.balance_used),
        "to_balance": plain(settlement.to_balance),
        "due": plain(settlement.due),
        "taxes": [
            {**write_rate(each.rate), "base": plain(each.base), "amount": plain(each.amount)}
            for each in taxed.totals
        ],
        "lines": [
            {
                "net": plain(line.net),
                "prepaid": plain(before),
                "taxes": {str(place[rate]): plain(tax) for rate, tax in line.taxes.items()},
            }
            for line, before in zip(taxed.lines, settlement.prepaid_before, strict=True)
        ],
    }


def read_settlement(read: Mapping[str, Any]) -> Settlement:
    """The settlement that :func:`write_settlement` wrote."""
    totals = tuple(
        TaxTotal(read_rate(each), Decimal(each["base"]), Decimal(each["amount"])) for each in read["taxes"]
    )
    lines = tuple(
        TaxedLine(
            str(number),
            Decimal(line["net"]),
            {totals[int(place)].rate: Decimal(tax) for place, tax in line["taxes"].items()},
        )
        for number, line in enumerate(read["lines"], 1)
    )
    return Settlement(
        subtotal=Decimal(read["subtotal"]),
        prepaid_before=tuple(Decimal(line["prepaid"]) for line in read["lines"]),
        taxed=Taxed(lines, totals),
        prepaid_after=Decimal(read["prepaid_after"]),
        balance_used=Decimal(read["balance_used"]),
        to_balance=Decimal(read["to_balance"]),
        due=Decimal(read["due"]),
    )


def write_rate(rate: TaxRate) -> dict[str, Any]:
    """A rate as JSON values."""
    return {
        "tax": rate.tax,
        "name": rate.name,
        "share": plain(rate.share),
        "category": rate.category,
        "reason": rate.reason,
    }


def read_rate(read: Mapping[str, Any]) -> TaxRate:
    """The rate that :func:`write_rate` wrote."""
    return TaxRate(read["tax"], read["name"], Decimal(read["share"]), read["category"], read["reason"])


def write_circumstances(about: Circumstances) -> dict[str, Any]:
    """What must be kept to settle the invoice again, as JSON values."""
    return {
        "seller": None if about.seller is None else about.seller.model_dump(mode="json"),
        "buyer_name": about.buyer_name,
        "buyer": _printed(about.buyer),
        "balance": plain(about.balance),
        "terms": [about.terms.net_days, about.terms.end_of_month],
        "zone": about.zone,
        "amounts": about.amounts,
        "rounded": about.rounded,
        "rounding": about.rounding,
        "codes": list(about.codes),
        "replaces": about.replaces,
        "rates": None if about.rates is None else [[write_rate(each) for each in of] for of in about.rates],
        "prepaid": None
        if about.prepaid is None
        else {
            "lines": [plain(each) for each in about.prepaid.lines],
            "after_tax": plain(about.prepaid.after_tax),
        },
    }


def read_circumstances(read: Mapping[str, Any]) -> Circumstances:
    """The circumstances that :func:`write_circumstances` wrote."""
    return Circumstances(
        seller=None if read["seller"] is None else Seller.model_validate(read["seller"]),
        buyer_name=read["buyer_name"],
        buyer=BillingDetails.model_validate(read["buyer"]),
        balance=Decimal(read["balance"]),
        terms=PaymentTerms(*read["terms"]),
        zone=read["zone"],
        amounts=read["amounts"],
        rounded=read["rounded"],
        rounding=read["rounding"],
        codes=tuple(read["codes"]),
        replaces=read["replaces"],
        rates=_read_rates(read.get("rates")),
        prepaid=_read_prepaid(read.get("prepaid")),
    )


def _read_prepaid(read: Mapping[str, Any] | None) -> Prepaid | None:
    if read is None:
        return None
    return Prepaid(tuple(map(Decimal, read["lines"])), Decimal(read["after_tax"]))


def _read_rates(read: Sequence[Sequence[Mapping[str, Any]]] | None) -> tuple[tuple[TaxRate, ...], ...] | None:
    return None if read is None else tuple(tuple(read_rate(each) for each in of) for of in read)
