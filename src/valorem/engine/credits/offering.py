"""Which credits a customer can buy, and what they cost."""

from dataclasses import dataclass
from decimal import Decimal

from valorem.core.errors import NotFoundError
from valorem.engine.catalog import current_catalog
from valorem.engine.credits.definitions import credits_of, definition_of
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.store.postgres.credits import Place


@dataclass(frozen=True, slots=True)
class PackOffer:
    """A pack on sale.

    Attributes:
        key: In the catalog.
        name: For people; None where it has none.
        amount: Credits in it.
        price: What it costs, in the customer's currency, before tax.
        lasts: How long it can be used; None for ever.
    """

    key: str
    name: str | None
    amount: Decimal
    price: Decimal
    lasts: tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class CreditOffer:
    """What there is to buy of one credit type.

    Attributes:
        credit: Its key.
        name: What one of it is called.
        currency: The customer's.
        packs: The cheapest first.
        unit_amount: What a single credit costs, before tax; None where they are sold in packs alone.
        on_payment: Whether they are given once their invoice is paid, rather than at once.
    """

    credit: str
    name: str
    currency: str
    packs: tuple[PackOffer, ...]
    unit_amount: Decimal | None
    on_payment: bool


def credit_offers(tx: Transaction, customer: str) -> list[CreditOffer]:
    """What a customer can buy: of the credit types it has, and of those that are sold in packs.

    Packs for single members are left out, as nobody is named here.

    Raises:
        NotFoundError: If there is no such customer.
    """
    currency = get_customer(tx, customer).currency
    try:
        sold = {key for key, kind in current_catalog(tx)[1].credits.items() if kind.packs}
    except NotFoundError:
        return []  # no catalog has been applied
    found = []
    for key in sorted({*credits_of(tx, customer), *sold}):
        credit = definition_of(tx, Place(tx.workspace.id, customer, key)).credit
        packs = [
            PackOffer(name, pack.name, pack.amount, pack.price[currency], pack.expires)
            for name, pack in credit.packs.items()
            if currency in pack.price and pack.pool == "account"
        ]
        each = credit.unit_price(currency, tx.now)
        if packs or each is not None:
            ordered = tuple(sorted(packs, key=lambda pack: (pack.price, pack.key)))
            on_payment = credit.policies.granted == "on payment"
            found.append(CreditOffer(key, credit.name or key, currency, ordered, each, on_payment))
    return found
