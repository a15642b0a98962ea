"""What a contract earned and cost in an interval: the charges of its invoices against the meters' own unit costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sources import Sources
from valorem.core.errors import InvalidInputError
from valorem.core.insight.unit_margins import UnitMargin
from valorem.core.metering.cost import cost_of
from valorem.core.metering.meter import Meter
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval
from valorem.core.time import parse_grid_instant, quarter_hour_of, write_instant
from valorem.engine.catalog import catalog_at
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Transaction
from valorem.engine.sources import sources_for
from valorem.engine.spending import period_at, spending_under
from valorem.engine.tallies import live_tallies


@dataclass(frozen=True, slots=True)
class MeterCost:
    """What the use of one meter cost whoever provides it."""

    key: str
    name: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class ContractMargin:
    """One contract in an interval.

    Attributes:
        plan: What it stood on at the end.
        currency: Of the amounts.
        revenue: What it was charged.
        costs: By meter; None where no meter of its catalog has a unit cost.
    """

    plan: str
    currency: str
    revenue: Decimal
    costs: tuple[MeterCost, ...] | None

    @property
    @exact
    def cost(self) -> Decimal | None:
        """What its use cost in all."""
        return None if self.costs is None else sum((each.cost for each in self.costs), ZERO)


def contract_margin(tx: Transaction, contract: Contract, inside: Interval) -> ContractMargin:
    """What a contract was charged for an interval, and what the use it bills cost: that of accounts it pays for as well.

    Args:
        tx: The transaction; a snapshot.
        contract: The contract.
        inside: On the quarter-hour grid, and inside the contract.
    """
    sources = sources_for(tx, contract)
    spending = spending_under(tx, contract, sources)
    standing = contract.standing_at(inside.end)
    return ContractMargin(
        standing.plan, contract.currency, spending.between(inside), meter_costs(tx, contract, sources, inside)
    )


@exact
def meter_costs(
    tx: Transaction, contract: Contract, sources: Sources, inside: Interval
) -> tuple[MeterCost, ...] | None:
    """What use cost in an interval by meter; None where no meter of the contract's catalog has a unit cost."""
    catalog = catalog_at(tx, contract.standing_at(inside.end).catalog_version)
    costly = [meter for meter in catalog.meters.values() if meter.cost is not None]
    if not costly:
        return None
    totals = {meter.key: ZERO for meter in costly}
    for meter, values, quantity in _used(tx, costly, sources, inside):
        assert meter.cost is not None
        totals[meter.key] += cost_of(meter.cost, values, quantity)
    return tuple(MeterCost(meter.key, meter.name or meter.key, totals[meter.key]) for meter in costly)


def _used(
    tx: Transaction, meters: Sequence[Meter], sources: Sources, inside: Interval
) -> Iterator[tuple[Meter, Mapping[str, str | None], Decimal]]:
    """What was used in an interval by whoever a contract bills: of each meter, by dimension values, what a unit cost counts."""
    for span in (*sources.pool, *(span for spans in sources.apart.values() for span in spans)):
        start = inside.start if span.start is None else max(span.start, inside.start)
        end = inside.end if span.end is None else min(span.end, inside.end)
        if start >= end:
            continue
        read = live_tallies(tx, span.subjects, meters)
        for meter in meters:
            for _, dimensions, tally in read(meter, [start, end]):
                values = dict(zip(meter.dimension_names, dimensions, strict=True))
                yield meter, values, Decimal(tally.n) if meter.aggregation.valueless else tally.total


@dataclass(frozen=True, slots=True)
class ContractMargins:
    """What a contract brought and cost between two instants.

    Attributes:
        contract: Its id.
        currency: Of the amounts.
        start: From then
        end: until then.
        revenue: What it was charged, fees and all.
        cost: What its use cost; None where no meter of its catalog has a unit cost.
        meters: By meter.
    """

    contract: str
    currency: str
    start: datetime
    end: datetime
    revenue: Decimal
    cost: Decimal | None
    meters: Sequence[UnitMargin]

    @property
    @exact
    def margin(self) -> Decimal | None:
        """What is left."""
        return None if self.cost is None else self.revenue - self.cost


def margins_of(
    tx: Transaction, contract_id: str, *, start: datetime | None = None, end: datetime | None = None
) -> ContractMargins:
    """What a contract brought and cost, by meter and by the unit.

    Args:
        tx: The transaction; a snapshot.
        contract_id: The contract.
        start: On the quarter-hour grid; the start of the running period where left out.
        end: Likewise; now where left out.

    Raises:
        NotFoundError: If there is no such contract.
        InvalidInputError: For an interval off the grid, or in which the contract does not run.
    """
    contract = get_contract(tx, contract_id).contract
    latest = min(quarter_hour_of(tx.now), contract.end or tx.now)
    until = latest if end is None else parse_grid_instant(end, "end")
    since = None if start is None else parse_grid_instant(start, "start")
    if since is None:
        period = period_at(contract, until)
        since = contract.start if period is None else period.start
    inside_start, inside_end = max(since, contract.start), min(until, contract.end or until)
    if inside_start >= inside_end:
        raise InvalidInputError(
            f"contract {contract_id} does not run between {write_instant(since)} and {write_instant(until)}",
            field="start",
            hint=f"it starts at {write_instant(contract.start)}",
        )
    inside = Interval(inside_start, inside_end)
    whole = contract_margin(tx, contract, inside)
    return ContractMargins(
        contract.id,
        contract.currency,
        inside.start,
        inside.end,
        whole.revenue,
        whole.cost,
        unit_margins(tx, contract, inside),
    )


@exact
def unit_margins(tx: Transaction, contract: Contract, inside: Interval) -> list[UnitMargin]:
    """What the use of each priced or costly meter brought and cost in an interval, in all and by the unit.

    Args:
        tx: The transaction; a snapshot.
        contract: The contract.
        inside: On the quarter-hour grid, and inside the contract.
    """
    sources = sources_for(tx, contract)
    spending = spending_under(tx, contract, sources)
    catalog = catalog_at(tx, contract.standing_at(inside.end).catalog_version)
    priced = {each.key for each in spending.terms.priced}
    meters = [meter for key, meter in catalog.meters.items() if key in priced or meter.cost is not None]
    quantities = {meter.key: ZERO for meter in meters}
    costs = {meter.key: ZERO for meter in meters if meter.cost is not None}
    for meter, values, quantity in _used(tx, meters, sources, inside):
        quantities[meter.key] += quantity
        if meter.cost is not None:
            costs[meter.key] += cost_of(meter.cost, values, quantity)
    return [
        UnitMargin(
            meter.key,
            meter.name or meter.key,
            meter.unit,
            quantities[meter.key],
            spending.between(inside, meter=meter.key),
            costs.get(meter.key),
        )
        for meter in meters
    ]
