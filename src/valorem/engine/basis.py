"""Gather what an invoice is computed from: the one way for previews, drafts and final invoices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from valorem.core.billing.canonical import lines_of
from valorem.core.billing.invoice import Line
from valorem.core.billing.schedule import (
    contract_boundary,
    final_boundary,
    late_periods,
    period_index_at,
)
from valorem.core.billing.terms import Terms
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sources import Sources
from valorem.core.contracts.written import read_sources, write_sources
from valorem.core.time import parse_instant, write_instant
from valorem.engine.credits.overages import Booked
from valorem.engine.engine import Transaction
from valorem.engine.outcomes import (
    OutcomeBasis,
    lines_at,
    outcome_basis,
    read_outcomes,
    sells_outcomes,
    split_lines,
    write_outcomes,
)
from valorem.engine.sharing import NOTHING_LENT, Lent, lent_to, read_lent, write_lent
from valorem.engine.sources import sources_for
from valorem.engine.terms import counting, terms_for
from valorem.store.postgres import contract_edits, contracts, invoices, late_usage
from valorem.store.postgres.contracts import ContractRow
from valorem.store.postgres.invoices import InvoiceHeader


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
        lent: What accounts share of their commitments, and what others have drawn of it.
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
    lent: Lent = NOTHING_LENT

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject whose events it bills."""
        return self.sources.subjects

    def after(self, contract: str, invoice: str, lines: Iterable[Line]) -> "Basis":
        """The same, where an invoice of another contract becomes final just before."""
        lent = self.lent.with_lines(contract, invoice, lines)
        return (
            self
            if lent is self.lent
            else replace(self, lent=lent, terms=replace(self.terms, sharing=lent.sharing))
        )


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
    lents = [lent_to(tx, contract) for contract, _, _ in wanted]
    # An outcome may be taken back long after it was billed.
    every = sells_outcomes(tx)
    asked = [
        (
            contract.id,
            index,
            contract_boundary(contract, 0 if every else _oldest(each, lent, (*late, max(index - 1, 0)))),
        )
        for (contract, index, _), late, each, lent in zip(wanted, lates, terms, lents, strict=True)
    ]
    earlier = invoices.load_earlier(tx.connection, tx.workspace.id, asked)
    return [
        _with_moved(tx, _basis(tx, each, index, late, rows, sources, lent))
        for (_, index, sources), late, each, rows, lent in zip(
            wanted, lates, terms, earlier, lents, strict=True
        )
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
    sources = sources or sources_for(tx, contract)
    lent = lent_to(tx, contract)
    since = contract_boundary(contract, _oldest(terms, lent, (index,)))
    (rows,) = invoices.load_earlier(tx.connection, tx.workspace.id, [(contract.id, index + 1, since)])
    basis = _basis(tx, terms, index, (), rows, sources, lent)
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
    lent = lent_to(tx, contract)
    oldest = 0 if sells_outcomes(tx) else _oldest(terms, lent, (*late, max(index - 1, 0)))
    since = contract_boundary(contract, oldest)
    (rows,) = invoices.load_earlier(tx.connection, tx.workspace.id, [(contract.id, row.next_index, since)])
    basis = _basis(tx, terms, index, late, rows, sources, lent)
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


def _basis(
    tx: Transaction,
    terms: Terms,
    index: int,
    late: tuple[int, ...],
    rows: Sequence[Mapping[str, Any]],
    sources: Sources,
    lent: Lent,
) -> Basis:
    billed, of_outcomes = split_lines(
        line for row in rows for line in lines_of(bytes(row["document"]), terms.contract.id)
    )
    contract = terms.contract
    outcomes = outcome_basis(tx, contract)
    return Basis(
        counting(terms, sources, lent.sharing),
        index,
        sources,
        late,
        tuple(row["id"] for row in rows),
        billed,
        outcomes=None if outcomes is None else outcomes.with_billed(of_outcomes),
        lent=lent,
    )


def _with_moved(tx: Transaction, basis: Basis) -> Basis:
    """The same, looking again at every period that outcomes have changed, so that its minimum and discounts follow."""
    outcomes = basis.outcomes
    if outcomes is None or not basis.index:
        return basis
    lines = lines_at(tx, basis.terms.contract, basis.subjects, outcomes, basis.index)
    moved = {line.period_index for line in lines if line.amount and line.period_index < basis.index - 1}
    return replace(basis, late=tuple(sorted({*basis.late, *moved})))


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


def _oldest(terms: Terms, lent: Lent, periods: Sequence[int]) -> int:
    """The first period whose invoices count; a commitment, or a discount whose rest waits, reckons with all of them."""
    reckons = (
        lent.sharing.above
        or any(
            standing.commitments or any(discount.lasts != "forever" for discount in standing.discounts)
            for standing in terms.contract.agreed
        )
        or any(
            stretch.plan.thresholds is not None and stretch.plan.thresholds.over == "lifetime"
            for stretch in terms.stretches
        )
    )
    return 0 if reckons else min(periods)


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
        "lent": write_lent(basis.lent),
    }


def basis_again(tx: Transaction, inputs: Mapping[str, Any]) -> Basis:
    """The basis that :func:`inputs_of` wrote, with the lines read again from the invoices it names."""
    contract, sources = contracts.read_contract(inputs["contract"]), read_sources(inputs)
    documents = [
        invoices.load_document(tx.connection, tx.workspace.id, earlier) for earlier in inputs["earlier"]
    ]
    billed, of_outcomes = split_lines(
        line for each in documents if each for line in lines_of(each.document, contract.id)
    )
    lent = read_lent(tx, inputs.get("lent"))
    return Basis(
        terms=counting(terms_for(tx, contract), sources, lent.sharing),
        index=inputs["index"],
        sources=sources,
        late=tuple(inputs["late"]),
        earlier=tuple(inputs["earlier"]),
        billed=billed,
        change_at=parse_instant(at) if (at := inputs.get("change_at")) else None,
        ended=bool(inputs.get("ended")),
        slice_at=parse_instant(at) if (at := inputs.get("slice_at")) else None,
        outcomes=read_outcomes(tx, contract.id, inputs.get("outcomes"), of_outcomes),
        credits=inputs.get("credits"),
        lent=lent,
    )
