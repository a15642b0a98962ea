"""Prices in words and rows: what one unit costs, as somebody reads it on a price list."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

from valorem.core.numbers import ZERO
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
from valorem.core.pricing.tiers import Band
from valorem.core.pricing.volume import Volume
from valorem.web.formats import compact_text, day_text, plural, quantity_text

B = TypeVar("B", bound=Band)
_MODEL_NAMES: Mapping[str, str] = {
    "per_unit": "per unit",
    "event_amount": "amount on the event",
    "flat_by_band": "flat by band",
    "graduated_percentage": "graduated percentage",
}


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One row of a price list.

    Attributes:
        what: For which usage: dimension values, or a range of quantity.
        amount: What it costs.
        each: For how much of it.
        since: From when, where the row is dated.
        over: Whether a later row has taken its place at the instant looked at.
    """

    what: str
    amount: str
    each: str
    since: str = ""
    over: bool = False


@dataclass(frozen=True, slots=True)
class PriceList:
    """One price as it stands at an instant.

    Attributes:
        model: The name of its model.
        rows: In the order of the price.
        notes: What applies around the rows: included quantities, bounds, factors, dates of versions.
    """

    model: str
    rows: tuple[PriceRow, ...]
    notes: tuple[str, ...]


def price_list(price: Price, unit: str | None, at: datetime, zone: str = "UTC") -> PriceList:
    """A price in words, as it stands at an instant."""
    where = ZoneInfo(zone)
    version = price.at(at, where)
    unit = unit or "unit"
    notes = [*_notes(version, unit)]
    if len(price.versions) > 1:
        dates = [str(each.start) for each in price.versions if each.start is not None]
        notes.append(f"changes on {', '.join(dates)}")
    model = str(getattr(version, "model", ""))
    return PriceList(_MODEL_NAMES.get(model, model), tuple(_rows(version, unit, at, where)), tuple(notes))


def _rows(version: PriceBase, unit: str, at: datetime, zone: ZoneInfo) -> Iterator[PriceRow]:
    if isinstance(version, Matrix):
        yield from _matrix_rows(version, unit, at, zone)
    elif isinstance(version, Graduated | Volume | GraduatedPercentage | FlatByBand):
        yield from _tier_rows(version, unit)
    elif isinstance(version, PerUnit):
        yield PriceRow("every unit", quantity_text(version.amount), _per(version.per, unit))
        if version.long is not None and version.whole_event is not None:
            above = f"events above {quantity_text(version.whole_event.above)}"
            yield PriceRow(above, quantity_text(version.long), _per(version.per, unit))
    elif isinstance(version, Package):
        size = f"{compact_text(version.size)} {plural(unit, version.size)}"
        yield PriceRow("every package", quantity_text(version.amount), size)
    elif isinstance(version, Flat):
        yield PriceRow("every period", quantity_text(version.amount), "period")
    elif isinstance(version, Percentage):
        fixed = f" + {quantity_text(version.fixed)} an event" if version.fixed else ""
        yield PriceRow("the value of events", f"{quantity_text(version.rate * 100)} %{fixed}", "value")
    elif isinstance(version, EventAmount):
        yield PriceRow("what the event says", f"× {quantity_text(version.multiplier)}", "event")


def _tier_rows(
    version: Graduated | Volume | GraduatedPercentage | FlatByBand, unit: str
) -> Iterator[PriceRow]:
    if isinstance(version, GraduatedPercentage):
        for what, share in _ranges(version.tiers):
            yield PriceRow(what, f"{quantity_text(share.rate * 100)} %", "value")
    elif isinstance(version, FlatByBand):
        for what, band in _ranges(version.bands):
            yield PriceRow(what, quantity_text(band.amount), "period")
    else:
        for what, tier in _ranges(version.tiers):
            amounts = [] if tier.unit is None else [quantity_text(tier.unit)]
            amounts += [] if tier.flat is None else [f"{quantity_text(tier.flat)} once"]
            yield PriceRow(what, " + ".join(amounts), "" if tier.unit is None else _per(tier.per, unit))


def _matrix_rows(version: Matrix, unit: str, at: datetime, zone: ZoneInfo) -> Iterator[PriceRow]:
    latest: dict[object, datetime | None] = {}
    starts = [_begins(row.start, zone) for row in version.rates]
    for row, start in zip(version.rates, starts, strict=True):
        known = latest.get(row.identity())
        if start is None:
            latest.setdefault(row.identity(), None)
        elif start <= at and (known is None or start > known):
            latest[row.identity()] = start
    for row, start in zip(version.rates, starts, strict=True):
        what = ", ".join(
            f"{name} {match if isinstance(match, str) else ' or '.join(match)}"
            for name, match in row.where.items()
        )
        yield PriceRow(
            what or "anything",
            quantity_text(row.amount),
            _per(row.per, unit),
            "" if start is None else f"from {day_text(start, str(zone))}",
            over=latest.get(row.identity()) != start and (start is None or start <= at),
        )
    if version.default is not None:
        yield PriceRow(
            "anything else", quantity_text(version.default.amount), _per(version.default.per, unit)
        )


def _begins(start: date | None, zone: ZoneInfo) -> datetime | None:
    return None if start is None else instant_of(start, zone)


def _ranges(bands: Sequence[B]) -> Iterator[tuple[str, B]]:
    floor = ZERO
    for band in bands:
        end: Decimal | None = band.up_to
        if end is None:
            what = f"above {compact_text(floor)}" if floor else "every unit"
        else:
            what = f"{compact_text(floor)} to {compact_text(end)}" if floor else f"first {compact_text(end)}"
            floor = end
        yield what, band


def _notes(version: PriceBase, unit: str) -> Iterator[str]:
    if version.included:
        yield f"{quantity_text(version.included)} {plural(unit, version.included)} included"
    if version.by:
        yield f"counted apart by {', '.join(version.by)}"
    for name, factors in version.multipliers.items():
        said = ", ".join(f"{value} × {quantity_text(factor)}" for value, factor in factors.items())
        yield f"by {name}: {said}"
    if version.scale is not None:
        yield f"all × {quantity_text(version.scale)}"
    if version.whole_event is not None:
        yield f"an event above {quantity_text(version.whole_event.above)} costs its long rate entirely"
    if version.minimum is not None:
        yield f"at least {quantity_text(version.minimum)} a period"
    if version.maximum is not None:
        yield f"at most {quantity_text(version.maximum)} a period"


def _per(per: Decimal, unit: str) -> str:
    return unit if per == 1 else f"{compact_text(per)} {plural(unit, per)}"
