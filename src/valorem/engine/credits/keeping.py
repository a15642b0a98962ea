"""After a change: the row says what the replay says, top-ups that fell due are made, and low balances are told."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

from valorem.core.errors import UnprocessableError
from valorem.core.ledger.account import Account
from valorem.core.ledger.grants import Grant, ends_after
from valorem.core.ledger.recharge import Purchase, advance, counted_balance, price_of
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import quarter_hour_of, write_instant
from valorem.engine.alerts import note_credits
from valorem.engine.credits.accounts import Book
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import outbox
from valorem.store.postgres.credits import AccountRow, Place, TopUp
from valorem.store.postgres.outbox import Message

#: Of what was granted: a balance that falls to it is told as low.
LOW_SHARE = Decimal("0.2")


def keep(tx: Transaction, book: Book) -> Account:
    """Bring an account's row up to date after a change; the caller holds its lock.

    Returns:
        The account as it now stands, top-ups included.
    """
    account = book.account()
    for top_up in store.top_ups(tx.connection, book.row.place):
        bought = _top_up(tx, book, account, top_up)
        if bought is not None:
            book = book.with_grants(bought)
            account = book.account()
    if (account.available, account.held, account.overage) == (
        book.row.available,
        book.row.held,
        book.row.overage,
    ):
        return account  # nothing to write, so that looking at an account costs no row version
    row = replace(
        book.row,
        available=account.available,
        held=account.held,
        overage=account.overage,
        version=book.row.version + 1,
        as_of=book.at,
    )
    store.store(tx.connection, row)
    tell(tx, book.row, row, account.granted)
    fell = _fell(book.row, row)
    if fell:
        note_credits(tx, row.place.customer, fell)
    return account


@exact
def _fell(before: AccountRow, after: AccountRow) -> Decimal:
    """By how much the balance fell; what is only held or free again does not count."""
    return before.available + before.held - after.available - after.held


def tell(tx: Transaction, before: AccountRow, after: AccountRow, granted: Decimal) -> None:
    """Put into the outbox that a balance has become low, or that nothing is left."""
    low = granted * LOW_SHARE
    if after.available <= 0 < before.available:
        topic = "credit.exhausted"
    elif after.available <= low < before.available:
        topic = "credit.low"
    else:
        return
    payload = {"available": plain(after.available), "granted": plain(granted), "held": plain(after.held)}
    put(tx, after.place, topic, str(after.version), payload, after.as_of)


def put(
    tx: Transaction, place: Place, topic: str, occasion: str, payload: dict[str, str], at: datetime
) -> None:
    """Put one thing that happened to an account into the outbox; the same occasion is told once."""
    name = f"{place.customer}:{place.credit}"
    message = Message(
        part=place.part,
        id=uuid5(NAMESPACE_URL, f"valorem:{place.workspace}:{topic}:{name}:{occasion}"),
        topic=topic,
        object=name,
        payload={"customer": place.customer, "credit": place.credit, "at": write_instant(at), **payload},
    )
    outbox.put(tx.connection, place.workspace, [message], at)


def _top_up(tx: Transaction, book: Book, account: Account, top_up: TopUp) -> Grant | None:
    tags = {grant.id: grant.tag for grant in book.facts.grants}
    balance = counted_balance(
        [(tags.get(lot.key.grant), lot.remaining) for lot in account.lots], top_up.rule.exclude
    )
    state, purchase = advance(top_up.rule, top_up.state, balance, book.at)
    if state != top_up.state:
        store.move_top_up(tx.connection, book.row.place, top_up.rule.key, state)
    if purchase is None:
        return None
    grant = _bought(book, top_up, purchase)
    store.record_grants(tx.connection, book.row.place, [grant], book.at)
    payload = {
        "grant": grant.id,
        "rule": top_up.rule.key,
        "amount": plain(grant.amount),
        "cost": plain(grant.cost),
        "currency": grant.currency or "",
    }
    put(tx, book.row.place, "credit.topped_up", purchase.id, payload, book.at)
    return grant


def _bought(book: Book, top_up: TopUp, purchase: Purchase) -> Grant:
    name = f"top-up:{purchase.id}"
    if top_up.pack is not None:
        return pack_grant(book, top_up.pack, name=name)
    cost, currency = credit_cost(book, purchase.credits)
    return Grant(
        id=name,
        amount=purchase.credits,
        start=quarter_hour_of(book.at),
        expires=ends_after(quarter_hour_of(book.at), top_up.lasts, book.definition.zone),
        source="purchased",
        cost=cost,
        currency=currency,
        created_at=book.at,
        zone=book.definition.zone,
    )


@exact
def credit_cost(book: Book, amount: Decimal) -> tuple[Decimal, str]:
    """What credits cost at the credit type's price, in the customer's currency.

    Raises:
        UnprocessableError: Where they are not sold in that currency.
    """
    credit, currency = book.definition.credit, book.definition.customer.currency
    each = credit.unit_price(currency, book.at)
    if each is None:
        raise UnprocessableError(
            f"{credit.key} has no price in {currency}",
            field="credit",
            hint=f"write price: {{{currency}: …}} in the credit type",
        )
    return price_of(amount, each, currency), currency


@exact
def pack_grant(
    book: Book, key: str, *, name: str, quantity: Decimal = Decimal(1), holder: str | None = None
) -> Grant:
    """The grant that packs of the catalog give.

    Raises:
        UnprocessableError: Where there is no such pack, or it is not sold in the customer's currency.
    """
    credit, currency = book.definition.credit, book.definition.customer.currency
    pack = credit.packs.get(key)
    if pack is None or currency not in pack.price:
        raise UnprocessableError(
            f"{credit.key} sells no pack {key!r}" + ("" if pack is None else f" in {currency}"),
            field="pack",
            hint=f"it sells {', '.join(sorted(credit.packs)) or 'none'}",
        )
    if pack.pool == "seat" and holder is None:
        raise UnprocessableError(f"pack {key} is for one member", field="holder", hint="say whose it is")
    cost = pack.price[currency] * quantity
    return Grant(
        id=name,
        amount=pack.amount * quantity,
        start=quarter_hour_of(book.at),
        expires=ends_after(quarter_hour_of(book.at), pack.expires, book.definition.zone),
        priority=pack.priority,
        source="purchased",
        cost=cost,
        currency=currency if cost > ZERO else None,
        scope=pack.scope.scope,
        holder=holder if pack.pool == "seat" else None,
        created_at=book.at,
        rollover=pack.rollover,
        zone=book.definition.zone,
    )
