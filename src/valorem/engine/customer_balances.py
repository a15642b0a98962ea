"""Customers' balances: what is owed to them, and the entries that say why."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.billing import life as steps
from valorem.core.billing.customer_balance import BalanceEntry, apply_balance, balance_of
from valorem.core.billing.life import Life
from valorem.core.errors import UnprocessableError
from valorem.core.numbers import ZERO
from valorem.engine.credits.fulfilling import invoice_paid
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.settling import Standing, lock_invoice, standings, tell
from valorem.store.postgres import balances, lives
from valorem.store.postgres.invoices import InvoiceHeader


@dataclass(frozen=True, slots=True)
class CurrencyBalance:
    """A balance in one currency, with every entry of it."""

    currency: str
    amount: Decimal
    entries: Sequence[BalanceEntry]


def get_balances(tx: Transaction, customer: str) -> list[CurrencyBalance]:
    """What is owed to a customer, by currency.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    found = []
    for currency in balances.load_currencies(tx.connection, tx.workspace.id, customer):
        entries = balances.load_entries(tx.connection, tx.workspace.id, customer, currency)
        found.append(CurrencyBalance(currency, balance_of(entries).amount, entries))
    return found


def pay_from_balance(tx: Transaction, invoice: str) -> Standing:
    """Let the customer's balance pay what it can of a final invoice.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: If nothing is owed on it, or to the customer.
    """
    header, life = lock_invoice(tx, invoice)
    steps.check_step(life, "use_balance", tx.now)
    key = (tx.connection, tx.workspace.id, header.customer, header.currency)
    balances.lock(*key)
    applied = apply_balance(balance_of(balances.load_entries(*key)), [(header.id, life.owed)])
    total = sum((each.amount for each in applied), ZERO)
    if not total:
        raise UnprocessableError("nothing is owed to the customer", field="invoice")
    entries = [
        BalanceEntry(
            f"{header.id}:{each.credit}:{life.from_balance}",
            tx.now,
            "applied",
            each.credit,
            each.amount,
            header.id,
        )
        for each in applied
    ]
    balances.add(*key, entries)
    return _kept(tx, header, steps.use_balance(life, total, tx.now))


def _kept(tx: Transaction, header: InvoiceHeader, life: Life) -> Standing:
    lives.save(tx.connection, tx.workspace.id, header.id, life)
    if life.owed <= 0:
        invoice_paid(tx, header)
        tell(tx, header, "invoice.paid", life, payment="balance")
    return standings(tx, [header])[0]
