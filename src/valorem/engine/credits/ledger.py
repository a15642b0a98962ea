"""The ledger: entries that follow from the replay, appended and chained; their check and their export."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from valorem.core.calendar import add_days, start_of_day
from valorem.core.errors import InvalidInputError
from valorem.core.ledger.account import Account, Checkpoint
from valorem.core.ledger.chain import Link, link, verify
from valorem.core.ledger.entries import catch_up, entries_of, lot_balances, trial_balance
from valorem.core.ledger.replay import replay
from valorem.core.ledger.revenue import Recognised, by_day_of
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.periods import Interval
from valorem.engine.credits.accounts import MOMENT, Book, opened, read_book
from valorem.engine.credits.definitions import definition_of
from valorem.engine.credits.keeping import keep
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import ledger
from valorem.store.postgres.credits import AccountRow, Place

_MOST_DAYS = 400


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What was found of one account's ledger.

    Attributes:
        customer: Whose account.
        credit: Of which type.
        entries: How many entries there are.
        problems: What is wrong, in words; empty where everything holds.
    """

    customer: str
    credit: str
    entries: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Booked:
    """One entry of an export."""

    place: Place
    link: Link
    booked_at: datetime


def book_entries(tx: Transaction, place: Place, book: Book) -> int:
    """Append what leads from the booked entries to what stands; the caller holds the account's lock.

    Returns:
        How many entries were appended.
    """
    since = book.checkpoint.at if book.checkpoint else None
    booked = [each.entry for each, _ in ledger.links(tx.connection, place, since=since)]
    standing = entries_of(book.account().happenings, place.credit)
    missing = catch_up(booked, standing, open_from=since)
    row = store.load(tx.connection, place)
    assert row is not None  # it is locked, so it is there
    after = Link(row.entries, missing[0], row.head) if missing and row.head is not None else None
    new = link(missing, after)
    ledger.append(tx.connection, place, new, row.version, book.at)
    return len(new)


def tend(tx: Transaction, place: Place) -> int:
    """Bring an account's row and its ledger up to date.

    Returns:
        How many entries were appended.
    """
    keep(tx, opened(tx, place, store.lock(tx.connection, place, tx.now)))
    return book_entries(tx, place, read_book(tx, place, row=store.load(tx.connection, place)))


def verify_ledger(
    tx: Transaction, *, customer: str | None = None, credit: str | None = None
) -> list[LedgerCheck]:
    """Check accounts: the chain, the sums, and both against the replay of everything that is recorded.

    What has happened since an account was last looked at is booked first, so the transaction must be able to write.
    """
    places = store.accounts(tx.connection, tx.workspace.id, customer)
    return [_check(tx, place) for place in places if credit in (None, place.credit)]


def export_ledger(
    tx: Transaction, *, customer: str, credit: str, after: int = 0, limit: int = 500
) -> Iterator[Booked]:
    """An account's entries in order, from after a number on.

    Raises:
        NotFoundError: If there is no such customer or credit type.
    """
    place = Place(tx.workspace.id, customer, credit)
    if store.load(tx.connection, place) is None:
        definition_of(tx, place)
    for each, booked_at in ledger.links(tx.connection, place, after=after, limit=limit):
        yield Booked(place, each, booked_at)


@dataclass(frozen=True, slots=True)
class RevenueRow:
    """What one day brings of one credit type; without a currency it is of credits that cost nothing."""

    day: date
    credit: str
    currency: str
    recognised: Recognised


@exact
def revenue_by_day(
    tx: Transaction,
    start: date,
    end: date,
    *,
    customer: str | None = None,
    credit: str | None = None,
    zone: str = "UTC",
) -> list[RevenueRow]:
    """Prepaid revenue as booked, by day: drawn at cost basis, breakage on expiry, free credits apart.

    Args:
        tx: The transaction.
        start: The first local day.
        end: The last one.
        customer: Only this customer's.
        credit: Only of this credit type.
        zone: IANA zone of the days.

    Raises:
        NotFoundError: If there is no such customer.
        InvalidInputError: Where the end is before the start, or the time is too long.
    """
    if end < start or (end - start).days >= _MOST_DAYS:
        said = f"{end} is before {start}" if end < start else f"{(end - start).days + 1} days are too many"
        raise InvalidInputError(said, field="end", hint=f"ask for 1 to {_MOST_DAYS} days at a time")
    if customer is not None:
        get_customer(tx, customer)
    over = Interval(start_of_day(start, zone), start_of_day(add_days(end, 1), zone))
    sums: dict[tuple[date, str, str], Recognised] = {}
    for place in store.accounts(tx.connection, tx.workspace.id, customer):
        if credit not in (None, place.credit):
            continue
        entries = ledger.within(tx.connection, place, over)
        paid = store.paid_grants(tx.connection, place)
        for (day, currency), one in by_day_of(entries, place.credit, paid, zone).items():
            key = day, place.credit, currency
            sums[key] = sums.get(key, Recognised()) + one
    return [RevenueRow(*key, one) for key, one in sorted(sums.items())]


def _check(tx: Transaction, place: Place) -> LedgerCheck:
    row = store.lock(tx.connection, place, tx.now)
    links = [each for each, _ in ledger.links(tx.connection, place)]
    problems = [*_chain_problems(row, links), *_row_problems(row, links)]
    if not problems:
        tend(tx, place)
        row = store.lock(tx.connection, place, tx.now)
        links = [each for each, _ in ledger.links(tx.connection, place)]
        problems = [
            *_chain_problems(row, links),
            *_row_problems(row, links),
            *_replay_problems(tx, row, links),
        ]
    return LedgerCheck(place.customer, place.credit, len(links), tuple(problems))


def _chain_problems(row: AccountRow, links: list[Link]) -> Iterator[str]:
    broken = verify(links, head=row.head)
    if broken is not None:
        yield broken.reason
    if len(links) != row.entries:
        yield f"{row.entries} entries were booked, {len(links)} are there"


def judged(tx: Transaction, row: AccountRow) -> Account:
    """A replay of everything recorded from the beginning; what a closed period dropped stays dropped."""
    book = read_book(tx, row.place, row=row, whole=True)
    checkpoint: Checkpoint | None = None
    for period in store.closed_periods(tx.connection, row.place):
        account = replay(book.facts, period.end, book.policies, checkpoint=checkpoint)
        checkpoint = account.checkpoint.closed()
    return replay(book.facts, book.at + MOMENT, book.policies, checkpoint=checkpoint)


@exact
def _row_problems(row: AccountRow, links: list[Link]) -> Iterator[str]:
    """What the row and the entries say against each other, where both are of one version."""
    sums = trial_balance(each.entry for each in links)
    units: dict[str, Decimal] = {}
    for (unit, _), amount in sums.items():
        units[unit] = units.get(unit, ZERO) + amount
    for unit, amount in units.items():
        if amount:
            yield f"debits and credits of {unit} differ by {plain(amount)}"
    if row.booked != row.version:
        return
    for name in ("available", "held"):
        kept, found = getattr(row, name), sums.get((row.place.credit, name), ZERO)
        if kept != found:
            yield f"{name} is kept as {plain(kept)}, the entries say {plain(found)}"


@exact
def _replay_problems(tx: Transaction, row: AccountRow, links: list[Link]) -> Iterator[str]:
    """What the row and the entries say against a replay of everything from the beginning."""
    account = judged(tx, row)
    for name in ("available", "held", "overage"):
        kept, found = getattr(row, name), getattr(account, name)
        if kept != found:
            yield f"{name} is kept as {plain(kept)}, the replay says {plain(found)}"
    entries = (each.entry for each in links)
    left = {key: amount for key, amount in lot_balances(entries, row.place.credit).items() if amount}
    stands = {lot.key: lot.remaining + lot.held for lot in account.lots if lot.remaining + lot.held}
    for key in sorted(left.keys() | stands.keys()):
        if left.get(key) != stands.get(key):
            yield (
                f"of grant {key.grant} the entries leave {plain(left.get(key, ZERO))}, "
                f"the replay {plain(stands.get(key, ZERO))}"
            )
