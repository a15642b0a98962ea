"""The one way from measured usage to rated lines: a fixed order of stages, each printed on the line it made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

from valorem.core.errors import InvalidInputError
from valorem.core.metering.conversion import Conversion
from valorem.core.metering.measured import Measured
from valorem.core.money import minor_digits, round_money
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.pricing.base import PriceBase, Rater
from valorem.core.pricing.bounds import at_least, at_most
from valorem.core.pricing.lines import Rated, RatedLine, Segment, Selector, Step
from valorem.core.pricing.parts import Part, Usage
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies
from valorem.core.time import write_instant

#: The order of the stages, the same for every price.
ORDER = ("unit conversion", "included", "model", "multipliers", "round", "maximum", "minimum")

Values = tuple[str | None, ...]


@dataclass(slots=True)
class _Counted:
    """What one combination of dimension values has used since the period began."""

    measured: Decimal = ZERO
    converted: Decimal = ZERO
    billable: Decimal = ZERO
    events: int = 0
    values: tuple[Decimal, ...] = ()

    def usage(self) -> Usage:
        return Usage(self.billable, self.events, self.values)


@dataclass(frozen=True, slots=True)
class _Slice:
    """One combination of dimension values in one segment, after conversion and the included quantity."""

    segment: Segment
    version: PriceBase
    values: Values
    dimensions: Mapping[str, str | None]
    before: Usage | None
    after: Usage
    steps: tuple[Step, ...]
    measured: Measured


@dataclass(slots=True)
class _Period:
    counted: dict[Values, _Counted] = field(default_factory=dict)
    included_used: Decimal = ZERO


class PriceSource(Protocol):
    """A price over time: a :class:`~valorem.core.pricing.price.Price`, or several of them one after the other."""

    @property
    def name(self) -> str | None:
        """How its lines are called."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The meter's dimensions it looks at."""

    def at(self, instant: datetime, zone: ZoneInfo | None = None) -> PriceBase:
        """The numbers in force at an instant."""

    def edges(self, start: datetime, end: datetime, zone: ZoneInfo | None = None) -> tuple[datetime, ...]:
        """The instants strictly inside at which numbers change."""


@exact
def rate(
    price: PriceSource,
    segments: Sequence[Segment],
    *,
    currency: str,
    meter: str,
    name: str | None = None,
    zone: ZoneInfo | None = None,
    policies: PricePolicies = DEFAULT_POLICIES,
    share: Decimal = ONE,
) -> Rated:
    """Rate the usage of one billing period.

    Args:
        price: With all its dated versions.
        segments: The period, cut at ``price.edges(start, end, zone)``, in order of time, without gaps; each holds the
            usage within it by ``price.dimensions``. Usage that agrees in these is added up.
        currency: ISO 4217 code that lines are rounded in.
        meter: The key of the meter, for descriptions and selectors.
        name: How lines are called; the price's own name or the meter's key where left out.
        zone: The contract's time zone, in which dates of versions and rows mean midnight.
        policies: How bounds, flat fees and rounding are read.
        share: The share of a whole period that is billed; the price's minimum and maximum are reduced by it.

    Raises:
        InvalidInputError: Where segments do not follow each other or are not cut where numbers change.
    """
    _check_segments(price, segments, zone)
    name = name or price.name or meter
    slices = list(_slices(price, segments, zone, policies))
    lines: list[RatedLine] = []
    unpriced = []
    for piece in _standing(slices):
        rates = piece.version.rates_for(piece.dimensions, piece.segment.start, zone)
        if rates is None:
            if piece.measured.quantity:
                unpriced.append(piece.measured)
            continue
        lines.extend(_lines(piece, rates, currency=currency, meter=meter, name=name, policies=policies))
    if segments:
        last = price.at(segments[-1].start, zone)
        lines = at_most(lines, _reduced(last.maximum, share, currency, policies), ZERO)
        minimum = _reduced(last.minimum, share, currency, policies)
        lines = at_least(lines, minimum, ZERO, name=name, start=segments[0].start, end=segments[-1].end)
    return Rated(tuple(lines), ORDER, tuple(unpriced))


def _check_segments(price: PriceSource, segments: Sequence[Segment], zone: ZoneInfo | None) -> None:
    for one, other in pairwise(segments):
        if one.end != other.start:
            raise InvalidInputError(
                f"a segment ends at {write_instant(one.end)} and the next begins at {write_instant(other.start)}",
                field="segments",
            )
    for segment in segments:
        if edges := price.edges(segment.start, segment.end, zone):
            raise InvalidInputError(
                f"the price changes at {write_instant(edges[0])}, inside a segment",
                field="segments",
                hint="cut the period at price.edges(start, end, zone)",
            )


def _slices(
    price: PriceSource, segments: Sequence[Segment], zone: ZoneInfo | None, policies: PricePolicies
) -> Iterator[_Slice]:
    """Convert and take off the included quantity, in order of time and of the price's rows."""
    period = _Period()
    for segment in segments:
        version = price.at(segment.start, zone)
        for values, measured in _grouped(version, price.dimensions, segment.measured):
            first = values not in period.counted
            counted = period.counted.setdefault(values, _Counted())
            before = None if first else counted.usage()
            steps = _count(version, counted, measured, period, policies)
            dimensions = dict(zip(price.dimensions, values, strict=True))
            yield _Slice(
                segment, version, values, dimensions, before, counted.usage(), tuple(steps), measured
            )


def _grouped(
    version: PriceBase, dimensions: Sequence[str], measured: Sequence[Measured]
) -> list[tuple[Values, Measured]]:
    """Add up usage that agrees in the price's dimensions; a price without any has one group even for no usage."""
    groups: dict[Values, Measured] = {}
    if not dimensions:
        groups[()] = Measured({}, ZERO, 0)
    for each in measured:
        values = tuple(each.dimensions.get(name) for name in dimensions)
        known = groups.get(values)
        groups[values] = Measured(
            dict(zip(dimensions, values, strict=True)),
            each.quantity + (known.quantity if known else ZERO),
            each.events + (known.events if known else 0),
            (known.values if known else ()) + each.values,
        )
    return sorted(groups.items(), key=lambda item: (version.rank(item[1].dimensions), _sortable(item[0])))


def _sortable(values: Values) -> tuple[tuple[bool, str], ...]:
    return tuple((value is not None, value or "") for value in values)


def _count(
    version: PriceBase, counted: _Counted, measured: Measured, period: _Period, policies: PricePolicies
) -> list[Step]:
    steps = [Step("measured", f"{measured.events} events", measured.quantity)]
    counted.measured += measured.quantity
    counted.events += measured.events
    counted.values += measured.values
    converted = counted.measured
    if version.convert is not None:
        converted = version.convert.apply(counted.measured).invoiced
        if policies.conversion == "each_slice":
            converted = counted.converted + version.convert.apply(measured.quantity).invoiced
    quantity = converted - counted.converted
    if version.convert is not None:
        steps.append(
            Step("unit conversion", _conversion_text(version.convert, measured, quantity, counted), quantity)
        )
    counted.converted = converted
    free = min(quantity, max(ZERO, version.included - period.included_used)) if quantity > 0 else ZERO
    period.included_used += free
    if version.included:
        text = f"{plain(quantity)} − {plain(free)} of {plain(version.included)} included"
        steps.append(Step("included", text, quantity - free))
    counted.billable += quantity - free
    return steps


def _conversion_text(convert: Conversion, measured: Measured, quantity: Decimal, counted: _Counted) -> str:
    factor = (
        f"/ {plain(convert.divide)}" if convert.divide is not None else f"× {plain(convert.multiply or ONE)}"
    )
    rounded = f" rounded {convert.rounding}" if convert.rounding != "none" else ""
    if not counted.converted or convert.apply(measured.quantity).invoiced == quantity:
        return f"{plain(measured.quantity)} {factor}{rounded} = {plain(quantity)}"
    running = f"{plain(counted.measured)} {factor}{rounded}"
    return f"{running} − {plain(counted.converted)} before = {plain(quantity)}"


def _standing(slices: Sequence[_Slice]) -> Iterator[_Slice]:
    """Tell each slice the quantity of the whole period, which picks volume tiers."""
    whole = {piece.values: piece.after.quantity for piece in slices}
    for piece in slices:
        standing = whole[piece.values]
        before = replace(piece.before, standing=standing) if piece.before is not None else None
        yield replace(piece, before=before, after=replace(piece.after, standing=standing))


def _lines(
    piece: _Slice, rates: Rater, *, currency: str, meter: str, name: str, policies: PricePolicies
) -> Iterator[RatedLine]:
    selector = Selector(meter, piece.dimensions, piece.segment.start, piece.segment.end)
    said = ", ".join(f"{key} {value}" for key, value in piece.dimensions.items() if value is not None)
    for part in rates.between(piece.before, piece.after, policies):
        if not part.quantity and not part.amount:
            continue
        line = line_of(part, piece.version, selector, currency, policies)
        description = f"{name}: {part.label}" + (f" ({said})" if said else "")
        yield replace(line, description=description, steps=(*piece.steps, *line.steps))


def line_of(
    part: Part,
    version: PriceBase,
    selector: Selector,
    currency: str,
    policies: PricePolicies,
) -> RatedLine:
    """Multiply and round one part of a price."""
    steps = [Step("model", part.text, part.amount)]
    amount, unit_amount = part.amount, part.unit_amount
    for dimension, value, factor in version.factors(selector.dimensions):
        steps.append(
            Step("multipliers", f"{plain(amount)} × {plain(factor)} ({dimension} {value})", amount * factor)
        )
        amount *= factor
        unit_amount = unit_amount * factor if unit_amount is not None else None
    rounded = round_money(amount, currency, policies.rounding)
    rule = "half to even" if policies.rounding == "half_even" else "half away from zero"
    steps.append(Step("round", f"{currency}, {minor_digits(currency)} decimals, {rule}", rounded))
    return RatedLine(
        key=part.key,
        kind="usage",
        description=part.label,
        dimensions=selector.dimensions,
        start=selector.start,
        end=selector.end,
        quantity=part.quantity,
        unit_amount=unit_amount,
        exact=amount,
        amount=rounded,
        discount=ZERO,
        steps=tuple(steps),
        selector=selector,
    )


def _reduced(bound: Decimal | None, share: Decimal, currency: str, policies: PricePolicies) -> Decimal | None:
    return None if bound is None else round_money(bound * share, currency, policies.rounding)
