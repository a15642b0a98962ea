"""Close due periods: a boundary gives a draft, and when its grace has ended the draft becomes an invoice for good."""

from dataclasses import dataclass, fields
from datetime import timedelta
from uuid import NAMESPACE_URL, uuid5

from valorem.core.billing.canonical import canonical_bytes, invoice_digest
from valorem.core.billing.invoice import Invoice
from valorem.core.billing.schedule import contract_period, cover, next_due_at
from valorem.core.contracts.contract import Contract
from valorem.core.ids import part_of
from valorem.core.numbers import plain
from valorem.core.time import write_instant
from valorem.engine.assembling import Basis, basis_of, inputs_of, invoice_at, note_at, terms_for
from valorem.engine.backfill import pending
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Engine, Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.meters import revision_ids
from valorem.engine.retrying import in_snapshot
from valorem.store.postgres import contracts, ingest, invoices, outbox
from valorem.store.postgres.invoices import InvoiceDocument, InvoiceHeader

#: Contracts or drafts worked on in one transaction: enough to share its cost, few enough to redo.
_BATCH = 50
_SERIES = "INV"


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What a closing run did.

    Attributes:
        drafted: Boundaries that got a draft.
        finalised: Drafts that became invoices with a number.
        empty: Drafts that billed nothing and were dropped.
        waiting: Drafts that are due but whose meters are still being recounted.
    """

    drafted: int = 0
    finalised: int = 0
    empty: int = 0
    waiting: int = 0

    def __add__(self, other: "CloseReport") -> "CloseReport":
        return CloseReport(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def progressed(self) -> bool:
        """Whether anything was written."""
        return bool(self.drafted or self.finalised or self.empty)


def close_due(engine: Engine, workspace: int) -> CloseReport:
    """Draft every boundary that has been reached, finalise every draft whose grace has ended.

    It may be run twice, in parallel, or be killed at any point: each boundary gives one invoice with one number.
    """
    report = CloseReport()
    while True:
        step = in_snapshot(engine, workspace, _draft_some)
        report += step
        if not step.progressed:
            break
    waiting: set[str] = set()
    while True:
        step = in_snapshot(engine, workspace, lambda tx: _finalise_some(tx, waiting))
        report += step
        if not step.progressed:
            return report + CloseReport(waiting=len(waiting))


def _draft_some(tx: Transaction) -> CloseReport:
    report = CloseReport()
    for contract_id, _ in contracts.due(tx.connection, tx.workspace.id, tx.now, limit=_BATCH):
        report += _draft(tx, contract_id)
    return report


def _draft(tx: Transaction, contract_id: str) -> CloseReport:
    """A draft for the contract's next boundary, if it is due and has not got one meanwhile."""
    row = get_contract(tx, contract_id, lock=True)
    if row.next_at is None or row.next_at > tx.now:
        return CloseReport()
    contract, index = row.contract, row.next_index
    contracts.move_on(tx.connection, contract, next_index=index + 1, next_at=next_due_at(contract, index))
    at = cover(contract, index)
    if at.closed is None and at.ahead is None:
        return CloseReport(empty=1)
    header = _header(tx, contract, index, "period")
    invoices.insert_draft(tx.connection, tx.workspace.id, header, tx.now)
    return CloseReport(drafted=1)


def _header(tx: Transaction, contract: Contract, index: int, kind: str) -> InvoiceHeader:
    at = cover(contract, index)
    grace_s = terms_for(tx, contract).policies.grace_s if at.closed is not None else 0
    shown = contract_period(contract, index - 1) or contract_period(contract, index)
    assert shown is not None  # a cover without either period gives no invoice
    return InvoiceHeader(
        id=new_id("inv", part_of(tx.workspace.id, contract.customer), at.at),
        contract=contract.id,
        customer=contract.customer,
        index=index,
        kind=kind,
        status="draft",
        number=None,
        currency=contract.currency,
        period_start=shown.interval.start,
        period_end=shown.interval.end,
        issued_at=at.at,
        finalise_at=at.at + timedelta(seconds=grace_s),
        total=None,
    )


def _finalise_some(tx: Transaction, waiting: set[str]) -> CloseReport:
    found = invoices.due(tx.connection, tx.workspace.id, tx.now, limit=_BATCH + len(waiting))
    due = [invoice_id for invoice_id, _ in found if invoice_id not in waiting]
    if not due:
        return CloseReport()
    invoices.lock_series(tx.connection, tx.workspace.id, _SERIES)
    cutoff = ingest.committed(tx.connection, tx.workspace.id)
    report = CloseReport()
    held: set[str] = set()  # contracts whose earlier draft must come first
    for invoice_id in due:
        header = invoices.load(tx.connection, tx.workspace.id, invoice_id, lock=True)
        if header is None or header.status != "draft" or header.contract in held:
            continue
        basis = basis_of(tx, get_contract(tx, header.contract).contract, header.index)
        meters = [priced.meter for priced in basis.terms.priced]
        if pending(tx, list(revision_ids(tx, meters).values())):
            waiting.add(invoice_id)
            held.add(header.contract)
            continue
        report += _finalise(tx, header, basis, cutoff)
    return report


def _finalise(tx: Transaction, header: InvoiceHeader, basis: Basis, cutoff: int) -> CloseReport:
    invoice = invoice_at(tx, basis)
    note = note_at(tx, basis)
    report = CloseReport()
    if invoice.lines:
        _seal(tx, header, basis, invoice, cutoff)
        report += CloseReport(finalised=1)
    else:
        invoices.drop_draft(tx.connection, tx.workspace.id, header)
        report += CloseReport(empty=1)
    if note is not None:
        beside = _header(tx, basis.terms.contract, basis.index, "note")
        if invoices.insert_draft(tx.connection, tx.workspace.id, beside, tx.now):
            _seal(tx, beside, basis, note, cutoff)
            report += CloseReport(finalised=1)
    return report


def _seal(tx: Transaction, header: InvoiceHeader, basis: Basis, invoice: Invoice, cutoff: int) -> None:
    number = invoices.take_number(tx.connection, tx.workspace.id, _SERIES, header.id)
    document = canonical_bytes(invoice)
    inputs = inputs_of(basis, contracts.write_contract(basis.terms.contract), cutoff)
    sealed = InvoiceDocument(number, document, invoice_digest(document), inputs, tx.now)
    invoices.finalise(tx.connection, tx.workspace.id, header, sealed, invoice.total)
    outbox.put(
        tx.connection,
        part=part_of(tx.workspace.id, header.customer),
        workspace=tx.workspace.id,
        message_id=uuid5(NAMESPACE_URL, f"valorem:{tx.workspace.id}:invoice.finalised:{header.id}"),
        topic="invoice.finalised",
        subject=header.id,
        payload={
            "invoice": header.id,
            "number": number,
            "customer": header.customer,
            "contract": header.contract,
            "total": plain(invoice.total),
            "currency": invoice.currency,
            "issued_at": write_instant(header.issued_at),
        },
        now=tx.now,
    )
