"""What is sold: a pack of the catalog or single credits, what it costs, and the grant it gives."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.catalog.credits import Pack
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.ledger.grants import Grant, ends_after
from valorem.core.ledger.recharge import price_of
from valorem.core.ledger.written import read_grant, write_grant
from valorem.core.metering.conversion import round_quantity
from valorem.core.money import round_money
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.time import quarter_hour_of
from valorem.engine.credits.accounts import Book


@dataclass(frozen=True, slots=True)
class Sale:
    """One line of an invoice, and the grant it pays for.

    Attributes:
        description: Of the line.
        quantity: How many packs or credits.
        unit_amount: The price of one, in ``currency``.
        currency: ISO 4217 code.
        tax_code: As ``product`` in the rows of ``taxes/``.
        grant: As it begins if it is given at once.
        lasts: How long it can be used from when it is given; for ever where None.
        on_payment: Whether it is given when the invoice is paid.
        automatic: Whether a top-up rule decided it.
    """

    description: str
    quantity: Decimal
    unit_amount: Decimal
    currency: str
    tax_code: str | None
    grant: Grant
    lasts: tuple[int, str] | None
    on_payment: bool
    automatic: bool = False

    @property
    @exact
    def amount(self) -> Decimal:
        """What the line comes to, before tax."""
        return round_money(self.unit_amount * self.quantity, self.currency)

    def given_at(self, at: datetime) -> Grant:
        """The grant as it begins with the quarter hour of an instant."""
        start = quarter_hour_of(at)
        return replace(
            self.grant,
            start=start,
            expires=ends_after(start, self.lasts, self.grant.zone),
            created_at=at,
        )


@exact
def sale_of_pack(
    book: Book,
    key: str,
    *,
    name: str,
    quantity: Decimal = ONE,
    holder: str | None = None,
    on_payment: bool | None = None,
) -> Sale:
    """The sale of packs of the catalog.

    Raises:
        UnprocessableError: Where there is no such pack, it is not sold in the customer's currency, or nobody is named for
            a pack that one member gets.
        InvalidInputError: For a quantity that is not a whole number above zero.
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
    if quantity <= 0 or quantity != quantity.to_integral_value():
        raise InvalidInputError(
            f"{plain(quantity)} packs", field="quantity", hint="buy one or more whole packs"
        )
    amount, price = pack.amount * quantity, pack.price[currency]
    unit = credit.name or credit.key
    called = pack.name or key.replace("_", " ")
    grant = _grant(book, name, amount, round_money(price * quantity, currency), pack, holder)
    return Sale(
        description=f"{called}: {plain(pack.amount)} {unit}",
        quantity=quantity,
        unit_amount=price,
        currency=currency,
        tax_code=credit.tax,
        grant=grant,
        lasts=pack.expires,
        on_payment=book.policies.granted == "on payment" if on_payment is None else on_payment,
    )


@exact
def sale_of_credits(
    book: Book,
    amount: Decimal,
    *,
    name: str,
    lasts: tuple[int, str] | None = None,
    holder: str | None = None,
    on_payment: bool | None = None,
) -> Sale:
    """The sale of single credits at the credit type's price.

    Raises:
        UnprocessableError: Where they are not sold in the customer's currency.
        InvalidInputError: For an amount that is not above zero, or has more decimals than the credit type.
    """
    credit, currency = book.definition.credit, book.definition.customer.currency
    check_amount(book, amount)
    each = unit_price(book)
    grant = _grant(book, name, amount, price_of(amount, each, currency), None, holder)
    return Sale(
        description=credit.name or credit.key,
        quantity=amount,
        unit_amount=each,
        currency=currency,
        tax_code=credit.tax,
        grant=replace(grant, expires=ends_after(grant.start, lasts, grant.zone)),
        lasts=lasts,
        on_payment=book.policies.granted == "on payment" if on_payment is None else on_payment,
    )


def check_amount(book: Book, amount: Decimal | None) -> Decimal:
    """An amount of credits that can be given.

    Raises:
        InvalidInputError: Where there is none, it is not above zero, or has more decimals than the credit type.
    """
    credit = book.definition.credit
    if amount is None or amount <= 0:
        raise InvalidInputError(
            "an amount of credits is above zero", field="amount", hint="give an amount such as 100"
        )
    if round_quantity(amount, "down", credit.precision) != amount:
        raise InvalidInputError(
            f"{credit.key} has {credit.precision} decimals", field="amount", hint="give fewer decimals"
        )
    return amount


def unit_price(book: Book) -> Decimal:
    """What one credit costs now, in the customer's currency.

    Raises:
        UnprocessableError: Where they are not sold in it.
    """
    credit, currency = book.definition.credit, book.definition.customer.currency
    each = credit.unit_price(currency, book.at)
    if each is None:
        raise UnprocessableError(
            f"{credit.key} has no price in {currency}",
            field="credit",
            hint=f"name a pack, or write price: {{{currency}: …}} in the credit type",
        )
    return each


def write_sale(sale: Sale) -> dict[str, Any]:
    """A sale as JSON values."""
    return {
        "description": sale.description,
        "quantity": plain(sale.quantity),
        "unit_amount": plain(sale.unit_amount),
        "currency": sale.currency,
        "tax_code": sale.tax_code,
        "grant": write_grant(sale.grant),
        "lasts": list(sale.lasts) if sale.lasts else None,
        "on_payment": sale.on_payment,
        "automatic": sale.automatic,
    }


def read_sale(name: str, written: Mapping[str, Any]) -> Sale:
    """The inverse of :func:`write_sale`."""
    lasts = written["lasts"]
    return Sale(
        description=written["description"],
        quantity=Decimal(written["quantity"]),
        unit_amount=Decimal(written["unit_amount"]),
        currency=written["currency"],
        tax_code=written["tax_code"],
        grant=read_grant(name, written["grant"]),
        lasts=(lasts[0], lasts[1]) if lasts else None,
        on_payment=written["on_payment"],
        automatic=written["automatic"],
    )


def _grant(
    book: Book, name: str, amount: Decimal, cost: Decimal, pack: Pack | None, holder: str | None
) -> Grant:
    """What is bought begins with the running quarter hour, as usage is counted by quarter hours."""
    start, zone = quarter_hour_of(book.at), book.definition.zone
    bought = Grant(
        id=name,
        amount=amount,
        start=start,
        source="purchased",
        cost=cost,
        currency=book.definition.customer.currency if cost > ZERO else None,
        holder=holder,
        created_at=book.at,
        zone=zone,
    )
    return bought if pack is None else pack.granting(bought)
