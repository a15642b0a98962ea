"""After a change: the row says what the replay says, top-ups that fell due are made, and low balances are told."""

from dataclasses import replace
from datetime import timedelta

from valorem.core.ledger.account import Account
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.recharge import Purchase, advance, counted_balance
from valorem.core.numbers import plain
from valorem.engine.credits.accounts import Book
from valorem.engine.credits.quick import standing_row
from valorem.engine.credits.selling import Sale, sale_of_credits, sale_of_pack, write_sale
from valorem.engine.credits.telling import put, tell
from valorem.engine.credits.waking import next_look
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import purchases, top_ups
from valorem.store.postgres.purchases import PurchaseRow
from valorem.store.postgres.top_ups import TopUp

#: Every account is looked at again after so long, for what was used since.
LOOK_AGAIN = timedelta(hours=1)


def keep(tx: Transaction, book: Book, *, asked: str | None = None) -> Account:
    """Bring an account's row up to date after a change; the caller holds its lock.

    Args:
        tx: The transaction.
        book: The account after the change.
        asked: The member whose work was decided.

    Returns:
        The account as it now stands, top-ups included.
    """
    account = book.account()
    rules = top_ups.top_ups(tx.connection, book.row.place)
    for place, top_up in enumerate(rules):
        bought, rules[place] = _top_up(tx, book, account, top_up)
        if bought is not None:
            book = book.with_grants(bought)
            account = book.account()
    now = (account.available, account.held, account.overage)
    changed = now != (book.row.available, book.row.held, book.row.overage)
    row = replace(
        book.row,
        available=account.available,
        held=account.held,
        overage=account.overage,
        # looking at an account costs no version: the ledger has nothing to catch up with
        version=book.row.version + changed,
        as_of=book.at,
        tend_at=next_look(tx, book, account),
    )
    row = standing_row(tx, book, account, row, rules, asked)
    store.store(tx.connection, row)
    tell(tx, book.row, row, account.granted)
    return account


def _top_up(tx: Transaction, book: Book, account: Account, top_up: TopUp) -> tuple[Grant | None, TopUp]:
    """What a rule buys now, if anything, and the rule with what it has done."""
    tags = {grant.id: grant.tag for grant in book.facts.grants}
    balance = counted_balance(
        [(tags.get(lot.key.grant), lot.remaining) for lot in account.lots], top_up.rule.exclude
    )
    state, purchase = advance(top_up.rule, top_up.state, balance, book.at)
    if state != top_up.state:
        top_ups.move_top_up(tx.connection, book.row.place, top_up.rule.key, state)
    after = replace(top_up, state=state)
    if purchase is None:
        return None, after
    sale = _bought(book, top_up, purchase)
    given = not sale.on_payment or not sale.amount
    row = PurchaseRow(
        book.row.place,
        sale.grant.id,
        "due",
        write_sale(replace(sale, automatic=True)),
        None,
        book.at if given else None,
        book.at,
    )
    purchases.insert(tx.connection, row)
    payload = {
        "grant": sale.grant.id,
        "rule": top_up.rule.key,
        "amount": plain(sale.grant.amount),
        "cost": plain(sale.grant.cost),
        "currency": sale.grant.currency or "",
        "given": "at once" if given else "on payment",
    }
    put(tx, book.row.place, "credit.topped_up", purchase.id, payload, book.at)
    if not given:
        return None, after
    store.record_grants(tx.connection, book.row.place, [sale.grant], book.at)
    return sale.grant, after


def _bought(book: Book, top_up: TopUp, purchase: Purchase) -> Sale:
    name = f"top-up:{purchase.id}"
    if top_up.pack is not None:
        return sale_of_pack(book, top_up.pack, name=name)
    return sale_of_credits(book, purchase.credits, name=name, lasts=top_up.lasts)
