"""Put together what an invoice is computed from, and compute it: the one path for previews, drafts and final invoices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from valorem.core.billing.canonical import read_invoice
from valorem.core.billing.draft import draft_invoice, draft_note, with_pending
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import PeriodUsage, usage_needs
from valorem.core.billing.schedule import contract_boundary, contract_period, late_periods
from valorem.core.billing.terms import Terms, terms_of
from valorem.core.contracts.contract import Contract
from valorem.engine.catalog import catalog_at
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.measuring import measure
from valorem.engine.tallies import TallyReader, live_tallies
from valorem.store.postgres import invoices

#: A contract has a draft or two; more would mean that closing has stood still for years.
_MOST_DRAFTS = 1000


@dataclass(frozen=True, slots=True)
class Basis:
    """What an invoice is a pure function of.

    Attributes:
        terms: The contract's terms, with the catalog version it is pinned to.
        index: The boundary.
        subjects: The customer's subjects.
        late: Earlier periods looked at again for late usage.
        earlier: Ids of the finalised invoices that billed these periods so far.
        billed: Their lines.
    """

    terms: Terms
    index: int
    subjects: tuple[str, ...]
    late: tuple[int, ...]
    earlier: tuple[str, ...]
    billed: tuple[Line, ...]


def terms_for(tx: Transaction, contract: Contract) -> Terms:
    """A contract's terms under the catalog versions it is pinned to."""
    return terms_of(
        contract,
        catalog_at(tx, contract.catalog_version),
        catalogs=lambda version: catalog_at(tx, version),
    )


def basis_of(
    tx: Transaction, contract: Contract, index: int, subjects: tuple[str, ...] | None = None
) -> Basis:
    """Gather what the invoice at a boundary depends on, as it stands.

    Args:
        tx: The transaction.
        contract: The contract.
        index: The boundary.
        subjects: The customer's, where the caller has read them.
    """
    terms = terms_for(tx, contract)
    late = tuple(late_periods(contract, index, tx.limits.accept_late_s))
    oldest = min((*late, max(index - 1, 0)))
    rows = invoices.load_earlier(
        tx.connection, tx.workspace.id, contract.id, index, contract_boundary(contract, oldest)
    )
    billed = tuple(line for row in rows for line in read_invoice(bytes(row["document"])).lines)
    return Basis(
        terms,
        index,
        subjects if subjects is not None else get_customer(tx, contract.customer).subjects,
        late,
        tuple(row["id"] for row in rows),
        billed,
    )


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
    first = min((*(draft.index for draft in drafts), next_index))
    waiting = range(first, basis.index)
    if not waiting:
        return basis
    periods = {*basis.late, *(index - 1 for index in waiting if index)}
    usage = {index: usage_of_period(tx, basis, index) for index in periods}
    return replace(basis, billed=with_pending(basis.terms, waiting, usage, basis.billed))


def invoice_at(
    tx: Transaction, basis: Basis, *, read: TallyReader | None = None, until_seq: int | None = None
) -> Invoice:
    """The invoice at a boundary, over everything counted for its periods.

    Args:
        tx: The transaction.
        basis: What it depends on.
        read: Where tallies come from; the live counters where left out.
        until_seq: The cut-off, for what must look at single events.
    """
    return draft_invoice(basis.terms, basis.index, _usage(tx, basis, read, until_seq), basis.billed)


def note_at(tx: Transaction, basis: Basis) -> Invoice | None:
    """The note that carries late usage beside the invoice at a boundary, where the contract wants one."""
    if not basis.late or basis.terms.policies.late_events != "note":
        return None
    return draft_note(basis.terms, basis.index, _usage(tx, basis, None, None), basis.billed)


def usage_of_period(
    tx: Transaction,
    basis: Basis,
    period_index: int,
    *,
    until: datetime | None = None,
    read: TallyReader | None = None,
    until_seq: int | None = None,
) -> PeriodUsage:
    """The usage of one period, up to an instant where given."""
    period = contract_period(basis.terms.contract, period_index)
    if period is None:
        return {}
    needs = usage_needs(basis.terms, period, until)
    reader = read or live_tallies(tx, basis.subjects, [need.meter for need in needs])
    return measure(tx, basis.subjects, needs, reader, until_seq=until_seq)


def _usage(
    tx: Transaction, basis: Basis, read: TallyReader | None, until_seq: int | None
) -> Mapping[int, PeriodUsage]:
    indices: Sequence[int] = (*basis.late, basis.index - 1) if basis.index else ()
    return {index: usage_of_period(tx, basis, index, read=read, until_seq=until_seq) for index in indices}


def inputs_of(basis: Basis, contract_terms: Mapping[str, Any], cutoff_seq: int) -> dict[str, Any]:
    """What must be kept to compute the same invoice again, as JSON values."""
    return {
        "contract": dict(contract_terms),
        "catalog_version": basis.terms.contract.catalog_version,
        "index": basis.index,
        "subjects": list(basis.subjects),
        "late": list(basis.late),
        "earlier": list(basis.earlier),
        "cutoff_seq": cutoff_seq,
    }
