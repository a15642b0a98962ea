"""Compute an invoice from its basis: the one path for previews, drafts and final invoices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from valorem.core.billing.changes import draft_change, draft_ended
from valorem.core.billing.draft import Beside, draft_invoice, draft_note, invoice_of, with_pending
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed, usage_needs
from valorem.core.billing.progressive import Slice, draft_slice
from valorem.core.billing.safety import guarded
from valorem.core.billing.schedule import (
    contract_period,
    cover,
)
from valorem.core.contracts.parking import Parked
from valorem.core.outcomes.invoicing import merged_lines
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of
from valorem.engine.basis import Basis
from valorem.engine.credits.overages import overage_usage
from valorem.engine.engine import Transaction
from valorem.engine.measuring import Reading, measure_sources
from valorem.engine.outcomes import (
    OutcomeBasis,
    lines_at,
    with_lines,
)
from valorem.store.postgres import contract_edits, invoices

#: A contract has a draft or two; more would mean that closing has stood still for years.
_MOST_DRAFTS = 1000
_QUARTER_HOUR = timedelta(seconds=QUARTER_HOUR_S)


def contradiction(tx: Transaction, basis: Basis, invoice: Invoice) -> Parked | None:
    """Why an invoice must not be issued before somebody has looked; None where it may, or somebody has."""
    found = guarded(basis.terms, invoice)
    if not isinstance(found, Parked):
        return None
    contract = basis.terms.contract.id
    looked_at = contract_edits.released_at(tx.connection, tx.workspace.id, contract, basis.index)
    return None if looked_at else found


def outcomes_beside(basis: Basis, lines: Iterable[Line]) -> Beside:
    """What outcomes come to with the lines of one more invoice, by period; what discounts and minimums reckon with."""
    billed = basis.outcomes.billed if basis.outcomes is not None else ()
    return merged_lines((*billed, *lines))


def ahead_of(tx: Transaction, basis: Basis, next_index: int) -> Basis:
    """The same, as if the invoices before it that still wait for their grace were final: for a look ahead.

    Args:
        tx: The transaction.
        basis: Of the invoice looked at.
        next_index: The boundary of the contract to be drafted next.
    """
    contract = basis.terms.contract
    drafts = invoices.load_page(
        tx.connection, tx.workspace.id, contract=contract.id, status="draft", limit=_MOST_DRAFTS
    )
    first = min((*(draft.index for draft in drafts if draft.kind == "period"), next_index))
    waiting = range(first, basis.index)
    if not waiting:
        return basis
    periods = {*basis.late, *(index - 1 for index in waiting if index)}
    usage = {index: usage_of_period(tx, basis, index) for index in periods}
    ahead = _outcomes_ahead(tx, basis, waiting)
    beside = outcomes_beside(replace(basis, outcomes=ahead), ())
    pending = with_pending(basis.terms, waiting, usage, basis.billed, beside)
    return replace(basis, billed=pending, outcomes=ahead)


def _outcomes_ahead(tx: Transaction, basis: Basis, waiting: range) -> OutcomeBasis | None:
    ahead = basis.outcomes
    if ahead is None:
        return None
    for index in waiting:
        lines = lines_at(tx, basis.terms.contract, basis.subjects, ahead, index)
        ahead = replace(ahead, billed=(*ahead.billed, *lines))
    return ahead


def invoice_at(
    tx: Transaction, basis: Basis, *, read: Reading | None = None, until_seq: int | None = None
) -> Invoice:
    """The invoice at a boundary, or of a change, over everything counted for its periods; it may have no lines.

    Args:
        tx: The transaction.
        basis: What it depends on.
        read: Where tallies come from; the live counters where left out.
        until_seq: The cut-off, for what must look at single events.
    """
    if basis.slice_at is not None:
        return slice_at(tx, basis, read=read, until_seq=until_seq).invoice
    at = basis.change_at
    if at is None:
        usage = _usage(tx, basis, read, until_seq)
        lines = outcome_lines_at(tx, basis, until_seq=until_seq)
        beside = outcomes_beside(basis, lines)
        return with_lines(draft_invoice(basis.terms, basis.index, usage, basis.billed, beside), lines)
    if basis.ended:
        usage = _usage(tx, basis, read, until_seq)
        lines = outcome_lines_at(tx, basis, until_seq=until_seq)
        beside = outcomes_beside(basis, lines)
        return with_lines(draft_ended(basis.terms, usage, basis.billed, at, beside), lines)
    change = draft_change(basis.terms, at, basis.billed) if at >= basis.terms.contract.start else None
    return change or invoice_of(basis.terms, cover(basis.terms.contract, basis.index), "change", [], None)


def slice_at(
    tx: Transaction, basis: Basis, *, read: Reading | None = None, until_seq: int | None = None
) -> Slice:
    """The usage of a running period that no invoice has billed, up to the end of the quarter hour it is looked at."""
    at, contract = basis.slice_at, basis.terms.contract
    period = contract_period(contract, basis.index)
    assert at is not None  # the caller looks at a threshold
    assert period is not None  # it holds an instant, so it is not empty
    needs = usage_needs(basis.terms, period, quarter_hour_of(at) + _QUARTER_HOUR)
    usage = measure_sources(tx, basis.sources, needs, read, until_seq=until_seq)
    return draft_slice(basis.terms, period, at, usage, needs, basis.billed)


def outcome_lines_at(
    tx: Transaction,
    basis: Basis,
    *,
    until_seq: int | None = None,
    seen_at: datetime | None = None,
    note: bool = False,
) -> tuple[Line, ...]:
    """The lines of outcomes on the invoice at a boundary, or its note; ``seen_at`` leaves out what happens later."""
    if basis.outcomes is None:
        return ()
    return lines_at(
        tx,
        basis.terms.contract,
        basis.subjects,
        basis.outcomes,
        basis.index,
        until_seq=until_seq,
        seen_at=seen_at,
        note=note,
    )


def note_at(
    tx: Transaction, basis: Basis, *, read: Reading | None = None, until_seq: int | None = None
) -> Invoice | None:
    """The note that carries what came late beside the invoice at a boundary.

    Late usage stands on it where the contract wants a note, late evidence of an outcome where its definition does.

    Args:
        tx: The transaction.
        basis: What it depends on.
        read: Where tallies come from; the live counters where left out.
        until_seq: The cut-off, for what must look at single events.
    """
    if not basis.index or basis.slice_at is not None or basis.change_at is not None:
        return None
    lines = outcome_lines_at(tx, basis, until_seq=until_seq, note=True)
    note = None
    if basis.late and basis.terms.policies.late_events == "note":
        beside = outcomes_beside(basis, outcome_lines_at(tx, basis, until_seq=until_seq))
        usage = _usage(tx, basis, read, until_seq)
        note = draft_note(basis.terms, basis.index, usage, basis.billed, beside)
    if note is None and lines:
        note = invoice_of(basis.terms, cover(basis.terms.contract, basis.index), "note", [], None)
    return None if note is None else with_lines(note, lines)


def usage_of_period(
    tx: Transaction,
    basis: Basis,
    period_index: int,
    *,
    until: datetime | None = None,
    read: Reading | None = None,
    until_seq: int | None = None,
) -> PeriodUsage:
    """The usage of one period, up to an instant where given."""
    period = contract_period(basis.terms.contract, period_index)
    if period is None:
        return {}
    needs = usage_needs(basis.terms, period, until)
    return {
        **measure_sources(tx, basis.sources, needs, read, until_seq=until_seq),
        **overage_usage(tx, basis.terms, period, booked=basis.credits, until=until),
    }


def needs_of_period(basis: Basis, period_index: int, until: datetime | None = None) -> tuple[UsageNeed, ...]:
    """What must be measured of one period, up to an instant where given."""
    period = contract_period(basis.terms.contract, period_index)
    return () if period is None else usage_needs(basis.terms, period, until)


def periods_of(basis: Basis) -> Sequence[int]:
    """The periods whose usage the invoice at a border looks at."""
    return (*basis.late, basis.index - 1) if basis.index else ()


def _usage(
    tx: Transaction, basis: Basis, read: Reading | None, until_seq: int | None
) -> Mapping[int, PeriodUsage]:
    return {
        index: usage_of_period(tx, basis, index, read=read, until_seq=until_seq)
        for index in periods_of(basis)
    }
