"""Put together what an invoice is computed from, and compute it: the one path for previews, drafts and final invoices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from valorem.core.billing.canonical import lines_of
from valorem.core.billing.changes import draft_change, draft_ended
from valorem.core.billing.draft import Beside, draft_invoice, draft_note, invoice_of, with_pending
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed, usage_needs
from valorem.core.billing.progressive import Slice, draft_slice
from valorem.core.billing.safety import guarded
from valorem.core.billing.schedule import (
    contract_boundary,
    contract_period,
    cover,
    final_boundary,
    late_periods,
    period_index_at,
)
from valorem.core.billing.terms import Terms, terms_of
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.parking import Parked
from valorem.core.contracts.sources import Sources
from valorem.core.contracts.written import write_sources
from valorem.core.outcomes.invoicing import merged_lines
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of, write_instant
from valorem.engine.catalog import catalog_at
from valorem.engine.credits.overages import Booked, overage_usage
from valorem.engine.engine import Transaction
from valorem.engine.measuring import Reading, measure_sources
from valorem.engine.outcomes import (
    OutcomeBasis,
    lines_at,
    outcome_basis,
    sells_outcomes,
    split_lines,
    with_lines,
    write_outcomes,
)
from valorem.engine.sources import sources_for
from valorem.store.postgres import contract_edits, invoices, late_usage
from valorem.store.postgres.contracts import ContractRow
from valorem.store.postgres.invoices import InvoiceHeader

#: A contract has a draft or two; more would mean that closing has stood still for years.
_MOST_DRAFTS = 1000
_QUARTER_HOUR = timedelta(seconds=QUARTER_HOUR_S)


@dataclass(frozen=True, slots=True)
class Basis:
    """What an invoice is a pure function of.

    Attributes:
        terms: The contract's terms, with the catalog version it is pinned to.
        index: The boundary.
        sources: Whose counters.
        late: Earlier periods looked at again for late usage.
        earlier: Ids of the finalised invoices that billed these periods so far.
        billed: Their lines.
        change_at: Where a change gives an invoice between two borders: the instant of that change.
        ended: Whether the change let the contract end at a border that has its invoice already.
        outcomes: What its outcomes are billed by; None where it has none.
        slice_at: Where a spend threshold gives an invoice before the period ends: the instant of that invoice.
        credits: How far the ledgers of its credits are read; as they stand this instant where None.
    """

    terms: Terms
    index: int
    sources: Sources
    late: tuple[int, ...]
    earlier: tuple[str, ...]
    billed: tuple[Line, ...]
    change_at: datetime | None = None
    ended: bool = False
    outcomes: OutcomeBasis | None = None
    slice_at: datetime | None = None
    credits: Booked | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject whose events it bills."""
        return self.sources.subjects


def terms_for(tx: Transaction, contract: Contract) -> Terms:
    """A contract's terms under the catalog versions it is pinned to."""
    key = "terms", id(contract)
    known: tuple[Contract, Terms] | None = tx.memo.get(key)
    if known is None:
        terms = terms_of(
            contract,
            catalog_at(tx, contract.catalog_version),
            catalogs=lambda version: catalog_at(tx, version),
        )
        known = tx.memo[key] = contract, terms  # with the contract, so that no other one gets its address
    return known[1]


def counting(terms: Terms, sources: Sources) -> Terms:
    """The terms, with the accounts that are counted apart."""
    return replace(terms, apart=tuple(sources.apart), keeping=sources.keeping) if sources.apart else terms


def basis_of(tx: Transaction, contract: Contract, index: int, sources: Sources | None = None) -> Basis:
    """Gather what the invoice at a boundary depends on, as it stands.

    Args:
        tx: The transaction.
        contract: The contract.
        index: The boundary.
        sources: The customer's, where the caller has read them.
    """
    (found,) = bases_of(tx, [(contract, index, sources or sources_for(tx, contract))])
    return found


def bases_of(tx: Transaction, wanted: Sequence[tuple[Contract, int, Sources]]) -> list[Basis]:
    """The same for many (contract, boundary, sources), in as many queries as for one."""
    lates = _lates(tx, [(contract, index, sources.subjects, index) for contract, index, sources in wanted])
    terms = [terms_for(tx, contract) for contract, _, _ in wanted]
    # An outcome may be taken back long after it was billed.
    every = sells_outcomes(tx)
    asked = [
        (
            contract.id,
            index,
            contract_boundary(contract, 0 if every else _oldest(each, (*late, max(index - 1, 0)))),
        )
        for (contract, index, _), late, each in zip(wanted, lates, terms, strict=True)
    ]
    earlier = invoices.load_earlier(tx.connection, tx.workspace.id, asked)
    return [
        _with_moved(tx, _basis(tx, each, index, late, rows, sources))
        for (_, index, sources), late, each, rows in zip(wanted, lates, terms, earlier, strict=True)
    ]


def slice_basis_of(
    tx: Transaction, contract: Contract, index: int, at: datetime, sources: Sources | None = None
) -> Basis:
    """Gather what the invoice depends on that a spend threshold makes due in a running period.

    Args:
        tx: The transaction.
        contract: The contract.
        index: The running period.
        at: The instant of the invoice.
        sources: The customer's, where the caller has read them.
    """
    terms = terms_for(tx, contract)
    since = contract_boundary(contract, _oldest(terms, (index,)))
    (rows,) = invoices.load_earlier(tx.connection, tx.workspace.id, [(contract.id, index + 1, since)])
    basis = _basis(tx, terms, index, (), rows, sources or sources_for(tx, contract))
    return replace(basis, slice_at=at, outcomes=None)


def change_basis_of(tx: Transaction, row: ContractRow, at: datetime, sources: Sources | None = None) -> Basis:
    """Gather what the invoice depends on that a change gives at once.

    Args:
        tx: The transaction.
        row: The contract, and where its billing stands.
        at: The instant of the change.
        sources: The customer's, where the caller has read them.
    """
    contract = row.contract
    sources = sources or sources_for(tx, contract)
    last = final_boundary(contract)
    ended = last is not None and last < row.next_index
    if ended:
        assert last is not None  # else it would not have ended
        (late,) = _lates(tx, [(contract, last, sources.subjects, row.next_index)])
        index = last
    else:
        index, late = period_index_at(contract, max(at, contract.start)), ()
    terms = terms_for(tx, contract)
    oldest = 0 if sells_outcomes(tx) else _oldest(terms, (*late, max(index - 1, 0)))
    since = contract_boundary(contract, oldest)
    (rows,) = invoices.load_earlier(tx.connection, tx.workspace.id, [(contract.id, row.next_index, since)])
    basis = _basis(tx, terms, index, late, rows, sources)
    return replace(basis, change_at=at, ended=ended)


def is_change(header: InvoiceHeader) -> bool:
    """Whether a change gave the invoice; its kind names the edit by its number, as ``change:3``."""
    return header.kind.startswith("change:")


def basis_for(
    tx: Transaction, header: InvoiceHeader, row: ContractRow, sources: Sources | None = None
) -> Basis:
    """Gather what a draft depends on, as it stands, whether it is of a border, of a change or of a threshold."""
    if is_change(header):
        return change_basis_of(tx, row, header.issued_at, sources)
    if header.kind.startswith("progressive:"):
        return slice_basis_of(tx, row.contract, header.index, header.issued_at, sources)
    return basis_of(tx, row.contract, header.index, sources)


def bases_for(tx: Transaction, wanted: Sequence[tuple[InvoiceHeader, ContractRow, Sources]]) -> list[Basis]:
    """The same for many drafts of different contracts; those of borders are read together."""
    of_borders = [place for place, (header, _, _) in enumerate(wanted) if header.kind in ("period", "note")]
    found = dict(
        zip(
            of_borders,
            bases_of(tx, [(wanted[at][1].contract, wanted[at][0].index, wanted[at][2]) for at in of_borders]),
            strict=True,
        )
    )
    return [
        found[place] if place in found else basis_for(tx, header, row, sources)
        for place, (header, row, sources) in enumerate(wanted)
    ]


def contradiction(tx: Transaction, basis: Basis, invoice: Invoice) -> Parked | None:
    """Why an invoice must not be issued before somebody has looked; None where it may, or somebody has."""
    found = guarded(basis.terms, invoice)
    if not isinstance(found, Parked):
        return None
    contract = basis.terms.contract.id
    looked_at = contract_edits.released_at(tx.connection, tx.workspace.id, contract, basis.index)
    return None if looked_at else found


def _basis(
    tx: Transaction,
    terms: Terms,
    index: int,
    late: tuple[int, ...],
    rows: Sequence[Mapping[str, Any]],
    sources: Sources,
) -> Basis:
    billed, of_outcomes = split_lines(
        line for row in rows for line in lines_of(bytes(row["document"]), terms.contract.id)
    )
    contract = terms.contract
    outcomes = outcome_basis(tx, contract)
    return Basis(
        counting(terms, sources),
        index,
        sources,
        late,
        tuple(row["id"] for row in rows),
        billed,
        outcomes=None if outcomes is None else outcomes.with_billed(of_outcomes),
    )


def _with_moved(tx: Transaction, basis: Basis) -> Basis:
    """The same, looking again at every period that outcomes have changed, so that its minimum and discounts follow."""
    outcomes = basis.outcomes
    if outcomes is None or not basis.index:
        return basis
    lines = outcome_lines_at(tx, basis)
    moved = {line.period_index for line in lines if line.amount and line.period_index < basis.index - 1}
    return replace(basis, late=tuple(sorted({*basis.late, *moved})))


def outcomes_beside(basis: Basis, lines: Iterable[Line]) -> Beside:
    """What outcomes come to with the lines of one more invoice, by period; what discounts and minimums reckon with."""
    billed = basis.outcomes.billed if basis.outcomes is not None else ()
    return merged_lines((*billed, *lines))


def _lates(
    tx: Transaction, wanted: Sequence[tuple[Contract, int, tuple[str, ...], int]]
) -> list[tuple[int, ...]]:
    """The periods to look at again.

    Those that usage may have come late for, those that an edit dated back reaches, and those whose usage changed by
    history or by corrections of old events since the border before.

    Args:
        tx: The transaction.
        wanted: Contract, border, subjects and the border whose invoice carries it, of each.
    """
    connection, workspace = tx.connection, tx.workspace.id
    reopened = contract_edits.reopened_at(
        connection, workspace, [(contract.id, border) for contract, _, _, border in wanted]
    )
    changed = late_usage.earliest_since(
        connection,
        workspace,
        [
            (subjects, contract_boundary(contract, index - 1) if index else contract.start)
            for contract, index, subjects, _ in wanted
        ],
    )
    return [
        _late(tx, contract, index, first, since)
        for (contract, index, _, _), first, since in zip(wanted, reopened, changed, strict=True)
    ]


def _late(
    tx: Transaction, contract: Contract, index: int, first: int | None, changed: datetime | None
) -> tuple[int, ...]:
    late = late_periods(contract, index, tx.limits.accept_late_s)
    if changed is not None and (contract.end is None or changed < contract.end):
        since = period_index_at(contract, max(changed, contract.start))
        first = since if first is None else min(first, since)
    return tuple(late) if first is None else tuple(sorted({*late, *range(first, index - 1)}))


def _oldest(terms: Terms, periods: Sequence[int]) -> int:
    """The first period whose invoices count; a commitment, or a discount whose rest waits, reckons with all of them."""
    reckons = any(
        standing.commitments or any(discount.lasts != "forever" for discount in standing.discounts)
        for standing in terms.contract.agreed
    ) or any(
        stretch.plan.thresholds is not None and stretch.plan.thresholds.over == "lifetime"
        for stretch in terms.stretches
    )
    return 0 if reckons else min(periods)


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


def inputs_of(basis: Basis, contract_terms: Mapping[str, Any], cutoff_seq: int) -> dict[str, Any]:
    """What must be kept to compute the same invoice again, as JSON values."""
    return {
        "contract": dict(contract_terms),
        "catalog_version": basis.terms.contract.catalog_version,
        "index": basis.index,
        "subjects": list(basis.subjects),
        **write_sources(basis.sources),
        "late": list(basis.late),
        "earlier": list(basis.earlier),
        "cutoff_seq": cutoff_seq,
        "change_at": write_instant(basis.change_at) if basis.change_at else None,
        "ended": basis.ended,
        "slice_at": write_instant(basis.slice_at) if basis.slice_at else None,
        "outcomes": None if basis.outcomes is None else write_outcomes(basis.outcomes),
        "credits": None if basis.credits is None else dict(basis.credits),
    }
