"""Terms: a contract with everything of its catalog versions that its invoices follow from."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from valorem.core.billing.invoice import Line
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.credits import CreditType
from valorem.core.catalog.plans import Plan, Policies
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.effective import effective_plan, phase_edges, trial_end
from valorem.core.contracts.sharing import Shared
from valorem.core.contracts.standing import Standing
from valorem.core.metering.meter import Meter
from valorem.core.periods import Interval
from valorem.core.pricing.derive import derive_meter
from valorem.core.pricing.price import Price

R = TypeVar("R")

_NO_CREDITS: Mapping[str, CreditType] = MappingProxyType({})


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
class Stretch:
    """The terms in force from an instant until the next stretch.

    Attributes:
        since: From when.
        standing: What is agreed.
        plan: The plan as it is charged: in the contract's currency, with its phase and all overrides.
        priced: The plan's prices, in the order written.
        policies: The contract's own, or the plan's.
        charges_fees: Whether fees run: not during a pause or a trial.
        charges_usage: Whether usage is billed.
        credits: The credit types of the catalog version, by key.
    """

    since: datetime
    standing: Standing
    plan: Plan
    priced: tuple[PricedMeter, ...]
    policies: Policies
    charges_fees: bool = True
    charges_usage: bool = True
    credits: Mapping[str, CreditType] = field(default_factory=lambda: _NO_CREDITS)


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a contract's commitments have to do with other accounts.

    Attributes:
        above: Commitments of accounts above that its usage is drawn from after its own, in the order drawn.
        beside: Lines on final invoices of other contracts, each with its contract: what they drew from the same
            commitments, and usage that counts for its own postpaid ones.
    """

    above: tuple[Shared, ...] = ()
    beside: tuple[Line, ...] = ()


ALONE = Sharing()


@dataclass(frozen=True, slots=True)
class Terms:
    """What one contract is billed by.

    Attributes:
        contract: The contract.
        plan: The plan it stands on first, as it is charged.
        priced: Every price of any stretch, by meter revision, in the order they come into force.
        policies: The contract's own, or those of the plan it stands on first.
        stretches: Which terms are in force from when on; at least one, the first from the contract's start.
        apart: Accounts it pays for whose tiers and included quantities begin anew, by key.
        keeping: Of these the accounts whose usage draws from none of its commitments.
        sharing: What its commitments have to do with accounts that pay for themselves.
        worked_out: What pure functions of these terms have given, so that an invoice works out nothing twice.
    """

    contract: Contract
    plan: Plan
    priced: tuple[PricedMeter, ...]
    policies: Policies
    stretches: tuple[Stretch, ...] = field(default=())
    apart: tuple[str, ...] = ()
    keeping: frozenset[str] = frozenset()
    sharing: Sharing = ALONE
    worked_out: dict[Hashable, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    def once(self, key: Hashable, work: Callable[[], R]) -> R:
        """What a pure function of these terms gives; ``key`` names it and whatever else it depends on."""
        if key not in self.worked_out:
            self.worked_out[key] = work()
        found: R = self.worked_out[key]
        return found

    def at(self, instant: datetime) -> Stretch:
        """The terms in force at an instant; before the start those of the start."""
        found = self.stretches[0]
        for stretch in self.stretches[1:]:
            if stretch.since > instant:
                break
            found = stretch
        return found

    def within(self, interval: Interval) -> tuple[Stretch, ...]:
        """The stretches in force during an interval, in order."""
        first = self.at(interval.start)
        return (first, *(each for each in self.stretches if interval.start < each.since < interval.end))


def priced_meters(plan: Plan, catalog: Catalog) -> tuple[PricedMeter, ...]:
    """The prices of a plan, looked up, each with the meter it reads; the same for every contract on the plan."""
    priced = ((key, catalog.price_named(price)) for key, price in plan.prices.items())
    return tuple(PricedMeter(key, price, derive_meter(catalog.meters[key], price)) for key, price in priced)


def terms_of(
    contract: Contract,
    catalog: Catalog,
    priced: tuple[PricedMeter, ...] | None = None,
    catalogs: Callable[[int], Catalog] | None = None,
) -> Terms:
    """Everything a contract is billed by.

    Args:
        contract: The contract.
        catalog: The version it is pinned to at its start.
        priced: What :func:`priced_meters` gave for its plan, where the caller keeps it; taken where nothing was agreed
            beside the plan.
        catalogs: Any version by its number, for a contract that moves to another one.

    Raises:
        NotFoundError: Where a catalog version has no such plan.
        UnprocessableError: Where a plan has no amounts in the contract's currency.
    """

    def version(number: int) -> Catalog:
        return catalog if catalogs is None or number == contract.catalog_version else catalogs(number)

    stretches = tuple(_stretches(contract, version, priced))
    first = stretches[0]
    return Terms(contract, first.plan, _every(stretches), first.policies, stretches)


def _every(stretches: Sequence[Stretch]) -> tuple[PricedMeter, ...]:
    if len(stretches) == 1:
        return stretches[0].priced
    found = {
        (each.key, each.meter.fingerprint()): each
        for stretch in reversed(stretches)
        for each in stretch.priced
    }
    return tuple(found.values())


def _stretches(
    contract: Contract, version: Callable[[int], Catalog], known: tuple[PricedMeter, ...] | None
) -> Iterator[Stretch]:
    for since in _edges(contract, version):
        standing = contract.standing_at(since)
        catalog = version(standing.catalog_version)
        listed = catalog.plan(standing.plan)
        plan = effective_plan(contract, standing, catalog, since)
        priced = (
            known
            if known is not None and plan is listed and len(contract.agreed) == 1
            else priced_meters(plan, catalog)
        )
        policies = contract.policies or listed.policies
        trial_ends = trial_end(contract, listed)
        trying = trial_ends is not None and since < trial_ends
        covered = trying and listed.trial is not None and listed.trial.covers == "everything"
        yield Stretch(
            since=since,
            standing=standing,
            plan=plan,
            priced=priced,
            policies=policies,
            charges_fees=not (standing.paused or trying),
            charges_usage=not (covered or (standing.paused and policies.paused_usage == "free")),
            credits=catalog.credits,
        )


def _edges(contract: Contract, version: Callable[[int], Catalog]) -> list[datetime]:
    """Every instant at which something about the terms changes, from the start on."""
    edges = {contract.start}
    for standing in contract.agreed:
        plan = version(standing.catalog_version).plan(standing.plan)
        edges.add(standing.since)
        edges.update(
            instant
            for each in standing.overrides
            for instant in (each.start, each.end)
            if instant is not None
        )
        edges.update(phase_edges(contract, plan.phases if standing.phases is None else standing.phases))
        if (over := trial_end(contract, plan)) is not None:
            edges.add(over)
    return sorted(
        edge
        for edge in edges
        if edge == contract.start or (edge > contract.start and (contract.end is None or edge < contract.end))
    )
