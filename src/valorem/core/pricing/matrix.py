"""Matrix: a table of rates over dimension values, each row dated on its own."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, model_validator

from valorem.core.entry import Entry
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

    @cached_property
    def _index(self) -> dict[tuple[str, ...], dict[tuple[str, ...], list[int]]]:
        """Named dimensions, most first, to their values to the rows: a lookup does not slow down with the table."""
        index: dict[tuple[str, ...], dict[tuple[str, ...], list[int]]] = {}
        for number, row in enumerate(self.rates):
            where = row.where
            by_values = index.setdefault(tuple(sorted(where)), {})
            choices = [match if isinstance(match, tuple) else (match,) for _, match in sorted(where.items())]
            for values in product(*choices):
                by_values.setdefault(values, []).append(number)
        return dict(sorted(index.items(), key=lambda item: -len(item[0])))

    def _fitting(self, dimensions: Mapping[str, str | None]) -> Iterator[tuple[int, list[int]]]:
        """The rows that fit a combination of values, as (dimensions named, rows in the order written)."""
        for names, by_values in self._index.items():
            values = tuple(value for name in names if (value := dimensions.get(name)) is not None)
            if len(values) == len(names) and (rows := by_values.get(values)):
                yield len(names), rows

    def row_for(
        self, dimensions: Mapping[str, str | None], at: datetime, zone: ZoneInfo | None = None
    ) -> Rate | None:
        """The row in force at an instant for a combination of values.

        Of rows that name equally many dimensions the one written first counts, in its latest version.
        """
        most, standing = -1, list[int]()
        for named, numbers in self._fitting(dimensions):
            if standing and named < most:
                break
            most = named
            standing += [each for each in numbers if in_force(self.rates[each].start, at, zone)]
        if not standing:
            return None
        first = self.rates[min(standing)].identity()
        versions = [row for row in (self.rates[each] for each in standing) if row.identity() == first]
        undated = [row for row in versions if row.start is None]
        dated = [(instant_of(row.start, zone), row) for row in versions if row.start is not None]
        return max(dated, key=lambda each: each[0])[1] if dated else undated[0]

    def rates_for(
        self, dimensions: Mapping[str, str | None], at: datetime, zone: ZoneInfo | None = None
    ) -> UnitRate | None:
        """The row's rate, or the default's."""
        row = self.row_for(dimensions, at, zone) or self.default
        return UnitRate(amount=row.amount, per=row.per) if row is not None else None

    def rank(self, dimensions: Mapping[str, str | None]) -> int:
        """The index of the first row that fits."""
        return min((rows[0] for _, rows in self._fitting(dimensions)), default=len(self.rates))

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
    rows = ONE
    for count in values.values() if isinstance(values, Mapping) else values:
        rows *= count
    return rows
