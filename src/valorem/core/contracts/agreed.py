"""What a contract agrees beside its plan: negotiated prices, discounts, charges on a date, phases of its own."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from valorem.core.entry import Entry, Key
from valorem.core.errors import InvalidInputError
from valorem.core.pricing.price import Price
from valorem.core.time import parse_grid_instant, write_instant
from valorem.core.units import Amount, Quantity, Share


def _read_instant(value: Any) -> datetime:
    try:
        return parse_grid_instant(value)
    except InvalidInputError as error:
        raise ValueError(f"{error.message} ({error.hint})") from None


#: An instant on the quarter-hour grid, in UTC.
GridInstant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    PlainSerializer(write_instant, return_type=str, when_used="json"),
]


class Override(Entry):
    """A negotiated number that takes the place of the plan's, or multiplies it.

    The order of precedence is :data:`valorem.core.contracts.overrides.ORDER`.

    Attributes:
        id: Chosen by the operator; unique in the contract.
        meter: The meter whose price it changes.
        fee: The fee or add-on whose amount it changes. Without meter and fee it changes every price and fee.
        where: Dimension to value: only the rate of these is changed.
        price: A whole price in the place of the plan's.
        amount: An amount in the place of the plan's: of a fee, of a price for each unit, or of one row of a matrix.
        multiplier: A factor on the plan's amounts.
        included: The quantity of each period that is free.
        priority: Of several multipliers the one with the lowest number wins; without numbers the lowest multiplier.
        commitment: Only for usage drawn from the commitment of that id.
        start: From when; from its edit on where left out.
        end: Until when, not included.
    """

    id: Key
    meter: Key | None = None
    fee: Key | None = None
    where: dict[str, str] = Field(default_factory=dict)
    price: Price | None = None
    amount: Amount | None = None
    multiplier: Annotated[Amount, Field(ge=0)] | None = None
    included: Quantity | None = None
    priority: int | None = None
    commitment: Key | None = None
    start: GridInstant | None = None
    end: GridInstant | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [
            name for name in ("price", "amount", "multiplier", "included") if getattr(self, name) is not None
        ]
        if len(said) != 1:
            raise ValueError("an override says exactly one of price, amount, multiplier and included")
        if self.meter is not None and self.fee is not None:
            raise ValueError("an override is for a meter or for a fee (write two)")
        if said[0] in ("price", "included") and self.meter is None:
            raise ValueError(f"{said[0]} needs the meter it is for")
        if said[0] == "amount" and self.meter is None and self.fee is None:
            raise ValueError("amount needs the meter or the fee it is for")
        if self.where and self.meter is None:
            raise ValueError("where needs the meter whose dimensions it names")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("the end is not after the start")
        return self

    def in_force(self, at: datetime) -> bool:
        """Whether it applies at an instant."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


def _counted(value: int | str) -> int | str:
    if isinstance(value, int) and value < 1:
        raise ValueError("a discount lasts once, forever, or a number of periods of 1 or more")
    return value


class Discount(Entry):
    """Something off: an amount, a share, or free units of a meter.

    Attributes:
        id: Chosen by the operator; unique in the contract.
        name: How the invoice line is called.
        amount: Off the sum of what it is for, in the contract's currency, never more than that sum.
        percent: Off the sum of what it is for.
        usage: Free units of ``meter`` in each period, beside those the price includes.
        meter: For ``usage``.
        lasts: ``once``: one period, where what is left of an amount waits for the next; a number of periods, each with
            the whole amount afresh; or ``forever``.
        only: Keys of fees, meters and charges it is for; without it the whole invoice.
        start: First period it counts in is the one that holds this instant; that of its edit where left out.
    """

    id: Key
    name: str | None = None
    amount: Annotated[Amount, Field(ge=0)] | None = None
    percent: Annotated[Share, Field(ge=0, le=1)] | None = None
    usage: Quantity | None = None
    meter: Key | None = None
    lasts: Annotated[Literal["once", "forever"] | int, AfterValidator(_counted)] = "forever"
    only: tuple[str, ...] | None = None
    start: GridInstant | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(each is not None for each in (self.amount, self.percent, self.usage)) != 1:
            raise ValueError("a discount says exactly one of amount, percent and usage")
        if (self.usage is not None) != (self.meter is not None):
            raise ValueError("usage and meter come together: how many free units, and of what")
        return self


class Charge(Entry):
    """An amount on a date: set-up, support for a year, one instalment of an order.

    Attributes:
        id: Chosen by the operator; unique in the contract.
        name: How the invoice line is called.
        amount: For one.
        quantity: How many.
        at: It stands on the first invoice issued at or after this instant.
        commitment: The commitment it pays for, where it is an instalment of one.
        tax_code: How it is taxed, as ``product`` in the rows of ``taxes/``; as its plan says where left out.
    """

    id: Key
    name: str
    amount: Amount
    quantity: Quantity = Decimal(1)
    at: GridInstant
    commitment: Key | None = None
    tax_code: Key | None = None


class Access(Entry):
    """An amount that may be used in a stretch of time.

    Attributes:
        amount: In the contract's currency.
        start: From when.
        end: Until when, not included; what is left then lapses.
    """

    amount: Annotated[Amount, Field(gt=0)]
    start: GridInstant
    end: GridInstant

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end <= self.start:
            raise ValueError("the end is not after the start")
        return self


class Commitment(Entry):
    """Money promised for usage: paid before (prepaid), or made up for at the end (postpaid).

    Its instalments are charges of the contract, on dates of their own: what may be used when and what is invoiced when
    are two schedules.

    Attributes:
        id: Chosen by the operator; unique in the contract.
        name: How its lines are called.
        kind: ``prepaid`` usage is drawn from it; ``postpaid`` what was not used is billed at the end.
        access: What may be used when; a postpaid one has a single stretch.
        only: Keys of the meters whose usage counts; without it all usage.
        priority: Drawn from in rising order, then the one that ends first.
    """

    id: Key
    name: str | None = None
    kind: Literal["prepaid", "postpaid"] = "prepaid"
    access: Annotated[tuple[Access, ...], Field(min_length=1)]
    only: tuple[str, ...] | None = None
    priority: int = 50

    @model_validator(mode="after")
    def _one_stretch(self) -> Self:
        if self.kind == "postpaid" and len(self.access) != 1:
            raise ValueError("a postpaid commitment has one stretch, at whose end it is made up for")
        return self

    @property
    def total(self) -> Decimal:
        """Everything that may be used, over all its stretches."""
        return sum((each.amount for each in self.access), Decimal(0))
