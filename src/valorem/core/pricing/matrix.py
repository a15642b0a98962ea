"""Matrix: a table of rates over dimension values, each row dated on its own."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, model_validator

from valorem.core.catalog.entry import Entry
from valorem.core.numbers import ONE
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.dates import Start, in_force, instant_of
from valorem.core.pricing.parts import Part, Usage
from valorem.core.pricing.per_unit import UnitRate
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import Per
from valorem.core.units import Amount

ANY = "*"
#: A dimension's value, several, or ``*`` for any.
Match = str | tuple[str, ...]


class Rate(Entry):
    """One row: dimension values, and what a unit with these values costs.

    Every field that is not listed here names a dimension: ``{model: gpt-5.4, kind: input, amount: 2.50, per: 1M}``.

    Attributes:
        amount: For ``per`` units.
        per: How many units ``amount`` is the price of.
        start: From when the row applies (``from``); it takes the place of an earlier row with the same values.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Match] = Field(init=False)

    amount: Amount
    per: Per = ONE
    start: Start | None = Field(default=None, alias="from")

    @property
    def where(self) -> dict[str, Match]:
        """Dimension to the values the row is for; a dimension that is not named may have any."""
        return {name: match for name, match in self.__pydantic_extra__.items() if match != ANY}

    def matches(self, dimensions: Mapping[str, str | None]) -> bool:
        """Whether the row is for this combination of values."""
        return all(
            dimensions.get(name) in (match if isinstance(match, tuple) else (match,))
            for name, match in self.where.items()
        )

    def identity(self) -> tuple[tuple[str, Match], ...]:
        """What makes two rows versions of each other."""
        return tuple(sorted(self.where.items()))


class Default(Entry):
    """The rate of every combination that no row is for."""

    amount: Amount
    per: Per = ONE


class Matrix(PriceBase):
    """A rate for each combination of dimension values; of several rows that fit, the one naming most dimensions wins.

    Attributes:
        rates: The rows.
        default: For combinations without a row; without it their usage is billed at nothing and reported as unpriced.
    """

    model: Literal["matrix"]
    rates: Annotated[tuple[Rate, ...], Field(min_length=1)]
    default: Default | None = None

    @model_validator(mode="after")
    def _distinct(self) -> "Matrix":
        seen: dict[tuple[object, object], int] = {}
        for number, row in enumerate(self.rates, 1):
            earlier = seen.setdefault((row.identity(), row.start), number)
            if earlier != number:
                raise ValueError(
                    f"rates {earlier} and {number} have the same dimension values and date (remove one, or date it)"
                )
        return self

    def own_dimensions(self) -> tuple[str, ...]:
        """Every dimension a row names, in the order written."""
        return tuple(dict.fromkeys(name for row in self.rates for name in row.__pydantic_extra__))

    def row_for(
        self, dimensions: Mapping[str, str | None], at: datetime, zone: ZoneInfo | None = None
    ) -> Rate | None:
        """The row in force at an instant for a combination of values."""
        fitting = [row for row in self.rates if row.matches(dimensions) and in_force(row.start, at, zone)]
        if not fitting:
            return None
        most = max(len(row.where) for row in fitting)
        first = next(row for row in fitting if len(row.where) == most)
        versions = [row for row in fitting if row.identity() == first.identity()]
        return max(
            versions, key=lambda row: (row.start is not None, row.start and instant_of(row.start, zone))
        )

    def rates_for(
        self, dimensions: Mapping[str, str | None], at: datetime, zone: ZoneInfo | None = None
    ) -> UnitRate | None:
        """The row's rate, or the default's."""
        row = self.row_for(dimensions, at, zone) or self.default
        return UnitRate(amount=row.amount, per=row.per) if row is not None else None

    def rank(self, dimensions: Mapping[str, str | None]) -> int:
        """The index of the first row that fits."""
        return next((i for i, row in enumerate(self.rates) if row.matches(dimensions)), len(self.rates))

    def dated(self) -> Iterator[date]:
        """The version's own date and those of its rows."""
        yield from super().dated()
        yield from (row.start for row in self.rates if row.start is not None)

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:
        """A combination without dimension values: the default's rate.

        Raises:
            ValueError: Where there is no default.
        """
        if self.default is None:
            raise ValueError("a matrix without a default has no rate for usage without dimension values")
        return UnitRate(amount=self.default.amount, per=self.default.per).parts(usage, policies)


def combinations(values: Mapping[str, int] | list[int]) -> Decimal:
    """How many rows a full table over dimensions with so many values has."""
    product = ONE
    for count in values.values() if isinstance(values, Mapping) else values:
        product *= count
    return product
