"""A contract's terms, under the catalog versions it is pinned to."""

from dataclasses import replace

from valorem.core.billing.terms import ALONE, Sharing, Terms, terms_of
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sources import Sources
from valorem.engine.catalog import catalog_at
from valorem.engine.engine import Transaction


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


def counting(terms: Terms, sources: Sources, sharing: Sharing = ALONE) -> Terms:
    """The terms, with the accounts that are counted apart and those that share commitments."""
    if not sources.apart and sharing == ALONE:
        return terms
    return replace(terms, apart=tuple(sources.apart), keeping=sources.keeping, sharing=sharing)
