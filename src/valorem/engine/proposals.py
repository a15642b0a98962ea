"""What a proposed catalog would make of bills that are under way. Nothing is written."""

from dataclasses import dataclass, replace
from decimal import Decimal

from valorem.core.billing.projection import preview
from valorem.core.billing.schedule import period_index_at
from valorem.core.billing.terms import terms_of
from valorem.core.catalog.catalog import Catalog
from valorem.core.errors import ValoremError
from valorem.engine.assembling import ahead_of, usage_of_period
from valorem.engine.basis import basis_of
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Transaction
from valorem.engine.invoices import preview_invoice
from valorem.engine.meters import revision_ids
from valorem.engine.terms import counting


@dataclass(frozen=True, slots=True)
class Proposed:
    """One contract's next invoice as it is, and as it would be had it been on the proposed catalog.

    Attributes:
        contract: The contract.
        customer: Its customer's key.
        currency: Of the amounts.
        projected: As it is.
        proposed: As it would be; None where that cannot be told yet.
        why_not: Why it cannot.
    """

    contract: str
    customer: str
    currency: str
    projected: Decimal
    proposed: Decimal | None
    why_not: str | None = None


def propose(tx: Transaction, contract_id: str, catalog: Catalog) -> Proposed | None:
    """Project the running period of a contract under a proposed catalog; None where the contract does not run.

    Both projections are the preview's own: the same usage, carried on in the same way, priced by the same functions.
    """
    row = get_contract(tx, contract_id)
    contract = row.contract
    if contract.start > tx.now or (contract.end is not None and contract.end <= tx.now):
        return None
    known = preview_invoice(tx, contract_id)
    so_far = Proposed(contract.id, contract.customer, contract.currency, known.projected.total, None)
    try:
        terms = terms_of(contract, catalog, catalogs=lambda _: catalog)
        index = period_index_at(contract, tx.now)
        basis = ahead_of(tx, basis_of(tx, contract, index + 1), row.next_index)
        terms = counting(terms, basis.sources, basis.terms.sharing)
        revision_ids(tx, [priced.meter for priced in terms.priced])
        usage = {index: usage_of_period(tx, replace(basis, terms=terms), index, until=tx.now)}
        as_it_is = {index: usage_of_period(tx, basis, index, until=tx.now)}
    except KeyError:
        return replace(so_far, why_not="it would count events in a new way, which begins when it is applied")
    except ValoremError as error:
        return replace(so_far, why_not=error.message)
    # Late usage of earlier periods is billed at the prices of its time, whatever is proposed: only this period differs.
    difference = (
        preview(terms, tx.now, usage, basis.billed).projected.total
        - preview(basis.terms, tx.now, as_it_is, basis.billed).projected.total
    )
    return replace(so_far, proposed=known.projected.total + difference)
