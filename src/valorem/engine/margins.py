"""What a contract earned and cost in an interval: the charges of its invoices against the meters' own unit costs."""

from dataclasses import dataclass
from decimal import Decimal

from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sources import Sources
from valorem.core.metering.cost import cost_of
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval
from valorem.engine.catalog import catalog_at
from valorem.engine.engine import Transaction
from valorem.engine.sources import sources_for
from valorem.engine.spending import spending_under
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
    for span in (*sources.pool, *(span for spans in sources.apart.values() for span in spans)):
        start = inside.start if span.start is None else max(span.start, inside.start)
        end = inside.end if span.end is None else min(span.end, inside.end)
        if start >= end:
            continue
        read = live_tallies(tx, span.subjects, costly)
        for meter in costly:
            assert meter.cost is not None
            for _, dimensions, tally in read(meter, [start, end]):
                values = dict(zip(meter.dimension_names, dimensions, strict=True))
                totals[meter.key] += cost_of(
                    meter.cost, values, tally.n if meter.aggregation.valueless else tally.total
                )
    return tuple(MeterCost(meter.key, meter.name or meter.key, totals[meter.key]) for meter in costly)
