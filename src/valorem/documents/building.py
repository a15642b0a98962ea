"""From an issued invoice or credit note to its document."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from valorem.core.billing.credit_notes import CreditNote
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.settlement import Settlement
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import TaxTotal
from valorem.core.calendar import local_date
from valorem.core.numbers import ZERO, exact
from valorem.core.payments.built_in import creditor_reference
from valorem.core.periods import Interval
from valorem.documents.document import (
    Allowance,
    BankAccount,
    DocumentLine,
    InvoiceDocument,
    LineGroup,
    Logo,
    Party,
    UsageSeries,
)

_GROUPS: Mapping[str, LineGroup] = {
    "fee": "fees",
    "usage": "usage",
    "outcome": "usage",
    "charge": "charges",
    "discount": "discounts",
    "commitment": "commitments",
    "true_up": "commitments",
}
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What stands on every document of a seller.

    Attributes:
        seller: Who charges.
        bank: Where transfers go.
        logo: Printed at the top.
        notes: Paragraphs printed at the end.
    """

    seller: Party
    bank: BankAccount | None = None
    logo: Logo | None = None
    notes: tuple[str, ...] = ()


@exact
def invoice_document(
    invoice: Invoice,
    settlement: Settlement,
    *,
    number: str,
    issued_on: date,
    due_on: date,
    buyer: Party,
    letterhead: Letterhead,
    zone: str,
    units: Mapping[str, str] | None = None,
    payments: Decimal = ZERO,
    replaces: str | None = None,
    usage: Sequence[UsageSeries] = (),
) -> InvoiceDocument:
    """The document of a finalised invoice.

    Args:
        invoice: Its lines.
        settlement: Its taxes and credits, one taxed line for each of the invoice's lines, in the same order.
        number: Its number.
        issued_on: The local day of issue.
        due_on: The last day for payment.
        buyer: Who is charged.
        letterhead: Who charges.
        zone: The IANA time zone of the contract, in which periods are printed as days.
        units: The unit of each meter or fee, by the line's key.
        payments: Paid with money so far.
        replaces: The void invoice that it is issued again for.
        usage: For the annex.
    """
    taxed, before = settlement.taxed, settlement.prepaid_before
    exclusive = settlement.subtotal == taxed.net + sum(before, ZERO)
    credits_by_rates: defaultdict[tuple[TaxRate, ...], Decimal] = defaultdict(lambda: ZERO)
    lines = []
    for line, net, credit in zip(invoice.lines, taxed.lines, before, strict=True):
        rates = tuple(net.taxes)
        if exclusive and credit:
            credits_by_rates[rates] += credit
        amount = net.net + credit if exclusive else net.net
        lines.append(_line(line, amount, rates, zone, (units or {}).get(line.key), exclusive=exclusive))
    days = _days((each for each in (invoice.closed, invoice.ahead) if each is not None), zone)
    paid = settlement.prepaid_after + settlement.balance_used + payments
    return InvoiceDocument(
        kind="invoice",
        number=number,
        issued_on=issued_on,
        due_on=due_on,
        currency=invoice.currency,
        seller=letterhead.seller,
        buyer=buyer,
        lines=tuple(lines),
        allowances=tuple(Allowance(amount, rates) for rates, amount in credits_by_rates.items()),
        taxes=taxed.totals,
        net=taxed.net,
        tax=taxed.tax,
        total=taxed.gross,
        paid=paid,
        due=taxed.gross - paid,
        first_day=days[0],
        last_day=days[1],
        purchase_order=invoice.purchase_order,
        contract=invoice.contract,
        corrects=replaces,
        bank=letterhead.bank,
        reference=creditor_reference(number) if letterhead.bank is not None else None,
        notes=letterhead.notes,
        logo=letterhead.logo,
        usage=tuple(usage),
    )


@exact
def credit_note_document(
    note: CreditNote,
    invoice: InvoiceDocument,
    *,
    number: str,
    issued_on: date,
    descriptions: Mapping[str, str],
) -> InvoiceDocument:
    """The document of a credit note: what is taken back, as amounts above zero.

    Args:
        note: The note.
        invoice: The document of the invoice it takes back.
        number: The note's own number.
        issued_on: The local day of issue.
        descriptions: Of the invoice's lines, by key.
    """
    bases: defaultdict[TaxRate, Decimal] = defaultdict(lambda: ZERO)
    amounts: defaultdict[TaxRate, Decimal] = defaultdict(lambda: ZERO)
    for line in note.lines:
        for rate, tax in line.taxes.items():
            bases[rate] += line.net
            amounts[rate] += tax
    return InvoiceDocument(
        kind="credit_note",
        number=number,
        issued_on=issued_on,
        due_on=None,
        currency=note.currency,
        seller=invoice.seller,
        buyer=invoice.buyer,
        lines=tuple(
            DocumentLine("other", descriptions[line.key], None, None, None, line.net, tuple(line.taxes))
            for line in note.lines
        ),
        allowances=(),
        taxes=tuple(TaxTotal(rate, bases[rate], amounts[rate]) for rate in bases),
        net=note.net,
        tax=note.tax,
        total=note.total,
        paid=ZERO,
        due=note.total,
        purchase_order=invoice.purchase_order,
        contract=invoice.contract,
        corrects=note.invoice,
        notes=(note.reason,),
        logo=invoice.logo,
    )


def _line(
    line: Line, amount: Decimal, rates: tuple[TaxRate, ...], zone: str, unit: str | None, *, exclusive: bool
) -> DocumentLine:
    first, last = _days([line.period], zone)
    group = "adjustments" if line.timing == "adjustment" else _GROUPS.get(line.kind, "other")
    return DocumentLine(
        group=group,
        description=line.description,
        quantity=line.quantity,
        unit=unit,
        unit_price=line.unit_amount if exclusive else None,
        amount=amount,
        rates=rates,
        first_day=first,
        last_day=last,
        section=line.contract,
    )


def _days(intervals: Iterable[Interval], zone: str) -> tuple[date | None, date | None]:
    """The first and the last local day of some time."""
    stretches = list(intervals)
    if not stretches:
        return None, None
    first = min(each.start for each in stretches)
    last = max(each.end for each in stretches)
    return local_date(first, zone), local_date(last - _INSTANT, zone)
