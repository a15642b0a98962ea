"""Prices as a customer reads them: what one costs, from where to where, in the customer's language."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from valorem.core.numbers import ZERO, plain
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.dates import instant_of
from valorem.core.pricing.event_amount import EventAmount
from valorem.core.pricing.flat import Flat
from valorem.core.pricing.flat_by_band import FlatByBand
from valorem.core.pricing.graduated import Graduated
from valorem.core.pricing.graduated_percentage import GraduatedPercentage
from valorem.core.pricing.matrix import Matrix
from valorem.core.pricing.package import Package
from valorem.core.pricing.per_unit import PerUnit
from valorem.core.pricing.percentage import Percentage
from valorem.core.pricing.price import Price
from valorem.core.pricing.volume import Volume
from valorem.web.portal.words import Words


class _Band(Protocol):
    @property
    def up_to(self) -> Decimal | None: ...


B = TypeVar("B", bound=_Band)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of a price.

    Attributes:
        what: For which use.
        amount: What it costs.
        each: For how much of it.
    """

    what: str
    amount: str
    each: str


@dataclass(frozen=True, slots=True)
class PriceText:
    """One price.

    Attributes:
        name: What is paid for.
        rows: What it costs.
        notes: What applies besides.
    """

    name: str
    rows: tuple[PriceRow, ...]
    notes: tuple[str, ...]


def price_text(
    words: Words,
    name: str,
    price: Price,
    unit: str | None,
    currency: str,
    at: datetime,
    names: Mapping[str, str],
) -> PriceText:
    """A price as it stands at an instant."""
    version = price.at(at)
    say = _Saying(words, unit or words.say("unit"), currency, names, at)
    return PriceText(version.name or name, tuple(say.rows(version)), tuple(say.notes(version)))


@dataclass(frozen=True)
class _Saying:
    words: Words
    unit: str
    currency: str
    names: Mapping[str, str]
    at: datetime

    def rows(self, version: PriceBase) -> Iterator[PriceRow]:
        words = self.words
        every = words.say("every %(unit)s", unit=self.unit)
        if isinstance(version, Matrix):
            yield from self._matrix(version)
        elif isinstance(version, Graduated | Volume | GraduatedPercentage | FlatByBand):
            yield from self._steps(version)
        elif isinstance(version, PerUnit):
            yield PriceRow(every, self._money(version.amount), self._per(version.per))
            if version.long is not None and version.whole_event is not None:
                above = words.say("single calls above %(n)s", n=words.compact_text(version.whole_event.above))
                yield PriceRow(above, self._money(version.long), self._per(version.per))
        elif isinstance(version, Package):
            yield PriceRow(words.say("every package"), self._money(version.amount), self._per(version.size))
        elif isinstance(version, Flat):
            yield PriceRow(words.say("any use"), self._money(version.amount), words.say("a period"))
        elif isinstance(version, Percentage):
            fixed = f" + {self._money(version.fixed)}" if version.fixed else ""
            yield PriceRow(every, words.percent(version.rate) + fixed, words.say("of the value"))
        elif isinstance(version, EventAmount):
            yield PriceRow(every, f"× {plain(version.multiplier)}", words.say("of the value"))

    def _steps(self, version: Graduated | Volume | GraduatedPercentage | FlatByBand) -> Iterator[PriceRow]:
        words = self.words
        if isinstance(version, GraduatedPercentage):
            for what, share in self._ranges(version.tiers):
                yield PriceRow(what, words.percent(share.rate), words.say("of the value"))
        elif isinstance(version, FlatByBand):
            for what, band in self._ranges(version.bands):
                yield PriceRow(what, self._money(band.amount), words.say("a period"))
        else:
            for what, tier in self._ranges(version.tiers):
                parts = [] if tier.unit is None else [self._money(tier.unit)]
                if tier.flat is not None:
                    parts.append(words.say("%(amount)s once", amount=self._money(tier.flat)))
                yield PriceRow(what, " + ".join(parts), "" if tier.unit is None else self._per(tier.per))

    def notes(self, version: PriceBase) -> Iterator[str]:
        words = self.words
        if version.included:
            yield words.say(
                "%(n)s %(unit)s included each period", n=words.quantity_text(version.included), unit=self.unit
            )
        if isinstance(version, Volume):
            yield words.say("the price of the step you reach holds for all of it")
        for factors in version.multipliers.values():
            yield ", ".join(
                f"{self.names.get(value, value)} × {plain(factor)}" for value, factor in factors.items()
            )
        if version.whole_event is not None:
            yield words.say(
                "a single call above %(n)s costs its long rate entirely",
                n=words.quantity_text(version.whole_event.above),
            )
        if version.minimum is not None:
            yield words.say("at least %(amount)s a period", amount=self._money(version.minimum))
        if version.maximum is not None:
            yield words.say("at most %(amount)s a period", amount=self._money(version.maximum))

    def _matrix(self, version: Matrix) -> Iterator[PriceRow]:
        latest: dict[object, tuple[datetime | None, PriceRow]] = {}
        for row in version.rates:
            start = None if row.start is None else instant_of(row.start)
            known = latest.get(row.identity())
            if start is not None and (
                start > self.at or (known and known[0] is not None and known[0] > start)
            ):
                continue
            said = [
                " / ".join(
                    self.names.get(each, each) for each in ((match,) if isinstance(match, str) else match)
                )
                for match in row.where.values()
            ]
            text = PriceRow(
                ", ".join(said) or self.words.say("any use"), self._money(row.amount), self._per(row.per)
            )
            if start is not None or known is None:
                latest[row.identity()] = (start, text)
        yield from (row for _, row in latest.values())
        if version.default is not None:
            yield PriceRow(
                self.words.say("anything else"),
                self._money(version.default.amount),
                self._per(version.default.per),
            )

    def _ranges(self, bands: Sequence[B]) -> Iterator[tuple[str, B]]:
        words, floor = self.words, ZERO
        for band in bands:
            end = band.up_to
            if end is None:
                what = (
                    words.say("above %(n)s", n=words.compact_text(floor)) if floor else words.say("any use")
                )
            elif floor:
                what = words.say(
                    "%(low)s to %(high)s", low=words.compact_text(floor), high=words.compact_text(end)
                )
            else:
                what = words.say("the first %(n)s", n=words.compact_text(end))
            floor = end or floor
            yield what, band

    def _money(self, amount: Decimal) -> str:
        return self.words.money_text(amount, self.currency)

    def _per(self, per: Decimal) -> str:
        return self.unit if per == 1 else f"{self.words.compact_text(per)} {self.unit}"
