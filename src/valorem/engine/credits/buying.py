"""Buy credits: a one-off invoice and its payment, and the credits at once or when it is paid.

Whoever writes an invoice locks the series of its numbers before any account. A top-up is decided while an account is
locked, so its invoice is written in a transaction of its own, a moment later.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from valorem.core.errors import ConflictError, InvalidInputError
from valorem.core.numbers import ONE, plain
from valorem.engine.credits.accounts import Book, locked, read_book
from valorem.engine.credits.fulfilling import fulfil, tell_given
from valorem.engine.credits.keeping import keep
from valorem.engine.credits.selling import Sale, read_sale, sale_of_credits, sale_of_pack, write_sale
from valorem.engine.customers import get_customer
from valorem.engine.engine import Engine, Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.one_off import (
    WrittenInvoice,
    WrittenLine,
    ask_taxes,
    tax_question,
    waits_for_taxes,
    write_invoice,
)
from valorem.engine.payments import ask_payer
from valorem.engine.retrying import in_transaction
from valorem.engine.sealing import SERIES
from valorem.engine.taxing import Question, ask
from valorem.store.postgres import credits as store
from valorem.store.postgres import invoices, lives, purchases
from valorem.store.postgres.credits import Place
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.purchases import PurchaseRow

_BATCH = 20


@dataclass(frozen=True, slots=True)
class NewPurchase:
    """What a customer buys: packs, or single credits.

    Attributes:
        customer: The customer's key.
        credit: The credit type's key.
        pack: A pack of the catalog.
        quantity: How many packs.
        amount: Instead: how many credits, at the type's price.
        lasts: For single credits, how long they can be used; for ever where left out.
        holder: The member whose allowance it is.
        id: The caller's own; the same again is the same purchase. Made where left out.
        on_payment: Whether the credits are given when the invoice is paid; by the credit type's policy where left out.
    """

    customer: str
    credit: str
    pack: str | None = None
    quantity: Decimal = ONE
    amount: Decimal | None = None
    lasts: tuple[int, str] | None = None
    holder: str | None = None
    id: str | None = None
    on_payment: bool | None = None


@dataclass(frozen=True, slots=True)
class Purchase:
    """Credits that were sold.

    Attributes:
        row: Where it stands.
        sale: What was sold.
        invoice: The invoice; None while it is not written, or where nothing was charged.
        available: Credits that can be used now; None in a list.
        waits: Why its invoice cannot be written yet.
    """

    row: PurchaseRow
    sale: Sale
    invoice: InvoiceHeader | None
    available: Decimal | None = None
    waits: str | None = None


def buy_credits(tx: Transaction, new: NewPurchase) -> Purchase:
    """Sell credits: write the invoice, ask for its payment where a provider knows the customer, and give the credits.

    Raises:
        NotFoundError: If there is no such customer or credit type.
        InvalidInputError: Naming the field.
        UnprocessableError: Where they are not sold in the customer's currency.
        ConflictError: If the id was used for something else.
    """
    _check_what(new)
    get_customer(tx, new.customer)
    place = Place(tx.workspace.id, new.customer, new.credit)
    invoices.lock_series(tx.connection, tx.workspace.id, SERIES)
    with locked(tx, place) as book:
        name = new.id or new_id("crd", place.part, book.at)
        sale = _sale(book, new, name)
        known = purchases.find(tx.connection, place, name)
        if known is not None:
            return _again(tx, known, sale)
        if store.find_grant(tx.connection, place, name) is not None:
            raise ConflictError(f"there is a grant {name} already", field="id", hint="use a new id")
        given = not sale.on_payment or not sale.amount
        row = PurchaseRow(place, name, "due", write_sale(sale), None, book.at if given else None, book.at)
        purchases.insert(tx.connection, row)
        if given:
            store.record_grants(tx.connection, place, [sale.grant], book.at)
            tell_given(tx, book, sale.grant)
            keep(tx, book.with_grants(sale.grant))
    return _charge(tx, row)


def ask_purchase_taxes(engine: Engine, workspace: int, new: NewPurchase) -> None:
    """Ask an outside tax engine about a purchase that is about to be made, where the workspace has one.

    Raises:
        OverloadedError: Where it does not answer. Nothing was written.
        NotFoundError: If there is no such customer or credit type.
        InvalidInputError: Naming the field.
        UnprocessableError: Where they are not sold in the customer's currency.
    """
    _check_what(new)
    with engine.transaction(workspace) as tx:
        get_customer(tx, new.customer)
        place = Place(workspace, new.customer, new.credit)
        if new.id is not None and purchases.find(tx.connection, place, new.id) is not None:
            return
        sale = _sale(read_book(tx, place), new, new.id or "")
    if sale.amount:
        ask_taxes(engine, workspace, _written(new.customer, sale))


def preview_purchase(tx: Transaction, new: NewPurchase) -> Purchase:
    """What a purchase comes to, taxes included: it is made, looked at, and undone.

    Raises:
        Everything that :func:`buy_credits` raises.
    """
    with tx.connection.transaction(force_rollback=True):
        return buy_credits(tx, new)


def list_purchases(
    tx: Transaction, customer: str, *, after: str | None = None, limit: int = 50
) -> list[Purchase]:
    """A customer's purchases in order of id, from after an id on.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    rows = purchases.page(tx.connection, tx.workspace.id, customer, after=after, limit=limit)
    return [_purchase(tx, row) for row in rows]


def charge_purchases(engine: Engine, workspace: int) -> int:
    """Write the invoices of purchases that top-up rules decided; how many. Run twice, or in parallel, each gets one.

    Where an outside tax engine does not answer, a purchase waits and says why, and the others go on.
    """
    charged = 0
    waiting: set[tuple[str, str, str]] = set()
    while True:
        without = sorted(waiting)
        questions, some, asked = in_transaction(engine, workspace, partial(_charge_some, waiting=without))
        charged += some
        waiting |= asked
        if ask(engine, workspace, questions):
            waiting.clear()  # each round ends with fewer that wait, or with none that was answered
        elif some + len(asked) < _BATCH:
            return charged


def _charge_some(
    tx: Transaction, waiting: Sequence[tuple[str, str, str]]
) -> tuple[list[Question], int, set[tuple[str, str, str]]]:
    """Write some invoices; what the tax engine has to be asked for others, how many were written, and those others."""
    invoices.lock_series(tx.connection, tx.workspace.id, SERIES)
    rows = purchases.due(tx.connection, tx.workspace.id, without=waiting, limit=_BATCH)
    questions: list[Question] = []
    asked: set[tuple[str, str, str]] = set()
    for row in rows:
        sale = read_sale(row.id, row.terms)
        question = tax_question(tx, _written(row.place.customer, sale)) if sale.amount else None
        if question is None:
            _charge(tx, row)
        else:
            questions.append(question)
            asked.add((row.place.customer, row.place.credit, row.id))
    return questions, len(rows) - len(asked), asked


def _check_what(new: NewPurchase) -> None:
    if (new.pack is None) == (new.amount is None):
        raise InvalidInputError("packs or credits are bought", field="pack", hint="give a pack or an amount")


def _sale(book: Book, new: NewPurchase, name: str) -> Sale:
    if new.pack is not None:
        return sale_of_pack(
            book, new.pack, name=name, quantity=new.quantity, holder=new.holder, on_payment=new.on_payment
        )
    assert new.amount is not None  # one of both
    return sale_of_credits(
        book, new.amount, name=name, lasts=new.lasts, holder=new.holder, on_payment=new.on_payment
    )


def _written(customer: str, sale: Sale) -> WrittenInvoice:
    line = WrittenLine(sale.description, sale.unit_amount, sale.quantity, sale.tax_code)
    return WrittenInvoice(customer, [line])


def _charge(tx: Transaction, row: PurchaseRow) -> Purchase:
    """Write the invoice of a purchase; the caller has locked the series of numbers."""
    sale = read_sale(row.id, row.terms)
    if not sale.amount:
        row = replace(row, state="paid")
        purchases.move(tx.connection, row)
        return _purchase(tx, row)
    header = write_invoice(tx, _written(row.place.customer, sale))
    row = replace(row, state="invoiced", invoice=header.id)
    purchases.move(tx.connection, row)
    if lives.load_many(tx.connection, tx.workspace.id, [header.id])[header.id].owed > 0:
        ask_payer(tx, header)
    else:
        fulfil(tx, row)
    return _purchase(tx, row)


def _again(tx: Transaction, known: PurchaseRow, sale: Sale) -> Purchase:
    before = read_sale(known.id, known.terms)
    if (before.grant.amount, before.amount, before.grant.holder) != (
        sale.grant.amount,
        sale.amount,
        sale.grant.holder,
    ):
        raise ConflictError(
            f"purchase {known.id} bought {plain(before.grant.amount)} credits for {plain(before.amount)}",
            field="id",
            hint="a new purchase needs a new id",
        )
    return _purchase(tx, known)


def _purchase(tx: Transaction, row: PurchaseRow) -> Purchase:
    found = purchases.find(tx.connection, row.place, row.id)
    assert found is not None  # the caller has read or written it
    header = None if found.invoice is None else invoices.load(tx.connection, tx.workspace.id, found.invoice)
    account = store.load(tx.connection, row.place)
    sale = read_sale(found.id, found.terms)
    waits = None
    if found.state == "due" and sale.amount:
        waits = waits_for_taxes(tx, _written(row.place.customer, sale))
    return Purchase(found, sale, header, None if account is None else account.available, waits)
