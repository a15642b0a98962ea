"""Credit notes: whole, by line or in part, never above the invoice; what they come to goes where it belongs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from valorem.core.billing import life as steps
from valorem.core.billing.canonical import invoice_digest
from valorem.core.billing.credit_notes import (
    Creditable,
    CreditedLine,
    CreditNote,
    creditable_lines,
    draft_credit_note,
)
from valorem.core.billing.customer_balance import BalanceEntry
from valorem.core.billing.life import Life
from valorem.core.billing.sealing import SealedInvoice, read_rate, read_sealed, write_rate
from valorem.core.contracts.customer import check_text
from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.core.ids import part_of
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import write_instant
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.invoices import find_invoice
from valorem.engine.refunds import ask_back, going_back
from valorem.engine.settling import lock_invoice, tell
from valorem.store.postgres import balances, credit_notes, invoices, lives
from valorem.store.postgres.credit_notes import NoteRow
from valorem.store.postgres.invoices import InvoiceHeader

_SERIES = "CRN"


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A credit note: where it is kept, and what it says."""

    row: NoteRow
    note: CreditNote


@dataclass(frozen=True, slots=True)
class NoteRequest:
    """What to take back.

    Attributes:
        reason: Printed.
        lines: The amount to take back by the line's number, without tax; all that is left where ``None``.
        refund: How much goes back as money; ``None`` first lessens what is owed, then gives to the customer's balance.
    """

    reason: str
    lines: Mapping[str, Decimal] | None = None
    refund: Decimal | None = None


def preview_credit_note(tx: Transaction, invoice: str, asked: NoteRequest) -> CreditNote:
    """The note that would be issued; writes nothing.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: For more than is left of it.
    """
    header = find_invoice(tx, invoice)
    life = lives.load_many(tx.connection, tx.workspace.id, [header.id])[header.id]
    return _draft(tx, header, life, asked)


def issue_credit_note(tx: Transaction, invoice: str, asked: NoteRequest) -> StoredNote:
    """Issue a note, number it, and let what it comes to lessen what is owed, go back, or go to the balance.

    Raises:
        NotFoundError: If there is no such invoice.
        InvalidInputError: For an unknown line, or an amount that is not in minor units.
        UnprocessableError: For more than is left of it.
    """
    header, life = lock_invoice(tx, invoice)
    note = _draft(tx, header, life, asked)
    credited = steps.credit(life, note.total, tx.now, offset=note.offset)
    row = _number(tx, header, note)
    credit_notes.insert(tx.connection, tx.workspace.id, row)
    lives.save(tx.connection, tx.workspace.id, header.id, credited)
    if note.to_balance > ZERO:
        give_to_balance(tx, header, f"{row.id}:balance", note.to_balance, row.id)
    if note.refund > ZERO:
        ask_back(tx, header, row.id, note.refund)
    tell(tx, header, "credit_note.issued", credited, note=row.id, payment=row.id, credited=plain(note.total))
    return StoredNote(row, note)


def give_to_balance(
    tx: Transaction, header: InvoiceHeader, entry: str, amount: Decimal, reference: str
) -> None:
    """Open a credit on the customer's balance; the same entry once."""
    key = (tx.connection, tx.workspace.id, header.customer, header.currency)
    balances.lock(*key)
    balances.add(*key, [BalanceEntry(entry, tx.now, "credited", entry, amount, reference)])


def get_credit_note(tx: Transaction, note: str) -> StoredNote:
    """One note by id or number.

    Raises:
        NotFoundError: If there is none.
    """
    row = credit_notes.load(tx.connection, tx.workspace.id, note)
    if row is None:
        raise NotFoundError(
            f"there is no credit note {note[:60]!r}", field="note", hint="give its id (crn_…) or its number"
        )
    return StoredNote(row, read_note(row.document))


def list_credit_notes(
    tx: Transaction,
    *,
    invoice: str | None = None,
    customer: str | None = None,
    after: str | None = None,
    newest_first: bool = False,
    limit: int = 50,
) -> list[StoredNote]:
    """Notes in the order they were issued, or the newest first; of one invoice or customer where given."""
    if invoice is not None:
        header = find_invoice(tx, invoice)
        found = [
            row
            for row in credit_notes.load_of(tx.connection, tx.workspace.id, header.id)
            if row.id > (after or "")
        ][:limit]
    else:
        found = credit_notes.load_page(
            tx.connection,
            tx.workspace.id,
            customer=customer,
            after=after,
            newest_first=newest_first,
            limit=limit,
        )
    return [StoredNote(row, read_note(row.document)) for row in found]


def _draft(tx: Transaction, header: InvoiceHeader, life: Life, asked: NoteRequest) -> CreditNote:
    check_text(asked.reason, "reason")
    steps.check_step(life, "credit", tx.now)
    document = invoices.load_document(tx.connection, tx.workspace.id, header.id)
    assert document is not None  # a note is only written on what is final
    earlier = [
        read_note(row.document) for row in credit_notes.load_of(tx.connection, tx.workspace.id, header.id)
    ]
    creditable = _creditable(tx, header, life, read_sealed(document.document))
    return draft_credit_note(creditable, asked.lines, earlier, reason=asked.reason, refund=asked.refund)


@exact
def _creditable(tx: Transaction, header: InvoiceHeader, life: Life, sealed: SealedInvoice) -> Creditable:
    settlement = sealed.settlement
    if settlement.total <= 0:
        raise UnprocessableError(
            "the invoice owes nothing", field="invoice", hint="there is nothing to credit"
        )
    discounts = {
        line.key: before
        for line, before in zip(settlement.taxed.lines, settlement.prepaid_before, strict=True)
    }
    return Creditable(
        number=header.number or header.id,
        currency=header.currency,
        lines=creditable_lines(settlement.taxed.lines, discounts),
        paid=max(ZERO, life.paid - life.overpaid - going_back(tx, header.id)),
        due=max(ZERO, life.owed),
    )


def _number(tx: Transaction, header: InvoiceHeader, note: CreditNote) -> NoteRow:
    last = invoices.lock_series(tx.connection, tx.workspace.id, _SERIES)
    number = f"{_SERIES}-{last + 1:06d}"
    invoices.move_series(tx.connection, tx.workspace.id, _SERIES, last + 1)
    document = json.dumps(
        {**write_note(note), "number": number, "issued_at": write_instant(tx.now)},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    return NoteRow(
        id=new_id("crn", part_of(tx.workspace.id, header.customer), tx.now),
        number=number,
        invoice=header.id,
        customer=header.customer,
        currency=note.currency,
        total=note.total,
        tax=note.tax,
        credit_offset=note.offset,
        refund=note.refund,
        to_balance=note.to_balance,
        reason=note.reason,
        document=document,
        digest=invoice_digest(document),
        issued_at=tx.now,
    )


def write_note(note: CreditNote) -> dict[str, Any]:
    """A note as JSON values."""
    rates = list(dict.fromkeys(rate for line in note.lines for rate in line.taxes))
    return {
        "invoice": note.invoice,
        "currency": note.currency,
        "reason": note.reason,
        "rates": [write_rate(rate) for rate in rates],
        "lines": [
            {
                "line": line.key,
                "amount": plain(line.amount),
                "discount": plain(line.discount),
                "taxes": {str(rates.index(rate)): plain(tax) for rate, tax in line.taxes.items()},
            }
            for line in note.lines
        ],
        "net": plain(note.net),
        "tax": plain(note.tax),
        "total": plain(note.total),
        "offset": plain(note.offset),
        "refund": plain(note.refund),
        "to_balance": plain(note.to_balance),
    }


def read_note(document: bytes) -> CreditNote:
    """The note that canonical bytes were written from."""
    read = json.loads(document)
    rates = [read_rate(each) for each in read["rates"]]
    lines = tuple(
        CreditedLine(
            line["line"],
            Decimal(line["amount"]),
            Decimal(line["discount"]),
            {rates[int(place)]: Decimal(tax) for place, tax in line["taxes"].items()},
        )
        for line in read["lines"]
    )
    return CreditNote(
        read["invoice"],
        read["currency"],
        lines,
        read["reason"],
        Decimal(read["offset"]),
        Decimal(read["refund"]),
        Decimal(read["to_balance"]),
    )
