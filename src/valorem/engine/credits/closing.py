"""Close periods of credit accounts: what was drawn stands, and late usage is drawn from the next open period."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from valorem.core.periods import Interval
from valorem.engine.credits.accounts import Book, read_book
from valorem.engine.credits.buying import charge_purchases
from valorem.engine.credits.definitions import BurnPeriod
from valorem.engine.credits.keeping import LOOK_AGAIN
from valorem.engine.credits.ledger import book_entries, tend
from valorem.engine.credits.waking import closing_grace
from valorem.engine.engine import Engine, Transaction
from valorem.engine.retrying import in_transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import ClosedPeriod, Place

#: Accounts looked up at once.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class CreditsReport:
    """What tending the credit accounts of a workspace did.

    Attributes:
        accounts: Accounts looked at.
        entries: Ledger entries appended.
        closed: Periods closed.
        charged: Invoices written for top-ups.
    """

    accounts: int
    entries: int
    closed: int
    charged: int

    @property
    def progressed(self) -> bool:
        """Whether anything was booked, closed or charged."""
        return bool(self.entries or self.closed or self.charged)


def tend_credits(engine: Engine, workspace: int) -> CreditsReport:
    """Record due grants, make top-ups that fell due and their invoices, close periods and bring ledgers up to date.

    Looked at are the accounts where credits begin or end, those where nobody has looked for an hour, and those whose
    top-up rule has something new to watch. Each is a transaction of its own; run twice, in parallel or killed anywhere, it
    does everything once.
    """
    looked = entries = closed = 0
    done: set[Place] = set()
    while places := [place for place in _to_tend(engine, workspace) if place not in done]:
        for place in places:
            booked, ended = in_transaction(engine, workspace, partial(_tend_one, place=place))
            entries += booked
            closed += ended
        done.update(places)
        looked += len(places)
    return CreditsReport(looked, entries, closed, charge_purchases(engine, workspace))


def _tend_one(tx: Transaction, place: Place) -> tuple[int, int]:
    return tend(tx, place), close_periods(tx, place)


def _to_tend(engine: Engine, workspace: int) -> list[Place]:
    with engine.transaction(workspace) as tx:
        seq = store.written(tx.connection, workspace).counted
        again = tx.now - LOOK_AGAIN
        return store.to_tend(tx.connection, workspace, tx.now, again, seq, limit=_PAGE)


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
    return end + closing_grace(tx, period) <= book.at


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
