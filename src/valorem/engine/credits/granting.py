"""Grants by hand: give, take back, end at another time; members and top-up rules."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.errors import ConflictError, InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ledger import grants as core
from valorem.core.ledger.account import Account, Lot
from valorem.core.ledger.granting import Member
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.recharge import RechargeRule
from valorem.core.ledger.rollover import Rollover
from valorem.core.ledger.scope import EVERYTHING, Scope
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import parse_grid_instant, quarter_hour_of, write_instant
from valorem.engine.alerts import watch_anew
from valorem.engine.credits.accounts import Book, locked
from valorem.engine.credits.keeping import keep
from valorem.engine.credits.selling import check_amount, sale_of_pack, unit_price
from valorem.engine.credits.waking import wake
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.store.postgres import credits as store
from valorem.store.postgres import top_ups
from valorem.store.postgres.credits import Place
from valorem.store.postgres.top_ups import TopUp

Source = Literal["included", "purchased", "promotional", "adjustment"]


@dataclass(frozen=True, slots=True)
class NewGrant:
    """What a grant is made from.

    Attributes:
        customer: The customer's key.
        credit: The credit type's key.
        amount: Credits, above zero.
        id: The caller's own; the same id and amount is the same grant. Made where left out.
        start: From when it can be used, on the quarter-hour grid; this quarter hour where left out.
        expires: From when it cannot; never where left out.
        lasts: Instead of ``expires``: for how long.
        priority: Lower is used first.
        source: How it came about.
        cost: What was paid for all of it, in the customer's currency.
        scope: What it may pay for.
        holder: The member whose allowance it is.
        rollover: What becomes of the rest at its end.
        tag: A word of the operator's.
    """

    customer: str
    credit: str
    amount: Decimal
    id: str | None = None
    start: datetime | None = None
    expires: datetime | None = None
    lasts: tuple[int, str] | None = None
    priority: int = 50
    source: Source = "adjustment"
    cost: Decimal = ZERO
    scope: Scope = EVERYTHING
    holder: str | None = None
    rollover: Rollover | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class GrantState:
    """A grant and what is left of it.

    Attributes:
        grant: As it stands.
        remaining: Credits that can be used.
        held: Credits reserved.
        account: The account it is in.
    """

    grant: Grant
    remaining: Decimal
    held: Decimal
    account: Account


def give_grant(tx: Transaction, new: NewGrant) -> GrantState:
    """Give credits; what a customer pays for is :func:`valorem.engine.credits.buying.buy_credits`. An id that is known gives what it gave the first time.

    Raises:
        NotFoundError: If the customer or the credit type does not exist.
        InvalidInputError: Naming the field.
        UnprocessableError: For a start in a closed period.
        ConflictError: If the id was used for another amount.
    """
    place = Place(tx.workspace.id, new.customer, new.credit)
    get_customer(tx, new.customer)
    with locked(tx, place) as book:
        name = new.id or new_id("crd", place.part, book.at)
        known = store.find_grant(tx.connection, place, name)
        grant = _made(book, new, name)
        if known is not None:
            if known.amount != grant.amount:
                raise ConflictError(
                    f"grant {name} gave {plain(known.amount)} credits",
                    field="id",
                    hint="a new grant needs a new id",
                )
            return state_of(known, keep(tx, book))
        store.record_grants(tx.connection, place, [grant], book.at)
        return _kept(tx, book, grant)


def void_grant(tx: Transaction, customer: str, credit: str, name: str) -> GrantState:
    """Take back what is unused of a grant; what was used stays used.

    Raises:
        NotFoundError: If there is no such grant.
        UnprocessableError: If it has ended.
    """
    place = Place(tx.workspace.id, customer, credit)
    with locked(tx, place) as book:
        grant = _known(tx, place, name)
        if grant.voided_at is not None:
            return state_of(grant, keep(tx, book))
        changed = core.void(grant, book.at)
        store.change_grant(tx.connection, place, changed)
        return _kept(tx, book, changed)


def change_expiry(
    tx: Transaction, customer: str, credit: str, name: str, expires: datetime | None
) -> GrantState:
    """Let a grant end at another instant on the quarter-hour grid, or never.

    Raises:
        NotFoundError: If there is no such grant.
        UnprocessableError: If it has ended, or the new end has passed.
    """
    place = Place(tx.workspace.id, customer, credit)
    if expires is not None:
        expires = parse_grid_instant(expires, "expires")
    with locked(tx, place) as book:
        changed = core.change_expiry(_known(tx, place, name), expires, book.at)
        store.change_grant(tx.connection, place, changed)
        return _kept(tx, book, changed)


def list_grants(
    tx: Transaction, customer: str, credit: str, *, after: str | None = None, limit: int = 50
) -> list[Grant]:
    """Recorded grants in order of id, from after an id on.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    place = Place(tx.workspace.id, customer, credit)
    return [grant for grant, _ in store.grant_page(tx.connection, place, after=after, limit=limit)]


def set_member(
    tx: Transaction,
    customer: str,
    member: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Member:
    """Give somebody a seat with an allowance of their own, or say when it ends.

    Raises:
        NotFoundError: If there is no such customer.
        InvalidInputError: Where the end is not after the start.
    """
    get_customer(tx, customer)
    known = [one for one in store.members(tx.connection, tx.workspace.id, customer) if one.key == member]
    if since is None:
        since = known[-1].since if known and known[-1].until is None else quarter_hour_of(tx.now)
    since = parse_grid_instant(since, "since")
    until = None if until is None else parse_grid_instant(until, "until")
    if until is not None and until <= since:
        raise InvalidInputError(
            f"{write_instant(until)} is not after {write_instant(since)}", field="until", hint="end it later"
        )
    found = Member(member, since, until)
    store.set_member(tx.connection, tx.workspace.id, customer, found)
    wake(tx, customer)
    return found


def list_members(tx: Transaction, customer: str) -> list[Member]:
    """Who has, or had, a seat of a customer.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    return store.members(tx.connection, tx.workspace.id, customer)


def set_top_up(
    tx: Transaction,
    customer: str,
    credit: str,
    rule: RechargeRule,
    *,
    lasts: tuple[int, str] | None = None,
    pack: str | None = None,
) -> TopUp:
    """Buy credits whenever the balance falls to a threshold; once for each crossing, at most so often a day.

    Raises:
        NotFoundError: If there is no such customer or credit type.
        UnprocessableError: Where the pack, or single credits, are not sold in the customer's currency.
    """
    place = Place(tx.workspace.id, customer, credit)
    with locked(tx, place) as book:
        top_up = TopUp(rule, lasts=lasts, pack=pack)
        if pack is not None:
            sale_of_pack(book, pack, name="")
        else:
            unit_price(book)
        top_ups.set_top_up(tx.connection, place, top_up)
        keep(tx, book)
        return next(each for each in top_ups.top_ups(tx.connection, place) if each.rule.key == rule.key)


def list_top_ups(tx: Transaction, customer: str, credit: str) -> list[TopUp]:
    """An account's top-up rules, and how often each has bought.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    return top_ups.top_ups(tx.connection, Place(tx.workspace.id, customer, credit))


def remove_top_up(tx: Transaction, customer: str, credit: str, key: str) -> None:
    """Buy nothing more by a rule; what it bought stays.

    Raises:
        NotFoundError: If there is no such customer or rule.
    """
    get_customer(tx, customer)
    place = Place(tx.workspace.id, customer, credit)
    with locked(tx, place) as book:
        if not top_ups.remove_top_up(tx.connection, place, key):
            raise NotFoundError(
                f"there is no top-up rule {key[:60]!r}",
                field="key",
                hint=f"list them: valorem credits top-up list {customer} {credit}",
            )
        keep(tx, book)


@exact
def state_of(grant: Grant, account: Account) -> GrantState:
    """A grant with what is left of it."""
    lots: list[Lot] = [lot for lot in account.lots if lot.key.grant == grant.id]
    remaining = sum((lot.remaining for lot in lots), ZERO)
    return GrantState(grant, remaining, sum((lot.held for lot in lots), ZERO), account)


def _kept(tx: Transaction, book: Book, grant: Grant) -> GrantState:
    """The account after a new or changed grant, its alerts too: they may look at other ends now."""
    state = state_of(grant, keep(tx, book.with_grants(grant)))
    watch_anew(tx, book.row.place.customer)
    return state


def _made(book: Book, new: NewGrant, name: str) -> Grant:
    amount, currency = check_amount(book, new.amount), book.definition.customer.currency
    start = quarter_hour_of(book.at) if new.start is None else parse_grid_instant(new.start, "start")
    closed = book.row.closed_until
    if closed is not None and start < closed:
        raise UnprocessableError(
            f"the period before {write_instant(closed)} is closed",
            field="start",
            hint=f"let it start at {write_instant(closed)} or later",
        )
    if new.expires is not None and new.lasts is not None:
        raise InvalidInputError(
            "it ends at an instant or after a length of time", field="lasts", hint="give one of both"
        )
    expires = (
        core.ends_after(start, new.lasts, book.definition.zone)
        if new.expires is None
        else parse_grid_instant(new.expires, "expires")
    )
    if expires is not None and expires <= start:
        raise InvalidInputError(
            f"{write_instant(expires)} is not after the start, {write_instant(start)}",
            field="expires",
            hint="let it end later, or never",
        )
    return Grant(
        id=name,
        amount=amount,
        start=start,
        expires=expires,
        priority=new.priority,
        source=new.source,
        cost=new.cost,
        currency=currency if new.cost else None,
        scope=new.scope,
        holder=new.holder,
        created_at=book.at,
        rollover=new.rollover,
        tag=new.tag,
        zone=book.definition.zone,
    )


def _known(tx: Transaction, place: Place, name: str) -> Grant:
    found = store.find_grant(tx.connection, place, name)
    if found is None:
        raise NotFoundError(
            f"there is no grant {name[:60]!r}",
            field="grant",
            hint=f"list them: valorem credits grants {place.customer} {place.credit}",
        )
    return found
