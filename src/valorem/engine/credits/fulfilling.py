"""What becomes of sold credits when their invoice is paid or void, and of credits that paid an invoice that is void."""

from dataclasses import replace

from valorem.core.errors import UnprocessableError
from valorem.core.ledger import grants as core
from valorem.core.ledger.grants import Grant
from valorem.core.numbers import plain
from valorem.engine.credits.accounts import Book, locked
from valorem.engine.credits.keeping import keep
from valorem.engine.credits.selling import read_sale
from valorem.engine.credits.telling import put
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import purchases
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.purchases import PurchaseRow


def invoice_paid(tx: Transaction, header: InvoiceHeader) -> None:
    """Give the credits that waited for an invoice to be paid; those given before stay as they are."""
    for row in purchases.of_invoice(tx.connection, tx.workspace.id, header.customer, header.id):
        if row.state == "invoiced":
            fulfil(tx, row)


def fulfil(tx: Transaction, row: PurchaseRow) -> None:
    """A purchase is paid: give its credits unless they were given at once."""
    if row.granted_at is not None:
        purchases.move(tx.connection, replace(row, state="paid"))
        return
    with locked(tx, row.place) as book:
        grant = read_sale(row.id, row.terms).given_at(book.at)
        store.record_grants(tx.connection, row.place, [grant], book.at)
        purchases.move(tx.connection, replace(row, state="paid", granted_at=book.at))
        tell_given(tx, book, grant)
        keep(tx, book.with_grants(grant))


def invoice_voided(tx: Transaction, header: InvoiceHeader) -> None:
    """Take back what is unused of credits an invoice sold, and give back the credits that had paid it."""
    for row in purchases.of_invoice(tx.connection, tx.workspace.id, header.customer, header.id):
        purchases.move(tx.connection, replace(row, state="void"))
        if row.granted_at is not None:
            _take_back(tx, row)
    for place, burn in purchases.draws_for(tx.connection, tx.workspace.id, header.customer, header.id):
        if burn.amount <= 0:
            continue
        with locked(tx, place) as book:
            back = replace(burn, at=book.at, amount=-burn.amount)
            purchases.record_draws(tx.connection, place, [back], header.id)
            keep(tx, book.with_burns(back))


def tell_given(tx: Transaction, book: Book, grant: Grant) -> None:
    """Put into the outbox that credits were bought."""
    payload = {
        "grant": grant.id,
        "amount": plain(grant.amount),
        "cost": plain(grant.cost),
        "currency": grant.currency or "",
    }
    put(tx, book.row.place, "credit.bought", grant.id, payload, book.at)


def _take_back(tx: Transaction, row: PurchaseRow) -> None:
    with locked(tx, row.place) as book:
        grant = store.find_grant(tx.connection, row.place, row.id)
        if grant is None or grant.voided_at is not None:
            return
        try:
            changed = core.void(grant, book.at)
        except UnprocessableError:
            return  # it has ended, so nothing is left to take
        store.change_grant(tx.connection, row.place, changed)
        keep(tx, book.with_grants(changed))
