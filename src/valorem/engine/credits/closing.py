"""Close periods of credit accounts: what was drawn stands, and late usage is drawn from the next open period."""

from dataclasses import dataclass, replace
from datetime import timedelta

from valorem.core.periods import Interval
from valorem.engine.assembling import terms_for
from valorem.engine.credits.accounts import Book, read_book
from valorem.engine.credits.definitions import BurnPeriod
from valorem.engine.credits.ledger import book_entries, tend
from valorem.engine.engine import Engine, Transaction
from valorem.store.postgres import contracts
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import ClosedPeriod, Place

_MOST_CONTRACTS = 500


@dataclass(frozen=True, slots=True)
class CreditsReport:
    """What tending the credit accounts of a workspace did.

    Attributes:
        accounts: Accounts looked at.
        entries: Ledger entries appended.
        closed: Periods closed.
    """

    accounts: int
    entries: int
    closed: int


def tend_credits(engine: Engine, workspace: int) -> CreditsReport:
    """Record due grants, make top-ups that fell due, close periods and bring every ledger up to date.

    Each account is a transaction of its own; run twice, in parallel or killed anywhere, it does everything once.
    """
    with engine.transaction(workspace) as tx:
        places = _places(tx)
    entries = closed = 0
    for place in places:
        with engine.transaction(workspace) as tx:
            entries += tend(tx, place)
            closed += close_periods(tx, place)
    return CreditsReport(len(places), entries, closed)


def close_periods(tx: Transaction, place: Place) -> int:
    """Close every period of an account whose grace has ended, the oldest first.

    Returns:
        How many were closed.
    """
    row = store.lock(tx.connection, place, tx.now)
    closed = 0
    while True:
        book = read_book(tx, place, row=row)
        due = next((each for each in book.periods if _is_due(tx, book, each)), None)
        if due is None:
            return closed
        book_entries(tx, place, book)
        _close(tx, book, due.interval)
        found = store.load(tx.connection, place)
        assert found is not None  # it is locked
        row = found
        closed += 1


def _is_due(tx: Transaction, book: Book, period: BurnPeriod) -> bool:
    end, closed = period.interval.end, book.row.closed_until
    if closed is not None and end <= closed:
        return False
    grace_s = terms_for(tx, period.contract).policies.grace_s if period.contract else 0
    return end + timedelta(seconds=grace_s) <= book.at


def _close(tx: Transaction, book: Book, interval: Interval) -> None:
    start = book.row.closed_until or book.usage_since
    end = interval.end
    accepted = end - timedelta(seconds=tx.limits.accept_late_s)
    known_since = next(each.interval.start for each in book.periods if each.interval.end > accepted)
    known_since = max(known_since, book.usage_since)
    drawn = tuple(burn for burn in book.facts.burns if start <= burn.at < end)
    known = tuple(burn for burn in book.usage if known_since <= burn.at < end)
    checkpoint = book.account(end).checkpoint.closed()
    period = ClosedPeriod(min(start, end), end, drawn, known, known_since)
    store.close_period(tx.connection, book.row.place, period, replace(checkpoint, at=end), book.at)


def _places(tx: Transaction) -> list[Place]:
    """Every account, and those that plans of running contracts give credits to."""
    workspace = tx.workspace.id
    found = {(place.customer, place.credit): place for place in store.accounts(tx.connection, workspace)}
    after: str | None = None
    while rows := contracts.load_page(
        tx.connection, workspace, customer=None, after=after, limit=_MOST_CONTRACTS
    ):
        for row in rows:
            contract = row.contract
            if contract.start > tx.now:
                continue
            for key, terms in terms_for(tx, contract).at(tx.now).plan.grants.items():
                credit = terms.credit or key
                place = Place(workspace, contract.customer, credit)
                found.setdefault((place.customer, credit), place)
        after = rows[-1].contract.id
    return list(found.values())
