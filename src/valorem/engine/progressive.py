"""Progressive invoices: where a running period's spend has passed a threshold, its usage so far is billed at once."""

from dataclasses import replace
from datetime import datetime
from functools import partial

from valorem.core.billing.schedule import Cover, contract_period, period_index_at
from valorem.core.billing.thresholds import Thresholds
from valorem.core.contracts.contract import Contract
from valorem.engine.assembling import contradiction, slice_at
from valorem.engine.backfill import pending
from valorem.engine.basis import Basis, inputs_of, slice_basis_of
from valorem.engine.drafting import header_of
from valorem.engine.engine import Engine, Transaction
from valorem.engine.meters import revision_ids
from valorem.engine.retrying import in_snapshot
from valorem.engine.sealing import SERIES, Final, manner_of, seal
from valorem.engine.settings import get_billing_settings
from valorem.engine.terms import terms_for
from valorem.store.postgres import contract_edits, contracts, ingest, invoices, thresholds
from valorem.store.postgres.contracts import ContractRow
from valorem.store.postgres.locks import Lock, turn_for

#: Contracts looked at in one transaction.
_BATCH = 50


def bill_thresholds(engine: Engine, workspace: int) -> int:
    """Bill every contract whose spend has passed a threshold since its last invoice; returns how many invoices.

    It may be run twice, in parallel, or be killed at any point: usage that one invoice billed, no other bills.
    """
    issued = 0
    while True:
        with engine.transaction(workspace, snapshot=True) as tx:
            committed = ingest.committed(tx.connection, workspace)
            some = thresholds.unseen(tx.connection, workspace, committed, limit=_BATCH)
            rows = contracts.load_many(tx.connection, workspace, some)
            looked_at = [row for row in rows.values() if not _waits(tx, row)]
            due = [row.contract.id for row in looked_at if _due(tx, row) is not None]
        for contract in due:
            issued += in_snapshot(
                engine,
                workspace,
                partial(_bill, contract_id=contract),
                turn=turn_for(Lock.NUMBERS, workspace, SERIES),
            )
        with engine.transaction(workspace) as tx:
            thresholds.seen(tx.connection, workspace, [row.contract.id for row in looked_at], committed)
        if len(some) < _BATCH or not looked_at:
            return issued


def thresholds_of(basis: Basis) -> Thresholds | None:
    """The spend thresholds in force where a basis looks."""
    at = basis.slice_at
    return None if at is None else basis.terms.at(at).plan.thresholds


def _waits(tx: Transaction, row: ContractRow) -> bool:
    """Whether an earlier invoice comes first, or counting that is not done yet."""
    contract = row.contract
    if not _runs(contract, tx.now):
        return False
    earlier = contract_edits.first_draft(tx.connection, tx.workspace.id, contract.id)
    unfinished = thresholds.has_draft(tx.connection, tx.workspace.id, contract.id)
    if unfinished or earlier is not None or row.next_index != period_index_at(contract, tx.now) + 1:
        return True
    meters = [priced.meter for priced in terms_for(tx, contract).priced]
    return pending(tx, list(revision_ids(tx, meters).values()))


def _runs(contract: Contract, at: datetime) -> bool:
    return contract.start <= at and (contract.end is None or at < contract.end)


def _due(tx: Transaction, row: ContractRow) -> Basis | None:
    """What the invoice depends on that is due now; none where no threshold is passed."""
    contract = row.contract
    if not _runs(contract, tx.now) or _waits(tx, row):
        return None
    basis = slice_basis_of(tx, contract, period_index_at(contract, tx.now), tx.now)
    in_force = thresholds_of(basis)
    return basis if in_force is not None and slice_at(tx, basis).passes(in_force) else None


def _bill(tx: Transaction, contract_id: str) -> int:
    connection, workspace = tx.connection, tx.workspace.id
    last = invoices.lock_series(connection, workspace, SERIES)
    row = contracts.load(connection, workspace, contract_id, lock=True)
    basis = None if row is None else _due(tx, row)
    if basis is None:
        return 0
    contract, index = basis.terms.contract, basis.index
    invoice = slice_at(tx, basis).invoice
    if (wrong := contradiction(tx, basis, invoice)) is not None:
        contract_edits.park(connection, workspace, wrong)
        return 0
    number = thresholds.next_number(connection, workspace, contract.id, index)
    covers = Cover(index, tx.now, contract_period(contract, index), None, final=False)
    header = replace(header_of(tx, contract, covers, f"progressive:{number}"), finalise_at=tx.now)
    invoices.insert_drafts(connection, workspace, [header], tx.now)
    if get_billing_settings(tx).taxes == "outside":
        return 0  # it is final when the tax engine has been asked
    inputs = inputs_of(basis, contracts.write_contract(contract), ingest.committed(connection, workspace))
    seal(tx, [Final(header, invoice, inputs, manner_of(basis.terms, invoice))], last)
    return 1
