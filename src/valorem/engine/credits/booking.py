"""Before an invoice is final: the ledgers it reads are brought up to date, and how far it reads them is kept."""

from dataclasses import replace

from valorem.core.billing.overages import overage_needs
from valorem.core.billing.schedule import contract_period
from valorem.engine.basis import Basis
from valorem.engine.credits.ledger import tend
from valorem.engine.credits.overages import concerns
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import Place


def with_booked_credits(tx: Transaction, basis: Basis) -> Basis:
    """The same with the ledgers of its credits brought up to date: what they say now is what it bills for good."""
    terms = basis.terms
    if not any(stretch.credits for stretch in terms.stretches):
        return basis
    indices = (*basis.late, basis.index - 1) if basis.index else ()
    periods = [contract_period(terms.contract, index) for index in indices]
    booked: dict[str, int] = {}
    for need in (need for period in periods if period is not None for need in overage_needs(terms, period)):
        credit = need.credit.key
        if credit not in booked and concerns(tx, terms.contract, need):
            place = Place(tx.workspace.id, terms.contract.customer, credit)
            tend(tx, place)
            row = store.load(tx.connection, place)
            booked[credit] = row.entries if row is not None else 0
    return replace(basis, credits=booked)
