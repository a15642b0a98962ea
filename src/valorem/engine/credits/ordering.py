"""Orders of credits: paid in instalments on one schedule, usable in stretches on another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.contracts.agreed import Charge
from valorem.core.contracts.edits import AddCharge
from valorem.core.contracts.orders import instalments
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.core.ledger.commits import access
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.rollover import Rollover
from valorem.core.ledger.scope import EVERYTHING, Scope
from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import parse_grid_instant, quarter_hour_of, write_instant
from valorem.engine.contract_changes import ChangeRequest, change_contract
from valorem.engine.contracts import get_contract
from valorem.engine.credits.accounts import Book, locked
from valorem.engine.credits.keeping import keep
from valorem.engine.credits.selling import check_amount
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import Place


@dataclass(frozen=True, slots=True)
class Stretch:
    """Credits that can be used from an instant to another; for ever where it has no end."""

    amount: Decimal
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class CreditOrder:
    """What a customer orders.

    Attributes:
        contract: The contract whose invoices carry the instalments.
        credit: The credit type's key.
        id: The caller's own; a key, unique in the contract. The same again is the same order.
        name: How the instalments are called on invoices.
        stretches: What can be used when, in order.
        price: What all of it costs, in the contract's currency.
        invoiced_at: When each instalment is invoiced, rising; the price is split evenly, to the minor unit.
        priority: Lower is used first.
        scope: What it may pay for.
        rollover: What becomes of the rest of a stretch at its end.
    """

    contract: str
    credit: str
    id: str
    name: str
    stretches: Sequence[Stretch]
    price: Decimal
    invoiced_at: Sequence[datetime]
    priority: int = 50
    scope: Scope = EVERYTHING
    rollover: Rollover | None = None


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order as it was taken.

    Attributes:
        grants: One for each stretch; their costs add up to the price.
        instalments: The charges on the contract; they add up to the price too.
        currency: ISO 4217 code.
    """

    grants: tuple[Grant, ...]
    instalments: tuple[Charge, ...]
    currency: str


def order_credits(tx: Transaction, order: CreditOrder, author: str) -> Ordered:
    """Take an order: its instalments become charges on the contract's invoices, its credits grants with their dates.

    Raises:
        NotFoundError: If there is no such contract or credit type.
        InvalidInputError: Naming the field.
        UnprocessableError: For credits in a closed period.
        ConflictError: If the id was used for another order.
    """
    row = get_contract(tx, order.contract, lock=True)
    contract = row.contract
    place = Place(tx.workspace.id, contract.customer, order.credit)
    dates = [parse_grid_instant(at, "invoiced_at") for at in order.invoiced_at]
    parts = tuple(
        charge.model_copy(update={"commitment": None})
        for charge in instalments(order.id, order.name, order.price, contract.currency, dates)
    )
    with locked(tx, place) as book:
        grants = _grants(book, order, contract.currency)
        known = [store.find_grant(tx.connection, place, grant.id) for grant in grants]
        if any(known):
            return _again(order, grants, known, parts, contract.currency)
        store.record_grants(tx.connection, place, grants, book.at)
        keep(tx, book.with_grants(*grants))
    request = ChangeRequest(
        tuple(AddCharge(charge=charge) for charge in parts), "now", f"Order {order.id}", f"order:{order.id}"
    )
    change_contract(tx, order.contract, request, author)
    return Ordered(grants, parts, contract.currency)


def preview_order(tx: Transaction, order: CreditOrder, author: str) -> Ordered:
    """What an order comes to: it is taken, looked at, and undone.

    Raises:
        Everything that :func:`order_credits` raises.
    """
    with tx.connection.transaction(force_rollback=True):
        return order_credits(tx, order, author)


@exact
def _grants(book: Book, order: CreditOrder, currency: str) -> tuple[Grant, ...]:
    if not order.stretches:
        raise InvalidInputError("an order of nothing", field="stretches", hint="say what can be used when")
    if order.price < 0 or round_money(order.price, currency) != order.price:
        raise InvalidInputError(
            f"a price of {plain(order.price)} {currency}", field="price", hint="give whole minor units"
        )
    segments = [
        (_start(book, stretch), _end(stretch), check_amount(book, stretch.amount))
        for stretch in order.stretches
    ]
    if order.price and book.definition.customer.currency != currency:
        raise UnprocessableError(
            f"the customer pays in {book.definition.customer.currency}, the contract in {currency}",
            field="contract",
            hint="order on a contract in the customer's currency",
        )
    paid = Grant(
        id=f"order:{order.id}",
        amount=sum((amount for _, _, amount in segments), ZERO),
        start=segments[0][0],
        priority=order.priority,
        source="purchased",
        cost=order.price,
        currency=currency if order.price else None,
        scope=order.scope,
        rollover=order.rollover,
        zone=book.definition.zone,
    )
    return access(segments, paid)


def _start(book: Book, stretch: Stretch) -> datetime:
    start = parse_grid_instant(stretch.start, "stretches.start")
    earliest = book.row.closed_until
    if start < quarter_hour_of(book.at) and earliest is not None and start < earliest:
        raise UnprocessableError(
            f"the period before {write_instant(earliest)} is closed",
            field="stretches.start",
            hint=f"let it start at {write_instant(earliest)} or later",
        )
    return start


def _end(stretch: Stretch) -> datetime | None:
    end = None if stretch.end is None else parse_grid_instant(stretch.end, "stretches.end")
    if end is not None and end <= stretch.start:
        raise InvalidInputError("a stretch ends after it starts", field="stretches.end")
    return end


def _again(
    order: CreditOrder,
    grants: Sequence[Grant],
    known: Sequence[Grant | None],
    parts: tuple[Charge, ...],
    currency: str,
) -> Ordered:
    before = [(each.amount, each.start, each.cost) if each is not None else None for each in known]
    if before != [(each.amount, each.start, each.cost) for each in grants]:
        raise ConflictError(
            f"order {order.id} says something else already", field="id", hint="a new order needs a new id"
        )
    return Ordered(tuple(grants), parts, currency)
