"""Terms: a contract with everything of its catalog version that its invoices follow from."""

from dataclasses import dataclass

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan, Policies
from valorem.core.contracts.contract import Contract
from valorem.core.metering.meter import Meter
from valorem.core.pricing.price import Price


@dataclass(frozen=True, slots=True)
class PricedMeter:
    """One price of a plan with the meter it reads.

    Attributes:
        key: The meter's key in the plan.
        price: All its dated versions.
        meter: The meter revision that counts for it: the catalog's, or one derived from it for this price.
    """

    key: str
    price: Price
    meter: Meter


@dataclass(frozen=True, slots=True)
class Terms:
    """What one contract is billed by.

    Attributes:
        contract: The contract.
        plan: Its plan, from the catalog version it is pinned to.
        priced: The plan's prices, in the order written.
        policies: The contract's own, or the plan's.
    """

    contract: Contract
    plan: Plan
    priced: tuple[PricedMeter, ...]
    policies: Policies


def priced_meters(plan: Plan, catalog: Catalog) -> tuple[PricedMeter, ...]:
    """The prices of a plan, looked up, each with the meter it reads; the same for every contract on the plan."""
    return tuple(
        PricedMeter(key, catalog.price_for(plan.key, key), catalog.meter_for(plan.key, key))
        for key in plan.prices
    )


def terms_of(contract: Contract, catalog: Catalog, priced: tuple[PricedMeter, ...] | None = None) -> Terms:
    """Everything a contract is billed by.

    Args:
        contract: The contract.
        catalog: The version it is pinned to.
        priced: What :func:`priced_meters` gave for its plan, where the caller keeps it.

    Raises:
        NotFoundError: Where the catalog version has no such plan.
    """
    plan = catalog.plan(contract.plan)
    if priced is None:
        priced = priced_meters(plan, catalog)
    return Terms(contract, plan, priced, contract.policies or plan.policies)
