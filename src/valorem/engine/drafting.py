"""Drafts: the row an invoice begins as."""

from datetime import timedelta

from valorem.core.billing.schedule import Cover
from valorem.core.contracts.contract import Contract
from valorem.core.ids import part_of
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.terms import terms_for
from valorem.store.postgres.invoices import InvoiceHeader


def header_of(tx: Transaction, contract: Contract, at: Cover, kind: str) -> InvoiceHeader:
    """The draft of an invoice that covers what a border, or a change, lets it cover."""
    shown = at.closed or at.ahead
    assert shown is not None  # a cover without either period gives no invoice
    grace_s = terms_for(tx, contract).policies.grace_s if at.closed is not None else 0
    return InvoiceHeader(
        id=new_id("inv", part_of(tx.workspace.id, contract.customer), at.at),
        contract=contract.id,
        customer=contract.customer,
        index=at.boundary_index,
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
