"""Sealing: an invoice gets its taxes, its number and its due date, and says all of it for good."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from valorem.core.billing.canonical import invoice_digest, write_invoice
from valorem.core.billing.customer_balance import BalanceEntry, apply_balance, balance_of
from valorem.core.billing.invoice import Invoice
from valorem.core.billing.parties import BillingDetails, BillingSettings
from valorem.core.billing.payment_terms import PaymentTerms, overdue_from
from valorem.core.billing.sealing import (
    Circumstances,
    Prepaid,
    SealedInvoice,
    seal_invoice,
    sealed_bytes,
    tax_request,
    write_circumstances,
)
from valorem.core.billing.tax_codes import code_of
from valorem.core.billing.tax_rates import TaxBook, TaxRate
from valorem.core.billing.taxes import TaxMode, TaxRounding
from valorem.core.billing.terms import Terms
from valorem.core.catalog.taxes import tax_book
from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.core.ids import part_of
from valorem.core.money import Rounding
from valorem.core.numbers import ZERO, plain
from valorem.core.time import write_instant
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.credits.paying import pay_with_credits
from valorem.engine.engine import Transaction
from valorem.engine.settings import get_billing_settings
from valorem.engine.taxing import Question, known_rates
from valorem.store.postgres import balances, customers, invoices, lives, outbox
from valorem.store.postgres.invoices import InvoiceDocument, InvoiceHeader
from valorem.store.postgres.invoices import SealedInvoice as SealedRow
from valorem.store.postgres.lives import Settled
from valorem.store.postgres.outbox import Message

SERIES = "INV"


@dataclass(frozen=True, slots=True)
class Manner:
    """How one invoice is settled, as its plan or whoever wrote it says.

    Attributes:
        zone: The time zone of its days.
        codes: The tax code of each line, in order.
        terms: By when it must be paid; the workspace's where ``None``.
        amounts: Whether its amounts are without tax, or with it.
        rounded: Where taxes are rounded.
        rounding: How.
    """

    zone: str
    codes: tuple[str | None, ...]
    terms: PaymentTerms | None = None
    amounts: TaxMode = "exclusive"
    rounded: TaxRounding = "per_rate"
    rounding: Rounding = "half_up"


@dataclass(frozen=True, slots=True)
class Final:
    """A draft with the invoice it becomes.

    Attributes:
        header: The draft.
        invoice: Its lines.
        inputs: What its lines were computed from, as JSON values.
        manner: How it is settled.
    """

    header: InvoiceHeader
    invoice: Invoice
    inputs: Mapping[str, Any]
    manner: Manner


def manner_of(terms: Terms, invoice: Invoice) -> Manner:
    """How an invoice of a contract is settled: as the plan in force where its time begins says."""
    since = invoice.closed or invoice.ahead
    plan = terms.at(since.start if since is not None else invoice.issued_at).plan
    codes = tuple(code_of(terms, line) for line in invoice.lines)
    return Manner(
        zone=terms.contract.time_zone,
        codes=codes,
        terms=None if plan.terms is None else plan.terms.terms,
        amounts=plan.tax.amounts,
        rounded=plan.tax.rounded,
        rounding=terms.policies.rounding,
    )


def seal(tx: Transaction, finals: Sequence[Final], last: int) -> None:
    """Give each a number, settle it, write what it says for good, and tell that it happened.

    Args:
        tx: A transaction that has locked the series of numbers.
        finals: In the order of their numbers.
        last: The last number taken.
    """
    if not finals:
        return
    connection, workspace = tx.connection, tx.workspace.id
    settings = get_billing_settings(tx)
    version, book = _rates_in_force(tx)
    names = sorted({each.header.customer for each in finals})
    billed = customers.load_billing(connection, workspace, names)
    purses = {
        key: balances.load_entries(connection, workspace, *key)
        for key in balances.lock_many(connection, workspace, names)
    }
    replaces = lives.replaced(connection, workspace, [each.header.id for each in finals])
    outside = settings.taxes == "outside"
    rows, settled, messages = [], [], []
    for number, each in enumerate(finals, start=last + 1):
        customer = each.header.customer
        entries = purses.setdefault((customer, each.invoice.currency), [])
        name, details = billed[customer]
        about = _circumstances(each, settings, name, details, balance_of(entries).amount)
        about = _replacing(about, replaces.get(each.header.id))
        if outside:
            about = replace(about, rates=_told(tx, each.invoice, about))
        sealed = seal_invoice(each.invoice, about, book)
        sealing = partial(_sealed_with, each.invoice, about, book)
        if (prepaid := pay_with_credits(tx, each.header.id, each.invoice, sealing)) is not None:
            about = replace(about, prepaid=prepaid)
            sealed = sealing(prepaid)
        row = _row(each, sealed, about, f"{SERIES}-{number:06d}", version, tx)
        rows.append(row)
        settled.append(_settled(each, sealed, tx))
        messages.append(_finalised(workspace, each, sealed, row.document.number))
        moved = _moved(each.header.id, sealed, entries, tx)
        if moved:
            if not entries:
                balances.lock(connection, workspace, customer, each.invoice.currency)
            balances.add(connection, workspace, customer, each.invoice.currency, moved)
            entries += moved
    lives.settle(connection, workspace, settled)
    invoices.finalise(connection, workspace, rows)
    invoices.move_series(connection, workspace, SERIES, last + len(finals))
    outbox.put(connection, workspace, messages, tx.now)


def unanswered(tx: Transaction, finals: Sequence[Final]) -> dict[str, Question]:
    """The invoices that wait for an outside tax engine, by their draft, with what it has to be asked."""
    settings = get_billing_settings(tx)
    if settings.taxes != "outside" or not finals:
        return {}
    names = sorted({each.header.customer for each in finals})
    billed = customers.load_billing(tx.connection, tx.workspace.id, names)
    found = {}
    for each in finals:
        request = tax_request(
            each.invoice, _circumstances(each, settings, *billed[each.header.customer], ZERO)
        )
        if request is not None:
            rates, question = known_rates(tx, request)
            if rates is None:
                found[each.header.id] = question
    return found


def _told(tx: Transaction, invoice: Invoice, about: Circumstances) -> tuple[tuple[TaxRate, ...], ...]:
    """What the outside engine answered about an invoice.

    Raises:
        UnprocessableError: Where it has not answered.
    """
    request = tax_request(invoice, about)
    rates = None if request is None else known_rates(tx, request)[0]
    if rates is None:
        raise UnprocessableError(
            "the tax engine has not been asked about this invoice"
            if request is not None
            else "nobody has said where the seller sits, so no tax engine can be asked",
            field="taxes",
            hint="set the seller's address: PUT /v1/settings/billing",
        )
    return tuple(rates)


def _sealed_with(
    invoice: Invoice, about: Circumstances, book: TaxBook, prepaid: Prepaid | None
) -> SealedInvoice:
    return seal_invoice(invoice, replace(about, prepaid=prepaid), book)


def _rates_in_force(tx: Transaction) -> tuple[int, TaxBook]:
    try:
        version, catalog = current_catalog(tx)
    except NotFoundError:
        return 0, TaxBook(())
    return version, tax_book(catalog.taxes.values())


def rates_at(tx: Transaction, version: int) -> TaxBook:
    """The rates of a catalog version."""
    return tax_book(catalog_at(tx, version).taxes.values()) if version else TaxBook(())


def _circumstances(
    each: Final, settings: BillingSettings, name: str, details: BillingDetails, balance: Decimal
) -> Circumstances:
    manner = each.manner
    return Circumstances(
        seller=settings.seller,
        buyer_name=details.legal_name or name,
        buyer=details,
        balance=balance,
        terms=manner.terms or settings.terms.terms,
        zone=manner.zone,
        amounts=manner.amounts,
        rounded=manner.rounded,
        rounding=manner.rounding,
        codes=manner.codes,
    )


def _replacing(about: Circumstances, number: str | None) -> Circumstances:
    return about if number is None else replace(about, replaces=number)


def _row(
    each: Final,
    sealed: SealedInvoice,
    about: Circumstances,
    number: str,
    version: int,
    tx: Transaction,
) -> SealedRow:
    bytes_ = sealed_bytes(sealed)
    inputs = {
        **each.inputs,
        "settling": write_circumstances(about),
        "tax_version": version,
    }
    document = InvoiceDocument(number, bytes_, invoice_digest(bytes_), inputs, tx.now)
    return SealedRow(each.header, document, sealed.settlement.total)


def _settled(each: Final, sealed: SealedInvoice, tx: Transaction) -> Settled:
    return Settled(
        invoice=each.header.id,
        tax=sealed.settlement.taxed.tax,
        from_balance=sealed.settlement.balance_used + sealed.settlement.prepaid_after,
        finalised_at=tx.now,
        due_on=sealed.due_on,
        overdue_at=overdue_from(sealed.due_on, sealed.zone),
        zone=sealed.zone,
    )


def _moved(
    invoice: str, sealed: SealedInvoice, entries: Sequence[BalanceEntry], tx: Transaction
) -> list[BalanceEntry]:
    """What the invoice takes from the customer's balance, or gives to it where it is negative."""
    settlement = sealed.settlement
    moved = [
        BalanceEntry(f"{invoice}:{each.credit}", tx.now, "applied", each.credit, each.amount, invoice)
        for each in apply_balance(balance_of(entries), [(invoice, settlement.balance_used)])
    ]
    if settlement.to_balance > ZERO:
        credit = f"{invoice}:negative"
        moved.append(BalanceEntry(credit, tx.now, "credited", credit, settlement.to_balance, invoice))
    return moved


def _finalised(workspace: int, each: Final, sealed: SealedInvoice, number: str) -> Message:
    header = each.header
    return Message(
        part=part_of(workspace, header.customer),
        id=uuid5(NAMESPACE_URL, f"valorem:{workspace}:invoice.finalised:{header.id}"),
        topic="invoice.finalised",
        object=header.id,
        payload={
            "invoice": header.id,
            "number": number,
            "customer": header.customer,
            "contract": header.contract,
            "total": plain(sealed.settlement.total),
            "tax": plain(sealed.settlement.taxed.tax),
            "due": plain(sealed.settlement.due),
            "due_on": sealed.due_on.isoformat(),
            "currency": each.invoice.currency,
            "issued_at": write_instant(header.issued_at),
        },
    )


def written_lines(invoice: Invoice) -> dict[str, Any]:
    """Inputs of an invoice that nothing is computed for: its own lines."""
    return {"invoice": write_invoice(invoice)}
