"""What would this cost: a plan's whole period for quantities somebody makes up, or for those of a period that is over.

The charges are those of the invoice: a contract is made up in memory, and priced by the functions that bill it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.charges import period_charges
from valorem.core.billing.invoice import Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed, usage_needs
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.billing.terms import Terms
from valorem.core.contracts.contract import Contract, Dated
from valorem.core.errors import ValoremError
from valorem.core.metering.measured import Measured
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Cadence, Period
from valorem.core.pricing.matrix import Matrix
from valorem.engine.catalog import catalog_at
from valorem.engine.contracts import counted_keys
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.measuring import measure
from valorem.engine.tallies import live_tallies
from valorem.engine.terms import terms_for

_MOST_ENTRIES = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """One quantity of a made-up period.

    Attributes:
        need: Under which key it is answered.
        name: Of what is used.
        unit: Of the quantity.
        dimensions: The values it is priced by.
        usual: What was used in the last whole period, or of the running one so far.
    """

    need: str
    name: str
    unit: str | None
    dimensions: Mapping[str, str | None]
    usual: Decimal


@dataclass(frozen=True)
class WhatIf:
    """A plan as one customer would have it.

    Attributes:
        terms: Of a contract that nobody made.
        period: Its first, whole.
        entries: The quantities that can be made up, in the plan's order.
        seats: What is counted by hand, and how many there are now.
        left_out: Names of what is priced event by event, which no quantity says.
    """

    terms: Terms
    period: Period
    entries: tuple[Entry, ...]
    seats: Mapping[str, Decimal]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a whole period would come to.

    Attributes:
        currency: Of the amounts.
        lines: As an invoice would have them.
        total: Their sum.
    """

    currency: str
    lines: tuple[Line, ...]
    total: Decimal


def what_if(
    tx: Transaction,
    contract: Contract,
    plan: str,
    catalog_version: int,
    *,
    seats: Mapping[str, Decimal] | None = None,
) -> WhatIf:
    """A plan as a customer would have it, with the quantities that it usually uses.

    Args:
        tx: The transaction.
        contract: The one that runs.
        plan: The plan's key.
        catalog_version: Of the plan.
        seats: In the place of those there are now.

    Raises:
        NotFoundError: If there is no such plan or version.
    """
    index = period_index_at(contract, tx.now)
    made = _made_up(tx, contract, plan, catalog_version, _start(contract, index), tx.now, seats)
    terms, period = made
    before = _made_up(tx, contract, plan, catalog_version, _start(contract, max(index - 1, 0)), tx.now, seats)
    usual = _measured(tx, *before, _needs(*before))
    entries: list[Entry] = []
    left_out: list[str] = []
    for need in _needs(terms, period):
        name = need.price.at(tx.now).name or need.meter.name or need.meter_key
        if need.with_values:
            left_out.append(name)
            continue
        for dimensions, quantity in _combinations(need, usual.get(need.key, ()), tx.now):
            entries.append(Entry(need.key, name, need.meter.unit, dimensions, quantity))
    found_seats = {key: history[-1].quantity for key, history in terms.contract.seats.items() if history}
    return WhatIf(terms, period, tuple(entries[:_MOST_ENTRIES]), found_seats, tuple(left_out))


@exact
def estimate(looked_at: WhatIf, quantities: Sequence[Decimal]) -> Estimate:
    """What the made-up period comes to.

    Args:
        looked_at: The plan.
        quantities: One for each entry.
    """
    needs = usage_needs(looked_at.terms, looked_at.period)
    usage: dict[str, list[list[Measured]]] = {need.key: [[] for _ in need.intervals] for need in needs}
    for entry, quantity in zip(looked_at.entries, quantities, strict=True):
        if quantity:
            usage[entry.need][-1].append(Measured(entry.dimensions, quantity, 1))
    return _charged(looked_at.terms, looked_at.period, usage, needs)


def past_cost(
    tx: Transaction, contract: Contract, plan: str, catalog_version: int, index: int
) -> Estimate | None:
    """What a period that is over would have come to on a plan, for the very usage; None where that cannot be said."""
    found = contract_period(contract, index)
    if index < 0 or found is None:
        return None
    try:
        terms, period = _made_up(
            tx, contract, plan, catalog_version, found.interval.start, found.interval.start, None
        )
        if period.interval != found.interval:
            return None  # it is billed in other steps
        needs = _needs(terms, period)
        return _charged(terms, period, _measured(tx, terms, period, needs), needs)
    except ValoremError:
        return None  # its prices look at something that was not counted then


def _start(contract: Contract, index: int) -> datetime:
    period = contract_period(contract, index)
    assert period is not None  # it runs
    return period.interval.start


def _made_up(
    tx: Transaction,
    contract: Contract,
    plan: str,
    catalog_version: int,
    start: datetime,
    at: datetime,
    seats: Mapping[str, Decimal] | None,
) -> tuple[Terms, Period]:
    catalog_plan = catalog_at(tx, catalog_version).plan(plan)
    standing = contract.standing_at(at)
    same = standing.plan == plan and standing.catalog_version == catalog_version
    keys = sorted(counted_keys(catalog_plan))
    counts = {key: (seats or {}).get(key, contract.seats_at(key, at)) for key in keys}
    every = contract.every if same else Cadence(*catalog_plan.every)  # type: ignore[arg-type]
    made = replace(
        contract,
        plan=plan,
        catalog_version=catalog_version,
        start=start,
        end=None,
        every=every,
        anchor=start,
        seats={key: (Dated(start, count),) for key, count in counts.items()},
        policies=contract.policies if same else None,
        standings=(standing.model_copy(update={"since": start, "paused": False, "charges": ()}),)
        if same
        else (),
        legs=(),
        term=None,
        first_start=contract.first_start or contract.start,
    )
    terms = terms_for(tx, made)
    period = contract_period(made, 0)
    assert period is not None  # it has no end
    return terms, period


def _needs(terms: Terms, period: Period) -> tuple[UsageNeed, ...]:
    return usage_needs(terms, period)


def _measured(tx: Transaction, terms: Terms, _period: Period, needs: Sequence[UsageNeed]) -> PeriodUsage:
    subjects = get_customer(tx, terms.contract.customer).subjects
    try:
        read = live_tallies(tx, subjects, [need.meter for need in needs])
        return measure(tx, subjects, needs, read)
    except ValoremError:
        return {}  # a meter of the plan has not been counted yet: nothing is usual


@exact
def _combinations(
    need: UsageNeed, answers: Sequence[Sequence[Measured]], at: datetime
) -> list[tuple[Mapping[str, str | None], Decimal]]:
    """The dimension values that were used, the most first, then those that the price has rows for."""
    used: dict[tuple[str | None, ...], Decimal] = {}
    for measured in (each for answer in answers for each in answer):
        values = tuple(measured.dimensions.get(name) for name in need.dimensions)
        used[values] = used.get(values, ZERO) + measured.quantity
    ranked = sorted(used, key=lambda values: (-used[values], [value or "" for value in values]))
    version = need.price.at(at)
    if isinstance(version, Matrix):
        for row in version.rates:
            exactly = {name: match for name, match in row.where.items() if isinstance(match, str)}
            values = tuple(exactly.get(name) for name in need.dimensions)
            if len(exactly) == len(row.where) and values not in used:
                used[values] = ZERO
                ranked.append(values)
    if not ranked:
        ranked, used = [()] if not need.dimensions else [(None,) * len(need.dimensions)], {}
    return [(dict(zip(need.dimensions, values, strict=True)), used.get(values, ZERO)) for values in ranked]


@exact
def _charged(terms: Terms, period: Period, usage: PeriodUsage, needs: Sequence[UsageNeed]) -> Estimate:
    lines = period_charges(terms, period, usage, needs).lines
    return Estimate(terms.contract.currency, lines, sum((line.amount for line in lines), ZERO))
