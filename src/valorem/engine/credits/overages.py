"""Overage for invoices: the credits of a period that no grant paid for, read from the ledger or from what would be booked.

A final invoice reads booked entries up to a number that is kept with it, so that it can be computed again for ever; a look
ahead reads the replay, whose entries are the same once they are booked.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from valorem.core.billing.needs import PeriodUsage
from valorem.core.billing.overages import OverageNeed, overage_needs
from valorem.core.billing.terms import Terms
from valorem.core.contracts.contract import Contract
from valorem.core.ledger.entries import Entry, entries_of
from valorem.core.ledger.forecast import uncovered_until
from valorem.core.metering.measured import Measured
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval, Period
from valorem.engine.credits.accounts import Book, read_book
from valorem.engine.credits.definitions import Definition, definition_of, winner
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import ledger
from valorem.store.postgres.credits import Place

#: Kinds of entry that say what no grant paid for; what a reset lets go is owed all the same.
_OWED = ("uncovered", "dropped")
#: Credit type to the number of its last ledger entry that an invoice reckons with.
Booked = Mapping[str, int]


class _Owed(NamedTuple):
    at: datetime
    amount: Decimal


def overage_usage(
    tx: Transaction,
    terms: Terms,
    period: Period,
    *,
    booked: Booked | None = None,
    until: datetime | None = None,
) -> PeriodUsage:
    """The answers to :func:`valorem.core.billing.overages.overage_needs` of one period.

    Args:
        tx: The transaction.
        terms: The contract's terms.
        period: The period.
        booked: Read booked entries up to these numbers; the live account where left out.
        until: For a look ahead: nothing from then on.
    """
    if until is not None and until >= tx.now:
        until = None  # whatever is known by now is in
    return {
        need.key: _answers(tx, terms.contract, need, booked, until)
        for need in overage_needs(terms, period)
        if concerns(tx, terms.contract, need)
    }


@exact
def overage_ahead(tx: Transaction, terms: Terms, period: Period) -> PeriodUsage:
    """Overage at the end of a running period if usage goes on as it did in it: what there is, and what will be missing."""
    ahead: dict[str, list[list[Measured]]] = {}
    for need in overage_needs(terms, period):
        if not concerns(tx, terms.contract, need):
            continue
        answers = [list(each) for each in _answers(tx, terms.contract, need, None, None)]
        book = _book(tx, terms.contract, need.credit.key)
        account = book.account()
        elapsed = Interval(period.interval.start, max(account.at, period.interval.start))
        used = account.burned_in(elapsed)
        last = need.stretches[-1][0]
        if used > 0 and last.end > account.at and elapsed.end > elapsed.start:
            more = uncovered_until(account, used * Decimal(86_400) / elapsed.seconds(), last.end)
            answers[-1].append(Measured({}, more, 0))
        ahead[need.key] = answers
    return ahead


def concerns(tx: Transaction, contract: Contract, need: OverageNeed) -> bool:
    """Whether the customer is on these credits at all: usage that is sold in another way burns none."""
    place = Place(tx.workspace.id, contract.customer, need.credit.key)
    return need.granted or tx.once(("has grants", place), lambda: store.has_grants(tx.connection, place))


def _answers(
    tx: Transaction, contract: Contract, need: OverageNeed, booked: Booked | None, until: datetime | None
) -> list[list[Measured]]:
    place = Place(tx.workspace.id, contract.customer, need.credit.key)
    whole = Interval(need.stretches[0][0].start, need.stretches[-1][0].end)
    if booked is None:
        definition, owed = _live(tx, contract, place, whole)
    else:
        definition, number = definition_of(tx, place), booked.get(place.credit, 0)
        owed = _owed(ledger.of_kinds(tx.connection, place, _OWED, whole, upto=number), place.credit)
    mine = [
        each
        for each in owed
        if (until is None or each.at < until) and _is_winner(definition, contract, each.at)
    ]
    return [_measured([each for each in mine if each.at in part]) for part, _ in need.stretches]


def _live(
    tx: Transaction, contract: Contract, place: Place, whole: Interval
) -> tuple[Definition, list[_Owed]]:
    book = _book(tx, contract, place.credit)
    owed = _owed(entries_of(book.account().happenings, place.credit), place.credit)
    closed = book.checkpoint.at if book.checkpoint is not None else None
    if closed is not None and whole.start < closed:
        before = Interval(whole.start, min(closed, whole.end))
        owed += _owed(ledger.of_kinds(tx.connection, place, _OWED, before), place.credit)
    return book.definition, owed


def _book(tx: Transaction, contract: Contract, credit: str) -> Book:
    """The account as it stands, read once for a contract as it stands; the contract is kept so that it stays itself."""
    place = Place(tx.workspace.id, contract.customer, credit)
    book, _ = tx.once(("overage", place, id(contract)), lambda: (read_book(tx, place), contract))
    return book


@exact
def _owed(entries: Iterable[Entry], credit: str) -> list[_Owed]:
    return [
        _Owed(entry.at, sum((-leg.amount for leg in entry.legs if leg.account == "overage"), ZERO))
        for entry in entries
        if entry.unit == credit and entry.kind in _OWED
    ]


@exact
def _measured(owed: Sequence[_Owed]) -> list[Measured]:
    amount = sum((each.amount for each in owed), ZERO)
    return [Measured({}, amount, len(owed))] if amount else []


def _is_winner(definition: Definition, contract: Contract, at: datetime) -> bool:
    found = winner(definition.contracts, at)
    return found is not None and found.id == contract.id
