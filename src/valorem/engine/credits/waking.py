"""When somebody has to look at an account again: credits begin or end there, or its customer's terms have changed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from valorem.core.billing.terms import terms_of
from valorem.core.contracts.contract import Contract
from valorem.core.ledger.account import Account
from valorem.core.ledger.granting import next_border
from valorem.core.periods import boundary, index_at
from valorem.engine.catalog import catalog_at
from valorem.engine.credits.accounts import Book
from valorem.engine.credits.definitions import BurnPeriod, Definition
from valorem.engine.engine import Transaction
from valorem.store.postgres import contracts
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import Place

_MOST_CONTRACTS = 200


def wake(tx: Transaction, customer: str) -> None:
    """Have every account of a customer looked at soon, and those that its plans give credits to made.

    To be called in every transaction that changes what a customer has agreed to.
    """
    rows = contracts.load_page(
        tx.connection, tx.workspace.id, customer=customer, after=None, limit=_MOST_CONTRACTS
    )
    credits_ = set()
    for row in rows:
        for standing in row.contract.agreed:
            plan = catalog_at(tx, standing.catalog_version).plan(standing.plan)
            credits_ |= {terms.credit or key for key, terms in plan.grants.items()}
    for credit in sorted(credits_):
        store.expect(tx.connection, Place(tx.workspace.id, customer, credit), tx.now)
    store.wake(tx.connection, tx.workspace.id, customer, tx.now)


def next_look(tx: Transaction, book: Book, account: Account) -> datetime | None:
    """The next instant at which credits of an account begin or end; nothing where none is known."""
    return min((border for border in _borders(tx, book, account) if border > book.at), default=None)


def steady_until(tx: Transaction, book: Book, account: Account) -> datetime:
    """Until when time alone changes nothing about what can be used, as far as is recorded."""
    expiries = (hold.expires for hold in book.facts.holds if hold.open and hold.expires > book.at)
    return min((*expiries, border_of(tx, book, account)))


def border_of(tx: Transaction, book: Book, account: Account) -> datetime:
    """The same, holds left aside."""
    return next_look(tx, book, account) or datetime.max.replace(tzinfo=UTC)


def _borders(tx: Transaction, book: Book, account: Account) -> Iterator[datetime]:
    """Instants at which credits begin or end, or what is counted begins anew.

    Of grants that a plan will give the next border is told; more follow when they have begun.
    """
    definition = book.definition
    for grant in book.facts.grants:
        if grant.start > book.at:
            yield grant.start
    for lot in account.lots:
        if lot.end is not None and not lot.ended:
            yield lot.end
    for member in definition.members:
        yield member.since
        if member.until is not None:
            yield member.until
    for cap in definition.caps():
        yield boundary(
            cap.anchor, cap.every, cap.zone, index_at(cap.anchor, cap.every, cap.zone, book.at) + 1
        )
    for contract in (*definition.contracts, *definition.upcoming):
        yield from _of_contract(tx, definition, contract, book.at)
    for period in book.periods:
        yield period.interval.end
        yield period.interval.end + closing_grace(tx, period)


def _of_contract(
    tx: Transaction, definition: Definition, contract: Contract, at: datetime
) -> Iterator[datetime]:
    yield contract.start
    if contract.end is not None:
        yield contract.end
    yield from (standing.since for standing in contract.agreed)
    standing = contract.standing_at(at)
    for key, terms in catalog_at(tx, standing.catalog_version).plan(standing.plan).grants.items():
        if (terms.credit or key) == definition.place.credit:
            border = next_border(terms, contract, at)
            if border is not None:
                yield border


def closing_grace(tx: Transaction, period: BurnPeriod) -> timedelta:
    """How long after its end a period is closed."""
    if period.contract is None:
        return timedelta(0)
    contract = period.contract
    terms = terms_of(
        contract, catalog_at(tx, contract.catalog_version), catalogs=lambda version: catalog_at(tx, version)
    )
    return timedelta(seconds=terms.policies.grace_s)
