"""A credit account on one page: what was left after each day, what burnt it, what is reserved, bought and booked."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.calendar import local_date
from valorem.core.catalog.credits import CreditType
from valorem.core.errors import InvalidInputError
from valorem.core.ledger.chain import Link
from valorem.core.ledger.forecast import Forecast
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.statement import change_of
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval
from valorem.engine.credits.accounts import Book, read_book
from valorem.engine.credits.reading import Balance, balance, credit_burn, credit_forecast
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import ledger, top_ups
from valorem.store.postgres.credits import Place
from valorem.store.postgres.top_ups import TopUp

_BACK = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class AccountView:
    """One account.

    Attributes:
        balance: As it stands.
        forecast: When it runs out.
        credit: The type as the customer's contract knows it.
        levels: Instants and what was left then, in order, the last of them now.
        over: The interval that ``burnt`` is of; None where nothing was used in it.
        burnt: Credits used by the values of what was asked for, the most first.
        holds: Reservations that are open.
        top_ups: Rules by which credits are bought.
        entries: How many entries the ledger has.
        latest: The latest of them, the newest first.
    """

    balance: Balance
    forecast: Forecast
    credit: CreditType
    levels: Sequence[tuple[datetime, Decimal]]
    over: Interval | None
    burnt: Sequence[tuple[str | None, Decimal]]
    holds: Sequence[Hold]
    top_ups: Sequence[TopUp]
    entries: int
    latest: Sequence[Link]


def view_account(
    tx: Transaction, customer: str, credit: str, *, by: str = "meter", latest: int = 8
) -> AccountView:
    """Everything that the page of an account shows.

    Args:
        tx: The transaction; nothing is written.
        customer: Whose.
        credit: The type's key.
        by: What usage is summed up by: ``meter``, ``product``, ``member`` or a dimension.
        latest: How many ledger entries.

    Raises:
        NotFoundError: If there is no such customer or credit type.
    """
    place = Place(tx.workspace.id, customer, credit)
    book = read_book(tx, place, whole=True)
    over: Interval | None = None
    burnt: Sequence[tuple[str | None, Decimal]] = ()
    with suppress(InvalidInputError):  # its period begins this instant: nothing has happened in it
        over, burnt = credit_burn(tx, customer, credit, by=by)
    row = store.load(tx.connection, place)
    count = row.entries if row is not None else 0
    booked = [each for each, _ in ledger.links(tx.connection, place, after=max(0, count - latest))]
    return AccountView(
        balance(tx, customer, credit),
        credit_forecast(tx, customer, credit),
        book.definition.credit,
        _levels(book),
        over,
        burnt,
        [each for each in book.facts.holds if each.open and each.expires > book.at],
        top_ups.top_ups(tx.connection, place),
        count,
        booked[::-1],
    )


@exact
def _levels(book: Book) -> list[tuple[datetime, Decimal]]:
    """What was left after each local day's happenings, and now."""
    zone, since, level = book.definition.zone, book.at - _BACK, ZERO
    points: list[tuple[datetime, Decimal]] = []
    for each in sorted(book.account().happenings, key=lambda one: one.at):
        if each.at > book.at or not (change := change_of(each)):
            continue
        level += change
        at = max(each.at, since)
        if points and local_date(points[-1][0], zone) == local_date(at, zone):
            points.pop()
        points.append((at, level))
    return [*points, (book.at, level)] if points else []
