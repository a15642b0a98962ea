"""What a customer's credits are, and from when to when under which terms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.credits import CreditType
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.customer import Customer
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.granting import Member, granted_by
from valorem.core.ledger.grants import Grant
from valorem.core.periods import Cadence, Interval, calendar_anchor, periods_between
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.store.postgres import contracts as contract_store
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import Place

_MOST_CONTRACTS = 200
_MONTH = Cadence(1, "month")
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class BurnPeriod:
    """A stretch of time in which tiers and included quantities of burn tables are counted together.

    Attributes:
        interval: From when to when.
        contract: Whose period it is; None while none runs.
        catalog: Where the burn tables are.
        zone: In which dated prices begin.
    """

    interval: Interval
    contract: Contract | None
    catalog: Catalog
    zone: str


@dataclass(frozen=True, slots=True)
class Definition:
    """What a customer's credits of one type are.

    Attributes:
        place: Which account.
        credit: The credit type, as the running contract's catalog version has it, else the newest.
        customer: The customer.
        contracts: Those that have started, the earliest first.
        running: The one that runs; of several the one that started last.
        members: Who has, or had, a seat.
        upcoming: Contracts that have not started.
    """

    place: Place
    credit: CreditType
    customer: Customer
    contracts: tuple[Contract, ...]
    running: Contract | None
    members: tuple[Member, ...]
    upcoming: tuple[Contract, ...] = ()

    @property
    def zone(self) -> str:
        """The calendar of its windows."""
        return self.running.time_zone if self.running else self.customer.zone

    def caps(self) -> tuple[Cap, ...]:
        """How much may be used in which windows."""
        anchor = (
            self.running.anchor
            if self.running
            else calendar_anchor(self.customer.created_at, _MONTH, self.customer.zone)
        )
        return tuple(terms.cap(key, anchor, self.zone) for key, terms in sorted(self.credit.caps.items()))


def definition_of(tx: Transaction, place: Place) -> Definition:
    """Read what an account is.

    Raises:
        NotFoundError: If there is no such customer, or no such credit type.
    """
    customer = get_customer(tx, place.customer)
    rows = contract_store.load_page(
        tx.connection, tx.workspace.id, customer=customer.key, after=None, limit=_MOST_CONTRACTS
    )
    every = sorted((row.contract for row in rows), key=lambda one: (one.start, one.id))
    contracts = tuple(one for one in every if one.start <= tx.now)
    running = winner(contracts, tx.now)
    kind = _kind(tx, place, running, every)
    members = store.members(tx.connection, tx.workspace.id, customer.key)
    upcoming = tuple(one for one in every if one.start > tx.now)
    return Definition(place, kind, customer, contracts, running, tuple(members), upcoming)


def _kind(tx: Transaction, place: Place, running: Contract | None, contracts: list[Contract]) -> CreditType:
    """The credit type as the running contract knows it, or the newest catalog version.

    A type that both have dropped is what it was in the last version that had it: what a customer has of it stays theirs.
    """
    catalog = _catalog(tx, running, tx.now)
    if place.credit in catalog.credits:
        return catalog.credit(place.credit)
    newest, current = current_catalog(tx)
    if place.credit not in current.credits:
        agreed = {standing.catalog_version for contract in contracts for standing in contract.agreed}
        if place in store.accounts(tx.connection, tx.workspace.id, place.customer):
            agreed |= set(range(1, newest))
        for version in sorted(agreed, reverse=True):
            if place.credit in (older := catalog_at(tx, version)).credits:
                return older.credit(place.credit)
    return current.credit(place.credit)


def credits_of(tx: Transaction, customer: str) -> list[str]:
    """The credit types of which a customer has, or is given, any."""
    found = {place.credit for place in store.accounts(tx.connection, tx.workspace.id, customer)}
    rows = contract_store.load_page(
        tx.connection, tx.workspace.id, customer=customer, after=None, limit=_MOST_CONTRACTS
    )
    for row in rows:
        for standing in row.contract.agreed:
            plan = catalog_at(tx, standing.catalog_version).plan(standing.plan)
            found |= {terms.credit or key for key, terms in plan.grants.items()}
    return sorted(found)


def burn_periods(
    tx: Transaction, definition: Definition, since: datetime, until: datetime
) -> Iterator[BurnPeriod]:
    """The periods that overlap ``[since, until)``, in order; a running one to its end."""
    edges = {since, until}
    for contract in definition.contracts:
        edges |= {at for at in (contract.start, contract.end) if at is not None and since < at < until}
    ordered = sorted(edges)
    at = 0
    while at + 1 < len(ordered):
        running = winner(definition.contracts, ordered[at])
        last = at + 1
        while last + 1 < len(ordered) and winner(definition.contracts, ordered[last]) is running:
            last += 1
        yield from _periods(tx, definition, running, Interval(ordered[at], ordered[last]), until)
        at = last


def _periods(
    tx: Transaction, definition: Definition, contract: Contract | None, within: Interval, until: datetime
) -> Iterator[BurnPeriod]:
    if contract is None:
        zone = definition.customer.zone
        anchor = calendar_anchor(within.start, _MONTH, zone)
        for each in periods_between(anchor, _MONTH, zone, within):
            start, end = each.full.start, each.full.end
            if within.end != until:
                end = min(end, within.end)
            yield BurnPeriod(Interval(start, end), None, _catalog(tx, None, start), zone)
        return
    index = period_index_at(contract, within.start)
    while (period := contract_period(contract, index)) is not None and period.interval.start < within.end:
        interval = period.interval
        if within.end != until and within.end < interval.end:
            interval = Interval(interval.start, within.end)  # a later contract takes over
        yield BurnPeriod(interval, contract, _catalog(tx, contract, interval.start), contract.time_zone)
        index += 1


def plan_grants(
    tx: Transaction, definition: Definition, until: datetime, since: datetime | None
) -> Iterator[Grant]:
    """Every grant that the customer's plans give by an instant; their ids never change.

    Args:
        tx: The transaction.
        definition: Of the account.
        until: The present.
        since: Only those of periods that end after it.
    """
    for contract in definition.contracts:
        for number, standing in enumerate(contract.agreed):
            later = contract.agreed[number + 1].since if number + 1 < len(contract.agreed) else None
            upto = until if later is None else min(until, later - _MOMENT)
            begins = contract.start if number == 0 else standing.since
            if standing.paused or upto < begins:
                continue
            if later is not None and since is not None and later <= since:
                continue  # all it gives belongs to periods that are closed
            plan = catalog_at(tx, standing.catalog_version).plan(standing.plan)
            for key, terms in sorted(plan.grants.items()):
                if (terms.credit or key) != definition.place.credit:
                    continue
                for grant in granted_by(
                    key,
                    terms,
                    contract,
                    upto,
                    since=since,
                    members=definition.members,
                    precision=definition.credit.precision,
                ):
                    if grant.start >= begins:
                        yield grant


def open_grants(grants: Sequence[Grant], closed_until: datetime | None) -> Iterator[Grant]:
    """What is left of grants where a closed period is not touched any more: they begin at its end at the earliest."""
    for grant in grants:
        start = grant.start if closed_until is None else max(grant.start, closed_until)
        if grant.end is None or grant.end > start:
            yield grant if start == grant.start else replace(grant, start=start)


def winner(contracts: Sequence[Contract], at: datetime) -> Contract | None:
    """The contract that decides at an instant: of those that run, the one that started last."""
    running = [one for one in contracts if one.start <= at and (one.end is None or at < one.end)]
    return running[-1] if running else None


def _catalog(tx: Transaction, contract: Contract | None, at: datetime) -> Catalog:
    if contract is None:
        return current_catalog(tx)[1]
    return catalog_at(tx, contract.standing_at(at).catalog_version)
