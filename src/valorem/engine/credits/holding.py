"""Hold, settle, release: the account's lock puts them in order, so credits are never reserved twice."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from valorem.core.contracts.customer import check_text
from valorem.core.errors import NotFoundError
from valorem.core.ledger import holds as core
from valorem.core.ledger.account import Account
from valorem.core.ledger.admission import Verdict, soft_room, verdict_on
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.replay import spendable
from valorem.core.ledger.scope import UNSPECIFIED, Workload
from valorem.engine.credits.accounts import MOMENT, Book, locked, opened
from valorem.engine.credits.deciding import quick, quick_hold
from valorem.engine.credits.keeping import keep
from valorem.engine.credits.quick import place_quickly, resolve_quickly
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as accounts
from valorem.store.postgres import holds as store
from valorem.store.postgres.credits import Place


@dataclass(frozen=True, slots=True)
class HoldState:
    """A hold as it stands, and what the account has.

    Attributes:
        hold: The record.
        available: Credits that can be used or reserved after it.
        held: Credits reserved.
        verdict: ``allow``: credits pay for it; ``bill``: the rest is billed; ``throttle``: work may go on slowly; ``block``:
            it was refused.
    """

    hold: Hold
    available: Decimal
    held: Decimal
    verdict: Verdict


def place_hold(
    tx: Transaction,
    *,
    customer: str,
    credit: str,
    id: str,  # noqa: A002 - the word users know
    amount: Decimal,
    lasts: timedelta,
    work: Workload = UNSPECIFIED,
) -> HoldState:
    """Reserve credits before the work, if there are enough. The same id always gets the same answer.

    Args:
        tx: The transaction.
        customer: Whose credits.
        credit: Of which type.
        id: The caller's own.
        amount: Credits, above zero: the most the work can cost.
        lasts: For how long, counted from when the server decides.
        work: What it is for.

    Returns:
        The record: ``held``, or ``refused`` with by how much it was too large.

    Raises:
        NotFoundError: If there is no such customer or credit type.
        ConflictError: If the id was used for another amount or other work.
    """
    check_text(id, "id", 200)
    place = Place(tx.workspace.id, customer, credit)
    ready = quick(tx, place)
    if ready is not None and (done := place_quickly(tx, ready, id, amount, lasts, work)) is not None:
        hold, standing = done
        return HoldState(hold, standing.available, standing.held, verdict_on(hold, ready.policies))
    get_customer(tx, customer)
    with locked(tx, place) as found_book:
        book, known = found_book, store.find(tx.connection, place, id)
        available = Decimal(0)
        if known is None:
            available = _admitted(book, work)
            if available < amount:  # usage since may have made a top-up due, which comes first
                keep(tx, book, asked=work.member)
                book = opened(tx, place, accounts.lock(tx.connection, place, tx.now))
                available = _admitted(book, work)
        found = core.hold(
            id,
            amount,
            available=available,
            now=book.at,
            lasts=lasts,
            work=work,
            known=known,
            policies=book.policies,
        )
        if known is not None:
            return _state(core.expire(found, now=book.at), book.account(), book.policies)
        store.insert(tx.connection, place, found)
        return _state(found, keep(tx, book.with_hold(found), asked=work.member), book.policies)


def _admitted(book: Book, work: Workload) -> Decimal:
    """What this work may reserve now: what is left for it, and the soft room where there is any."""
    left = spendable(book.facts, book.at + MOMENT, work, book.policies, checkpoint=book.checkpoint)
    return left + soft_room(book.account(), book.policies)


def settle_hold(tx: Transaction, *, customer: str, credit: str, id: str, used: Decimal) -> HoldState:  # noqa: A002
    """Resolve a hold with what was used; the rest is free again.

    Raises:
        NotFoundError: If there is no such hold.
        InvalidInputError: For a negative amount, or one above the hold where the policy refuses that.
        ConflictError: If it was settled with another amount, or released.
        UnprocessableError: If it was refused, or has expired.
    """
    place = Place(tx.workspace.id, customer, credit)
    if (quickly := quick_hold(tx, place, id)) is not None:
        ready, known, parts = quickly
        found = core.settle(known, used, now=ready.at, policies=ready.policies)
        if (standing := resolve_quickly(tx, ready, known, parts, found)) is not None:
            return HoldState(found, standing.available, standing.held, verdict_on(found, ready.policies))
    with locked(tx, place) as book:
        known = _known(tx, place, id)
        found = core.settle(known, used, now=book.at, policies=book.policies)
        return _resolved(tx, book, known, found)


def release_hold(tx: Transaction, *, customer: str, credit: str, id: str) -> HoldState:  # noqa: A002
    """Give back everything a hold reserves.

    Raises:
        NotFoundError: If there is no such hold.
        ConflictError: If it was settled.
        UnprocessableError: If it was refused, or has expired.
    """
    place = Place(tx.workspace.id, customer, credit)
    if (quickly := quick_hold(tx, place, id)) is not None:
        ready, known, parts = quickly
        found = core.release(known, now=ready.at)
        if (standing := resolve_quickly(tx, ready, known, parts, found)) is not None:
            return HoldState(found, standing.available, standing.held, verdict_on(found, ready.policies))
    with locked(tx, place) as book:
        known = _known(tx, place, id)
        return _resolved(tx, book, known, core.release(known, now=book.at))


def get_hold(tx: Transaction, *, customer: str, credit: str, id: str) -> Hold:  # noqa: A002
    """A hold as it stands now.

    Raises:
        NotFoundError: If there is none.
    """
    return core.expire(_known(tx, Place(tx.workspace.id, customer, credit), id), now=tx.now)


def _resolved(tx: Transaction, book: Book, known: Hold, found: Hold) -> HoldState:
    if found == known:
        return _state(found, book.account(), book.policies)
    store.resolve(tx.connection, book.row.place, found)
    return _state(found, keep(tx, book.with_hold(found), asked=found.work.member), book.policies)


def _known(tx: Transaction, place: Place, name: str) -> Hold:
    found = store.find(tx.connection, place, name)
    if found is None:
        raise NotFoundError(f"there is no hold {name[:60]!r}", field="id")
    return found


def _state(hold: Hold, account: Account, policies: CreditPolicies) -> HoldState:
    return HoldState(hold, account.available, account.held, verdict_on(hold, policies))
