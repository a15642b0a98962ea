"""Burn tables: usage becomes credits by a price whose currency is a credit type.

The same models, dated versions, dated rows, multipliers and included quantities as for money; what differs is that every
quarter hour is a burn of its own, so a table's tiers are filled in order of time and each bucket costs what it adds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from valorem.core.ledger.burns import Burn
from valorem.core.ledger.scope import Workload
from valorem.core.metering.conversion import Rounding, round_quantity
from valorem.core.metering.measured import Measured
from valorem.core.numbers import ZERO, exact
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Usage, total
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies
from valorem.core.pricing.price import Price

#: Models whose cost of a quarter hour does not depend on usage that comes later.
BURNING = frozenset({"per_unit", "graduated", "package", "matrix", "event_amount", "percentage"})


@dataclass(frozen=True, slots=True)
class Bucket:
    """The usage of one meter in one quarter hour (or of a single act), by its dimensions.

    Attributes:
        at: The start of the quarter hour.
        measured: One value for each combination of dimensions.
    """

    at: datetime
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class BurnTable:
    """What a meter's usage costs in credits.

    Attributes:
        meter: The meter's key.
        price: Credits for its units.
        precision: Decimals that credits are rounded to.
        rounding: How; the running total of a period is rounded, so that the burns add up to it.
        product: The feature the meter stands for, as grants' scopes name it.
        member: The dimension that says who did it.
    """

    meter: str
    price: Price
    precision: int = 6
    rounding: Rounding = "half_up"
    product: str | None = None
    member: str | None = None


@dataclass(slots=True)
class _Counter:
    measured: Decimal = ZERO
    converted: Decimal = ZERO
    usage: Usage = field(default_factory=lambda: Usage(ZERO))


@dataclass(slots=True)
class _Period:
    counters: dict[tuple[str | None, ...], _Counter] = field(default_factory=dict)
    included_used: Decimal = ZERO
    exact: dict[str, Decimal] = field(default_factory=dict)
    burned: dict[str, Decimal] = field(default_factory=dict)


@exact
def burns_of(
    table: BurnTable,
    buckets: Iterable[Bucket],
    *,
    zone: ZoneInfo | None = None,
    policies: PricePolicies = DEFAULT_POLICIES,
) -> tuple[Burn, ...]:
    """The credits that the usage of one period burns, in order of time.

    Args:
        table: What it costs.
        buckets: All buckets of the period, in any order; tiers and included quantities begin anew with each period.
        zone: The contract's time zone, in which dates of versions and rows mean midnight.
        policies: How tiers are read.

    Returns:
        One burn for each bucket and combination of dimensions that costs anything. Usage a table has no row for costs
        nothing.
    """
    period = _Period()
    burns = []
    for bucket in _merged(buckets):
        version = table.price.at(bucket.at, zone)
        for measured in sorted(
            bucket.measured, key=lambda each: (version.rank(each.dimensions), _name(each.dimensions))
        ):
            cost = _cost(table, version, measured, bucket.at, period, zone, policies)
            key = _name(measured.dimensions)
            amount = _rounded(table, period, key, cost)
            if amount:
                burns.append(Burn(bucket.at, f"{table.meter} {key}".rstrip(), amount, _work(table, measured)))
    return tuple(burns)


def _merged(buckets: Iterable[Bucket]) -> list[Bucket]:
    """One bucket for each instant, in order; usage that agrees in all dimensions is added up."""
    instants: dict[datetime, dict[str, Measured]] = {}
    for bucket in buckets:
        found = instants.setdefault(bucket.at, {})
        for measured in bucket.measured:
            name = _name(measured.dimensions)
            known = found.get(name)
            found[name] = (
                measured
                if known is None
                else Measured(
                    measured.dimensions,
                    known.quantity + measured.quantity,
                    known.events + measured.events,
                    known.values + measured.values,
                )
            )
    return [Bucket(at, tuple(found.values())) for at, found in sorted(instants.items())]


def _cost(
    table: BurnTable,
    version: PriceBase,
    measured: Measured,
    at: datetime,
    period: _Period,
    zone: ZoneInfo | None,
    policies: PricePolicies,
) -> Decimal:
    values = tuple(measured.dimensions.get(name) for name in table.price.dimensions)
    first = values not in period.counters
    counter = period.counters.setdefault(values, _Counter())
    before = None if first else counter.usage
    counter.measured += measured.quantity
    converted = version.convert.apply(counter.measured).invoiced if version.convert else counter.measured
    quantity = converted - counter.converted
    counter.converted = converted
    free = min(quantity, max(version.included - period.included_used, ZERO)) if quantity > 0 else ZERO
    period.included_used += free
    counter.usage = replace(
        counter.usage,
        quantity=counter.usage.quantity + quantity - free,
        events=counter.usage.events + measured.events,
        values=counter.usage.values + measured.values,
    )
    rates = version.rates_for(measured.dimensions, at, zone)
    if rates is None:
        return ZERO
    return total(rates.between(before, counter.usage, policies)) * version.factor(measured.dimensions)


def _rounded(table: BurnTable, period: _Period, key: str, cost: Decimal) -> Decimal:
    whole = period.exact[key] = period.exact.get(key, ZERO) + cost
    rounded = round_quantity(whole, table.rounding, table.precision)
    amount = rounded - period.burned.get(key, ZERO)
    period.burned[key] = rounded
    return amount


def _work(table: BurnTable, measured: Measured) -> Workload:
    member = measured.dimensions.get(table.member) if table.member else None
    return Workload(table.meter, table.product, measured.dimensions, member)


def _name(dimensions: Mapping[str, str | None]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(dimensions.items()) if value is not None)
