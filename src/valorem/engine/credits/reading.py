"""Balances now and then, statements, what used credits up, and when they run out. Nothing here writes."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.ledger.account import Account
from valorem.core.ledger.burns import by_workload
from valorem.core.ledger.forecast import Forecast, forecast
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.scope import Workload
from valorem.core.ledger.statement import Statement, statement
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval
from valorem.engine.credits.accounts import Book, read_book
from valorem.engine.credits.burning import burn_meters
from valorem.engine.credits.deciding import quick_look
from valorem.engine.credits.definitions import credits_of
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import Place

_RUN_RATE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class GrantLeft:
    """What is left of one grant."""

    grant: Grant
    remaining: Decimal
    held: Decimal
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What a customer has of one credit type at an instant.

    Attributes:
        customer: Whose.
        credit: The type's key.
        name: What one credit is called.
        at: The instant; everything acknowledged before it is in.
        available: Credits that can be used or reserved.
        held: Credits reserved.
        balance: Both together.
        granted: Credits of the running grants, as they were given.
        overage: Credits used that no grant paid for.
        used: Credits used since the last period was closed.
        grants: What is left of each running grant, in the order they are used.
    """

    customer: str
    credit: str
    name: str
    at: datetime
    available: Decimal
    held: Decimal
    balance: Decimal
    granted: Decimal
    overage: Decimal
    used: Decimal
    grants: tuple[GrantLeft, ...]


def balance(tx: Transaction, customer: str, credit: str, *, at: datetime | None = None) -> Balance:
    """The balance now, or as it stood at an instant, by everything that is known today.

    Raises:
        NotFoundError: If there is no such customer or credit type.
        InvalidInputError: For an instant in the future.
    """
    if at is None and (found := _by_row(tx, customer, credit)) is not None:
        return found
    return _balance(*_account_at(tx, customer, credit, at))


def balances(tx: Transaction, customer: str, *, at: datetime | None = None) -> list[Balance]:
    """The balances of every credit type of which the customer has, or is given, any."""
    get_customer(tx, customer)
    return [balance(tx, customer, credit, at=at) for credit in credits_of(tx, customer)]


def credit_statement(
    tx: Transaction,
    customer: str,
    credit: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    by: str = "meter",
) -> Statement:
    """What there was, what came, what it was used for and what is left, for an interval.

    Args:
        tx: The transaction.
        customer: Whose.
        credit: The type's key.
        start: The beginning; of the running billing period where left out.
        end: The end; now where left out.
        by: What usage is summed up by: ``meter``, ``product``, ``member`` or a dimension.

    Raises:
        NotFoundError: If there is no such customer or credit type.
        InvalidInputError: For an interval that is empty or not over yet.
    """
    book, account, over = _over(tx, customer, credit, start, end)
    _check_by(book, account, by)
    found = statement(account, book.facts, over, by=by, unit=_unit(book))
    lines = tuple(replace(line, at=min(line.at, book.at)) for line in found.lines)
    return replace(found, lines=lines)


@exact
def credit_burn(
    tx: Transaction,
    customer: str,
    credit: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    by: str = "meter",
) -> tuple[Interval, list[tuple[str | None, Decimal]]]:
    """Credits used in an interval by the values of ``meter``, ``product``, ``member`` or a dimension, the most first.

    Raises:
        NotFoundError: If there is no such customer or credit type.
        InvalidInputError: For an interval that is empty or not over yet.
    """
    book, account, over = _over(tx, customer, credit, start, end)
    _check_by(book, account, by)
    drawn: list[tuple[Workload, Decimal]] = []
    for each in account.happenings:
        if each.burn is None or each.burn.purpose == "void" or not over.start <= each.at < over.end:
            continue
        sign = {"drawn": 1, "uncovered": 1, "restored": -1, "dropped": -1}.get(each.kind, 0)
        drawn.append((each.burn.work, sign * each.amount))
    return over, [(value, amount) for value, amount in by_workload(drawn, by).items() if amount]


def credit_forecast(tx: Transaction, customer: str, credit: str) -> Forecast:
    """When the balance runs out if usage goes on as in the last seven days.

    Raises:
        NotFoundError: If there is no such customer or credit type.
    """
    _, account = _account_at(tx, customer, credit, None, whole=True)
    recent = [each.burn for each in account.happenings if each.burn is not None and each.kind == "drawn"]
    unique = {(burn.at, burn.key): burn for burn in recent}
    return forecast(account, unique.values(), Interval(account.at - _RUN_RATE, account.at))


def _account_at(
    tx: Transaction, customer: str, credit: str, at: datetime | None, *, whole: bool = False
) -> tuple[Book, Account]:
    place = Place(tx.workspace.id, customer, credit)
    get_customer(tx, customer)
    if at is None:
        book = read_book(tx, place, whole=whole)
        return book, book.account()
    if at > tx.now:
        raise InvalidInputError("the future is not known yet", field="at", hint="ask for a forecast")
    book = read_book(tx, place, whole=True)
    return book, book.account(at)


def _over(
    tx: Transaction, customer: str, credit: str, start: datetime | None, end: datetime | None
) -> tuple[Book, Account, Interval]:
    book, account = _account_at(tx, customer, credit, end, whole=True)
    if start is None:
        start = next(
            (each.interval.start for each in reversed(book.periods) if each.interval.start < account.at),
            book.usage_since,
        )
    if start >= account.at:
        raise InvalidInputError("the interval is empty", field="start", hint="let it start before it ends")
    return book, account, Interval(start, account.at)


def _check_by(book: Book, account: Account, by: str) -> None:
    """Refuse what neither a meter nor anything that was used says of the work."""
    counted = {
        name
        for period in book.periods
        for _, meter in burn_meters(book.definition, period)
        for name in meter.dimension_names
    }
    said = {name for each in account.happenings if each.burn for name in each.burn.work.dimensions}
    known = ("meter", "product", "member", *sorted(counted | said))
    if by not in known:
        raise InvalidInputError(
            f"nothing is said of {by[:60]!r}", field="by", hint=f"sum up by {', '.join(known)}"
        )


@exact
def _balance(book: Book, account: Account) -> Balance:
    grants = {grant.id: grant for grant in book.facts.grants}
    left = tuple(
        GrantLeft(grants[lot.key.grant], lot.remaining, lot.held, lot.end)
        for lot in account.lots
        if lot.held or not lot.ended
    )
    used = account.sum_of("drawn", "uncovered") - account.sum_of("restored", "dropped")
    return Balance(
        customer=book.row.place.customer,
        credit=book.row.place.credit,
        name=_unit(book),
        at=min(account.at, book.at),
        available=account.available,
        held=account.held,
        balance=account.balance,
        granted=account.granted,
        overage=max(account.overage, ZERO),
        used=used,
        grants=left,
    )


def _by_row(tx: Transaction, customer: str, credit: str) -> Balance | None:
    """The same balance by what the account's row says; None where the replay must be asked."""
    place = Place(tx.workspace.id, customer, credit)
    ready = quick_look(tx, place)
    if ready is None:
        return None
    standing = ready.standing
    names = list({lot.key.grant for lot in standing.lots})
    grants = {grant.id: grant for grant in store.named_grants(tx.connection, place, names)}
    left = (GrantLeft(grants[lot.key.grant], lot.remaining, lot.held, lot.end) for lot in standing.lots)
    return Balance(
        customer=customer,
        credit=credit,
        name=ready.name,
        at=max(tx.now, ready.row.as_of),
        available=standing.available,
        held=standing.held,
        balance=standing.available + standing.held,
        granted=standing.granted,
        overage=max(standing.overage, ZERO),
        used=standing.used,
        grants=tuple(left),
    )


def _unit(book: Book) -> str:
    return book.definition.credit.name or book.definition.credit.key
