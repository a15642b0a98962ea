"""What a contract earned and cost in an interval: the charges of its invoices against the meters' own unit costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.contracts.contract import Contract
from valorem.core.metering.cost import cost_of
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval
from valorem.engine.catalog import catalog_at
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.spending import Spending
from valorem.engine.tallies import live_tallies
from valorem.engine.terms import terms_for


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


def contract_margin(
    tx: Transaction, contract: Contract, inside: Interval, *, subjects: Sequence[str] | None = None
) -> ContractMargin:
    """What a contract was charged for an interval, and what its use cost.

    Args:
        tx: The transaction; a snapshot.
        contract: The contract.
        inside: On the quarter-hour grid, and inside the contract.
        subjects: Of its customer; looked up where left out.
    """
    known = get_customer(tx, contract.customer).subjects if subjects is None else subjects
    spending = Spending(tx, terms_for(tx, contract), known)
    standing = contract.standing_at(inside.end)
    return ContractMargin(
        standing.plan, contract.currency, spending.between(inside), meter_costs(tx, contract, known, inside)
    )


@exact
def meter_costs(
    tx: Transaction, contract: Contract, subjects: Sequence[str], inside: Interval
) -> tuple[MeterCost, ...] | None:
    """What use cost in an interval by meter; None where no meter of the contract's catalog has a unit cost."""
    catalog = catalog_at(tx, contract.standing_at(inside.end).catalog_version)
    costly = [meter for meter in catalog.meters.values() if meter.cost is not None]
    if not costly:
        return None
    read = live_tallies(tx, subjects, costly)
    found = []
    for meter in costly:
        assert meter.cost is not None
        total = ZERO
        for _, dimensions, tally in read(meter, [inside.start, inside.end]):
            values = dict(zip(meter.dimension_names, dimensions, strict=True))
            total += cost_of(meter.cost, values, tally.n if meter.aggregation.valueless else tally.total)
        found.append(MeterCost(meter.key, meter.name or meter.key, total))
    return tuple(found)
