"""Credit types: custom units, what usage burns of them, what they cost, and in which packs they are sold."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from valorem.core.catalog.prices import PlanPrice
from valorem.core.entry import Currency, Entry, Key
from valorem.core.errors import InvalidInputError
from valorem.core.ledger.grants import Grant, ends_after
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.rollover import Rollover
from valorem.core.ledger.tables import BURNING
from valorem.core.ledger.terms import CapTerms, GrantScope
from valorem.core.money import minor_digits, parse_currency
from valorem.core.pricing.dates import Start, in_force
from valorem.core.pricing.price import Price
from valorem.core.units import Amount, Quantity, Span


class CreditPrice(Entry):
    """What one credit costs, by currency: ``{USD: 0.01, EUR: 0.009}``.

    Every field that is not listed here is an ISO 4217 code.

    Attributes:
        start: From when it costs that (``from``).
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Amount] = Field(init=False)

    start: Start | None = Field(default=None, alias="from")

    @model_validator(mode="after")
    def _currencies(self) -> "CreditPrice":
        for code, amount in self.amounts.items():
            try:
                parse_currency(code)
            except InvalidInputError as error:
                raise ValueError(f"{error.message} ({error.hint})") from None
            if amount < 0:
                raise ValueError(f"a credit costs zero or more {code}")
        if not self.amounts:
            raise ValueError("a price of a credit names at least one currency (write USD: 0.01)")
        return self

    @property
    def amounts(self) -> Mapping[str, Decimal]:
        """Currency to the price of one credit."""
        return self.__pydantic_extra__


class Pack(Entry):
    """Credits that are sold at once.

    Attributes:
        amount: Credits in it.
        price: What it costs, by currency.
        name: How it is called on invoices; the pack's key where left out.
        expires: How long it can be used after it was bought; without it, for ever.
        priority: Lower is used first.
        pool: Whether the account or the member who bought it can use it.
        scope: What it may pay for.
        rollover: How much of what is left at its end is carried on.
    """

    amount: Annotated[Quantity, Field(gt=0)]
    price: Annotated[Mapping[Currency, Annotated[Amount, Field(ge=0)]], Field(min_length=1)]
    name: str | None = None
    expires: Span | None = None
    priority: Annotated[int, Field(ge=0, le=1000)] = 50
    pool: Literal["account", "seat"] = "account"
    scope: GrantScope = GrantScope()
    rollover: Rollover | None = None

    def granting(self, bought: Grant) -> Grant:
        """What was bought with the pack's own terms: its end, order of use, scope and rollover."""
        return replace(
            bought,
            expires=ends_after(bought.start, self.expires, bought.zone),
            priority=self.priority,
            scope=self.scope.scope,
            holder=bought.holder if self.pool == "seat" else None,
            rollover=self.rollover,
        )


def _burning(prices: Mapping[str, str | Price]) -> Mapping[str, str | Price]:
    for meter, price in prices.items():
        if isinstance(price, Price) and (wrong := unburnable(price)):
            raise ValueError(f"{meter}: {wrong}")
    return prices


def unburnable(price: Price) -> str | None:
    """Why a price cannot be a burn table; nothing where it can."""
    for version in price.versions:
        model: str = getattr(version, "model", "")
        if model not in BURNING:
            return (
                f"a {model.replace('_', ' ')} price depends on the usage of a whole period, but credits are "
                f"burned as it comes (use one of {', '.join(sorted(BURNING))})"
            )
        if version.minimum is not None or version.maximum is not None:
            return "a burn table has no minimum or maximum (limit the credits instead)"
    return None


class CreditType(Entry):
    """A unit of its own in which usage is paid, such as an AI credit; or money paid in advance.

    Attributes:
        credit: The key plans refer to.
        name: What one of it is called on statements.
        precision: Decimals it is counted in.
        rounding: How burns are rounded to that; the total of a period is, not each of them.
        money: The currency it is, where one credit is one unit of money.
        price: What one credit costs beyond what is granted, by currency; or dated prices, the first without ``from``.
        burn: Meter to what its usage costs in credits: the name of a file in ``prices/``, or the price itself. Its amounts
            are credits. Usage without a row burns nothing.
        member: The meters' dimension that says who used something, for allowances and shares of a pool.
        packs: What is sold, by key.
        caps: How many credits may be used in a day, a week, a month, by key.
        policies: How credits are used up.
        pays_invoices: Whether what there is of them lessens the customer's invoices in their currency. Where left out,
            money credits that no usage burns do.
        tax: The tax code of credits that are sold, as ``product`` in the rows of ``taxes/``.
    """

    credit: Key
    name: str | None = None
    description: str | None = None
    precision: Annotated[int, Field(ge=0, le=12)] = 2
    rounding: Literal["half_up", "up", "down"] = "half_up"
    money: Currency | None = None
    price: CreditPrice | tuple[CreditPrice, ...] | None = None
    burn: Annotated[Mapping[Key, PlanPrice], AfterValidator(_burning)] = Field(default_factory=dict)
    member: str | None = None
    packs: Mapping[Key, Pack] = Field(default_factory=dict)
    caps: Mapping[Key, CapTerms] = Field(default_factory=dict)
    policies: CreditPolicies = CreditPolicies()
    pays_invoices: bool | None = None
    tax: Key | None = None

    @property
    def key(self) -> str:
        """The key plans refer to."""
        return self.credit

    @property
    def prices(self) -> tuple[CreditPrice, ...]:
        """What one credit costs, in order of date."""
        if self.price is None:
            return ()
        return self.price if isinstance(self.price, tuple) else (self.price,)

    @model_validator(mode="after")
    def _consistent(self) -> "CreditType":
        if self.money is not None and self.price is not None:
            raise ValueError("credits that are money cost what they are; remove price or money")
        if self.money is not None and self.precision < minor_digits(self.money):
            raise ValueError(
                f"{self.money} has {minor_digits(self.money)} decimals; write precision: {minor_digits(self.money)}"
            )
        if self.pays_invoices and self.money is None:
            raise ValueError("only credits that are money pay invoices (write money: USD)")
        if any(later.start is None for later in self.prices[1:]):
            raise ValueError("every price but the first needs a from (write from: 2026-03-05)")
        return self

    @property
    def lessens_invoices(self) -> bool:
        """Whether what there is of them pays invoices."""
        if self.pays_invoices is None:
            return self.money is not None and not self.burn
        return self.pays_invoices

    def unit_price(self, currency: str, at: datetime, zone: ZoneInfo | None = None) -> Decimal | None:
        """What one credit costs at an instant; nothing where it is not sold in that currency."""
        if self.money is not None:
            return Decimal(1) if self.money == currency else None
        found = None
        for price in self.prices:
            if in_force(price.start, at, zone):
                found = price.amounts.get(currency)
        return found

    def burn_prices(self) -> Iterator[tuple[str, str | Price]]:
        """Meter and what its usage costs, by name or in place."""
        yield from self.burn.items()
