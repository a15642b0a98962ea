"""Accounts: put a customer under another, and say who pays for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from valorem.core.contracts.accounts import Account
from valorem.core.contracts.sources import Relation, accounts_at, edges_of, reached_from
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.time import parse_grid_instant, write_instant
from valorem.engine.alerts import arm
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.meters import let_ingest_look_again
from valorem.engine.sources import forget_families
from valorem.store.postgres import accounts, contracts, invoices

_MOST_CONTRACTS = 1000


@dataclass(frozen=True, slots=True)
class Family:
    """A customer's place among others, as it stands and as it stood.

    Attributes:
        account: Its place now.
        pays: Who is billed for its usage now.
        children: The customers directly under it now, by key.
        history: Its relations in order of time.
    """

    account: Account
    pays: str
    children: tuple[Account, ...]
    history: tuple[Relation, ...]


def set_account(tx: Transaction, account: Account, *, since: datetime | None = None) -> Family:
    """Say where a customer stands from an instant on: usage from then on is billed to whoever pays then.

    Args:
        tx: The transaction.
        account: Its place.
        since: On the quarter-hour grid; from always where left out.

    Raises:
        NotFoundError: If the customer or the parent does not exist.
        InvalidInputError: Where a customer would stand above itself.
        UnprocessableError: Where the two are billed in different currencies, or time that an invoice has billed would be
            billed to somebody else.
    """
    check_payer(account)
    customer = get_customer(tx, account.customer)
    start = None if since is None else parse_grid_instant(since, "since")
    if account.parent is not None:
        parent = get_customer(tx, account.parent)
        if account.payer == "parent" and parent.currency != customer.currency:
            raise UnprocessableError(
                f"{customer.key} is billed in {customer.currency}, {parent.key} in {parent.currency}",
                field="parent",
                hint="amounts are never converted; let it pay for itself",
            )
    known = [account.customer, *([account.parent] if account.parent else [])]
    before = accounts.load(tx.connection, tx.workspace.id, known)
    accounts.insert(tx.connection, tx.workspace.id, Relation(start, account), tx.now)
    forget_families(tx)
    after = accounts.load(tx.connection, tx.workspace.id, known)
    for at in edges_of(after):
        accounts_at(after, at)  # refuses a ring at any time
    members = reached_from(
        known, {key: [each.account.parent or key for each in rows] for key, rows in after.items()}
    )
    _check_billed(tx, sorted({*members, *before}), start)
    let_ingest_look_again(tx)  # a payer's billed periods may take no more use
    for member in sorted(members):
        arm(tx, member)
    return get_family(tx, account.customer)


def _check_billed(tx: Transaction, members: Sequence[str], since: datetime | None) -> None:
    """Refuse to move usage whose time an invoice has billed."""
    for member in members:
        rows = contracts.load_page(
            tx.connection, tx.workspace.id, customer=member, after=None, limit=_MOST_CONTRACTS
        )
        for row in rows:
            final = invoices.last_closed(tx.connection, tx.workspace.id, row.contract.id)
            if final is not None and (since is None or since < final):
                raise UnprocessableError(
                    f"{member} is billed until {write_instant(final)}",
                    field="since",
                    hint=f"let it begin at {write_instant(final)} or later",
                )


def get_family(tx: Transaction, customer: str) -> Family:
    """A customer's place among others.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    history = accounts.load(tx.connection, tx.workspace.id, [customer])
    now = accounts_at(history, tx.now)
    account = now.accounts.get(customer, Account(customer))
    children = tuple(each for _, each in sorted(now.accounts.items()) if each.parent == customer)
    return Family(account, now.payer_of(customer), children, tuple(history.get(customer, ())))


def check_payer(account: Account) -> None:
    """Refuse what cannot be counted.

    Raises:
        InvalidInputError: Where pooled usage should keep out of a commitment.
    """
    if account.payer == "parent" and account.tiers == "pooled" and account.commitments == "own":
        raise InvalidInputError(
            "usage that is counted together with the payer's draws from the payer's commitments",
            field="commitments",
            hint="count it apart (tiers: apart), or share the commitments",
        )
