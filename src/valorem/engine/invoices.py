"""Invoices: see the next one before its time, list, read, explain down to the events, and prove a final one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from valorem.core.billing.canonical import canonical_bytes, from_values, invoice_digest
from valorem.core.billing.consolidated import consolidated, whole
from valorem.core.billing.explain import explain_line as explain_text
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import recent_needs
from valorem.core.billing.projection import Preview, preview
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.billing.sealing import SealedInvoice as SettledInvoice
from valorem.core.billing.sealing import read_circumstances, read_sealed, seal_invoice, sealed_bytes
from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.core.metering.meter import Meter
from valorem.engine.archive import Archive
from valorem.engine.assembling import (
    ahead_of,
    invoice_at,
    needs_of_period,
    note_at,
    outcome_lines_at,
    outcomes_beside,
    usage_of_period,
)
from valorem.engine.basis import basis_again, basis_for, basis_of
from valorem.engine.browsing import EventPage, events_of
from valorem.engine.contracts import get_contract
from valorem.engine.corrected import CorrectedEvent, corrected_events
from valorem.engine.credits.overages import overage_ahead
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.measuring import measure_sources, read_at_once
from valorem.engine.outcomes import amount_of, events_behind, with_lines
from valorem.engine.sealing import rates_at
from valorem.engine.tallies import TallyReader, recorded_tallies
from valorem.engine.taxing import tax_problem
from valorem.engine.terms import terms_for
from valorem.store.postgres import invoices, merging
from valorem.store.postgres.invoices import InvoiceHeader, InvoiceStatus


@dataclass(frozen=True, slots=True)
class StoredInvoice:
    """One invoice as it stands.

    Attributes:
        settled: With its taxes and its due date; None for a draft.
        header: Where it is in its life.
        invoice: What it says; for a draft computed this instant.
        digest: SHA-256 (hex) of the canonical bytes; None for a draft.
        subjects: The subjects whose events it bills.
        waits: Why a draft is not final although its grace is over; None where nothing stands in its way.
    """

    header: InvoiceHeader
    invoice: Invoice
    digest: str | None
    subjects: tuple[str, ...]
    waits: str | None = None
    settled: SettledInvoice | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A line of an invoice, its arithmetic, and a page of the events behind it.

    Attributes:
        line: The line.
        text: The arithmetic, a row for each step.
        events: A page of events in order of time; empty for a fixed fee.
        corrected: The events of the line that were voided or amended, whether before or after the invoice was final.
    """

    line: Line
    text: tuple[str, ...]
    events: EventPage | None
    corrected: tuple[CorrectedEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a finalised invoice, computed again from the recorded events up to its cut-off, gives the same bytes."""

    same: bool
    digest: str
    recomputed_digest: str


def preview_invoice(tx: Transaction, contract_id: str, *, at: datetime | None = None) -> Preview:
    """The running period's invoice so far, and projected to the period's end.

    Args:
        tx: The transaction; a snapshot, so that all of it is of one instant.
        contract_id: The contract.
        at: The instant looked at; now where left out.

    Raises:
        NotFoundError: If there is no such contract.
        InvalidInputError: If the contract does not run at that instant.
    """
    row = get_contract(tx, contract_id)
    at = tx.now if at is None else at
    index = period_index_at(row.contract, at)
    basis = ahead_of(tx, basis_of(tx, row.contract, index + 1), row.next_index)
    latest = recent_needs(basis.terms, at)
    needs = [*(need for late in basis.late for need in needs_of_period(basis, late))]
    needs += [*needs_of_period(basis, index, at), *latest]
    read = read_at_once(tx, ((basis.sources, need) for need in needs))
    usage = {late: usage_of_period(tx, basis, late, read=read) for late in basis.late}
    usage[index] = usage_of_period(tx, basis, index, until=at, read=read)
    recent = measure_sources(tx, basis.sources, latest, read) if latest else None
    period = contract_period(row.contract, index)
    ahead = overage_ahead(tx, basis.terms, period) if period is not None and at == tx.now else None
    if basis.outcomes is None:
        return preview(basis.terms, at, usage, basis.billed, recent, ahead)
    # Outcomes so far, and what they come to if nothing more is heard of those that are assumed.
    so_far, silent = outcome_lines_at(tx, basis, seen_at=at), outcome_lines_at(tx, basis)
    beside = (outcomes_beside(basis, so_far), outcomes_beside(basis, silent))
    found = preview(basis.terms, at, usage, basis.billed, recent, ahead, beside)
    amount = amount_of(silent)
    return replace(
        found,
        so_far=with_lines(found.so_far, so_far),
        projected=with_lines(found.projected, silent),
        low=None if found.low is None else found.low + amount,
        high=None if found.high is None else found.high + amount,
    )


def list_invoices(
    tx: Transaction,
    *,
    customer: str | None = None,
    contract: str | None = None,
    status: InvoiceStatus | None = None,
    newest_first: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> list[InvoiceHeader]:
    """Headers in order of issue, or the newest first, from after an id on."""
    return invoices.load_page(
        tx.connection,
        tx.workspace.id,
        customer=customer,
        contract=contract,
        status=status,
        newest_first=newest_first,
        after=after,
        limit=limit,
    )


def get_invoice(tx: Transaction, invoice: str) -> StoredInvoice:
    """One invoice by id or number; a draft is computed from the counters this instant.

    Raises:
        NotFoundError: If there is none.
    """
    header = find_invoice(tx, invoice)
    if header.status == "draft":
        row = get_contract(tx, header.contract)
        basis = basis_for(tx, header, row)
        if header.kind == "period":
            basis = ahead_of(tx, basis, row.next_index)
        found = invoice_at(tx, basis)
        waits = tax_problem(tx, found, basis.terms.contract.time_zone)
        return StoredInvoice(header, found, None, basis.subjects, waits)
    sealed = invoices.load_document(tx.connection, tx.workspace.id, header.id)
    assert sealed is not None  # written in the transaction that finalised it
    subjects = tuple(sealed.inputs.get("subjects", ()))
    settled = read_sealed(sealed.document)
    return StoredInvoice(header, settled.invoice, sealed.digest.hex(), subjects, settled=settled)


def explain_line(
    tx: Transaction, invoice: str, line: int, *, after: str | None = None, limit: int = 50
) -> Explanation:
    """Explain one line: its arithmetic, then the very events, page by page.

    Args:
        tx: The transaction.
        invoice: Id or number.
        line: Its number on the invoice, counted from 1.
        after: Cursor of the page before.
        limit: Events on a page.

    Raises:
        NotFoundError: If there is no such invoice or line.
    """
    stored = get_invoice(tx, invoice)
    found = _line(stored.invoice.lines, line)
    text = tuple(explain_text(found, stored.invoice.currency))
    if not found.selectors:
        return Explanation(found, text, None)
    selector = found.selectors[0]
    if found.kind == "outcome":
        page = events_behind(
            tx, found.contract or stored.invoice.contract, stored.subjects, found, after=after, limit=limit
        )
        return Explanation(found, text, page)
    contract = get_contract(tx, found.contract or stored.invoice.contract).contract
    meters = [
        priced.meter
        for priced in terms_for(tx, contract).priced
        if priced.meter.fingerprint() == selector.fingerprint
    ]
    if not meters:
        raise UnprocessableError(
            "the line's meter is not in the catalog version it was priced by", field="line"
        )
    # What a final invoice says it says as of its cut-off; events and corrections that came later are not behind it.
    cutoff = _cutoff(tx, stored.header)
    interval = selector.interval
    subjects = stored.subjects if found.customer is None else get_customer(tx, found.customer).subjects
    page = events_of(
        tx,
        subjects=subjects,
        meter=meters[0],
        dimensions=selector.dimensions,
        start=interval.start,
        end=interval.end,
        after=after,
        limit=limit,
        until_seq=cutoff,
    )
    where = {name: (value,) for name, value in selector.dimensions.items()}
    archive = Archive(tx, subjects, meters[0], interval.start, interval.end, where)
    return Explanation(found, text, page, tuple(corrected_events(archive, cutoff)))


def _cutoff(tx: Transaction, header: InvoiceHeader) -> int | None:
    sealed = invoices.load_document(tx.connection, tx.workspace.id, header.id)
    cutoff = sealed.inputs.get("cutoff_seq") if sealed is not None else None
    return None if cutoff is None else int(cutoff)


def verify_invoice(tx: Transaction, invoice: str) -> Verification:
    """Compute a finalised invoice again from the recorded events, as they stood at its cut-off.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: If it is still a draft.
    """
    header = find_invoice(tx, invoice)
    sealed = invoices.load_document(tx.connection, tx.workspace.id, header.id)
    if sealed is None:
        raise UnprocessableError(
            "a draft has nothing to prove yet", field="invoice", hint="finalise it first"
        )
    if "invoice" in sealed.inputs:  # written by hand: only its settlement can be computed
        return _verified(tx, sealed.digest, sealed.inputs, from_values(sealed.inputs["invoice"]))
    if "parts" in sealed.inputs:
        parts = [_computed_again(tx, each, "period") for each in sealed.inputs["parts"]]
        (together,) = consolidated(each for each in parts if each is not None)
        return _verified(tx, sealed.digest, sealed.inputs, whole(together, sealed.inputs["number_index"]))
    return _verified(tx, sealed.digest, sealed.inputs, _computed_again(tx, sealed.inputs, header.kind))


def _computed_again(tx: Transaction, inputs: Mapping[str, Any], kind: str) -> Invoice | None:
    """An invoice, or a part of one, from the recorded events as they stood at its cut-off."""
    basis = basis_again(tx, inputs)
    cutoff = int(inputs["cutoff_seq"])

    def read(subjects: Sequence[str], _: Sequence[Meter]) -> TallyReader:
        return recorded_tallies(tx, subjects, until_seq=cutoff)

    if kind != "note":
        return invoice_at(tx, basis, read=read, until_seq=cutoff)
    return note_at(tx, basis, read=read, until_seq=cutoff)


def _verified(
    tx: Transaction, digest: bytes, inputs: Mapping[str, Any], again: Invoice | None
) -> Verification:
    recomputed = invoice_digest(b"" if again is None else _bytes_again(tx, inputs, again))
    return Verification(recomputed == digest, digest.hex(), recomputed.hex())


def _bytes_again(tx: Transaction, inputs: Mapping[str, Any], again: Invoice) -> bytes:
    if "settling" not in inputs:  # from before invoices were settled
        return canonical_bytes(again)
    about = read_circumstances(inputs["settling"])
    return sealed_bytes(seal_invoice(again, about, rates_at(tx, inputs["tax_version"])))


def find_invoice(tx: Transaction, invoice: str) -> InvoiceHeader:
    """One invoice by its id or number.

    Raises:
        NotFoundError: If there is none.
    """
    connection, workspace = tx.connection, tx.workspace.id
    load = invoices.load if invoice.startswith("inv_") else invoices.load_by_number
    header = load(connection, workspace, invoice)
    if header is not None and header.status == "merged":  # it is read in the invoice it became a part of
        header = load(connection, workspace, merging.whole_of(connection, workspace, header.id) or "")
    if header is None:
        raise NotFoundError(
            f"there is no invoice {invoice[:60]!r}", field="invoice", hint="give its id (inv_…) or its number"
        )
    return header


def _line(lines: Sequence[Line], number: int) -> Line:
    if not 1 <= number <= len(lines):
        raise NotFoundError(
            f"the invoice has no line {number}", field="line", hint=f"its lines are 1 to {len(lines)}"
        )
    return lines[number - 1]
