"""Money credits on an invoice: what there is of them lessens what is due, and the ledger says so in the same transaction."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.sealing import Prepaid, SealedInvoice
from valorem.core.errors import NotFoundError
from valorem.core.ledger.applying import Charge, InvoicePayment, pay_invoice
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.entries import write_lot
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.scope import Workload
from valorem.core.numbers import ZERO
from valorem.engine.catalog import current_catalog
from valorem.engine.credits.accounts import Book, opened
from valorem.engine.credits.definitions import definition_of
from valorem.engine.credits.keeping import keep
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import purchases
from valorem.store.postgres.credits import Place

#: Invoices that credits never pay: what somebody writes by hand, among it the sale of the credits themselves.
_NEVER = frozenset({"one_off", "preview"})


def pay_with_credits(
    tx: Transaction, invoice_id: str, invoice: Invoice, seal: Callable[[Prepaid | None], SealedInvoice]
) -> Prepaid | None:
    """Let money credits pay what they can of an invoice that is about to be final; None where they pay nothing.

    Args:
        tx: A transaction that has locked the series of numbers; the accounts that pay are locked here.
        invoice_id: Its id; the same invoice is paid once.
        invoice: Its lines.
        seal: The invoice as it is with what has paid it so far.
    """
    if invoice.kind in _NEVER or invoice.total <= 0:
        return None
    so_far: Prepaid | None = None
    for book in _books(tx, invoice):
        after_tax = book.policies.applied == "after tax"
        charges = list(_charges(tx, invoice, so_far, seal(so_far) if after_tax else None))
        paid = pay_invoice(_left(book), charges, invoice.currency, book.policies.order)
        if not paid.amount:
            continue
        known = so_far or Prepaid((ZERO,) * len(invoice.lines))
        if after_tax:
            so_far = replace(known, after_tax=known.after_tax + paid.amount)
        else:
            lines = tuple(one + other for one, other in zip(known.lines, paid.lines, strict=True))
            so_far = replace(known, lines=lines)
        _use(tx, book, invoice_id, paid)
    return so_far


def _books(tx: Transaction, invoice: Invoice) -> Iterator[Book]:
    """The customer's accounts of money credits that pay invoices in its currency: those before tax first, then by key."""
    places = []
    for credit in sorted(_candidates(tx, invoice)):
        place = Place(tx.workspace.id, invoice.customer, credit)
        try:
            kind = definition_of(tx, place).credit
        except NotFoundError:
            continue  # the catalog knows it no more
        if kind.lessens_invoices and kind.money == invoice.currency:
            places.append((kind.policies.applied == "after tax", place))
    for _, place in sorted(places, key=lambda each: (each[0], each[1].credit)):
        yield opened(tx, place, store.lock(tx.connection, place, tx.now))


def _candidates(tx: Transaction, invoice: Invoice) -> set[str]:
    connection, workspace = tx.connection, tx.workspace.id
    found: set[str] = set()
    # Most workspaces sell no credits: one look for all the invoices of a transaction. An account that is opened in it is
    # one of a credit type that the catalog has, and so is found below.
    if tx.once("credit accounts", lambda: store.any_accounts(connection, workspace)):
        found = {each.credit for each in store.accounts(connection, workspace, invoice.customer)}
    try:
        _, catalog = current_catalog(tx)
    except NotFoundError:
        return found
    return found | {key for key, each in catalog.credits.items() if each.money == invoice.currency}


def _left(book: Book) -> list[Grant]:
    """What is left of each filling, as a grant of its own."""
    grants = {grant.id: grant for grant in book.facts.grants}
    return [
        replace(
            grants[lot.key.grant],
            id=write_lot(lot.key),
            amount=lot.remaining,
            expires=lot.end,
            voided_at=None,
            refill=None,
            rolled=lot.key.carried,
        )
        for lot in book.account().lots
        if lot.remaining > 0 and not lot.ended and grants[lot.key.grant].holder is None
    ]


def _charges(
    tx: Transaction, invoice: Invoice, so_far: Prepaid | None, sealed: SealedInvoice | None
) -> Iterator[Charge]:
    """The lines as far as nothing has paid them; with their taxes where the sealed invoice is given."""
    rest = ZERO if so_far is None else so_far.after_tax
    for number, line in enumerate(invoice.lines):
        taken = ZERO if so_far is None else so_far.lines[number]
        amount, tax = line.amount - taken, ZERO
        if sealed is not None:
            taxed = sealed.settlement.taxed.lines[number]
            amount, tax = taxed.net, sum(taxed.taxes.values(), ZERO)
            already = min(max(amount + tax, ZERO), rest)
            rest -= already
            amount -= already
        yield Charge(str(number), amount, tax, _work(tx, line))


def _work(tx: Transaction, line: Line) -> Workload:
    """What a line is for, as scopes of grants name it: the meter and its feature, or the key of what is charged."""
    if line.kind != "usage":
        return Workload(product=line.key)
    return Workload(line.key, _feature(tx, line.key), line.dimensions)


def _feature(tx: Transaction, meter: str) -> str | None:
    try:
        _, catalog = current_catalog(tx)
    except NotFoundError:
        return None
    return next((key for key, each in sorted(catalog.features.items()) if each.meter == meter), None)


def _use(tx: Transaction, book: Book, invoice_id: str, paid: InvoicePayment) -> None:
    place = book.row.place
    burns = [
        Burn(book.at, f"invoice {invoice_id} {number:03}", amount, work)
        for number, (work, amount) in enumerate(paid.draws, 1)
    ]
    purchases.record_draws(tx.connection, place, burns, invoice_id)
    keep(tx, book.with_burns(*burns))
