"""The funnel of a free plan, from recorded facts: contracts, counters, crossings and paywalls."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.catalog.catalog import Catalog
from valorem.core.contracts.contract import Contract
from valorem.core.errors import InvalidInputError, NotFoundError
from valorem.core.funnel.journeys import Funnel, Journey, Step, by_cohort, funnel_of
from valorem.core.funnel.report import PlanMargin, WeeklyReport
from valorem.core.numbers import ZERO
from valorem.core.periods import Interval
from valorem.core.time import quarter_hour_of
from valorem.engine.catalog import current_catalog
from valorem.engine.engine import Transaction
from valorem.engine.margins import ContractMargin, contract_margin
from valorem.engine.meters import revision_ids
from valorem.store.postgres import contracts, funnel

_PAGE = 500
_WEEK = timedelta(days=7)
_COHORTS = 8


def journeys(tx: Transaction, plan: str) -> list[Journey]:
    """The ways of all customers who ever were on a plan, in order of signing up."""
    first, upgraded = _signed_up(tx, plan)
    used = funnel.first_use(tx.connection, tx.workspace.id, _revisions(tx, plan))
    crossed = funnel.first_crossings(tx.connection, tx.workspace.id)
    walls = funnel.paywalls(tx.connection, tx.workspace.id)
    found: dict[str, dict[Step, datetime]] = {key: {"signed_up": at} for key, at in first.items()}
    met: dict[str, list[str]] = {}
    for key, at in used.items():
        _reach(found, key, "activated", at)
    for key, threshold, at in crossed:
        share = Decimal(threshold.rstrip("%")) if threshold.endswith("%") else ZERO
        if share >= 80:
            _reach(found, key, "at_80", at)
        if share >= 100:
            _reach(found, key, "at_cap", at)
    for key, feature, reason, shown, at in walls:
        if reason in ("limit_reached", "throttled"):
            _reach(found, key, "at_cap", at)
        if shown:
            _reach(found, key, "prompt_shown", at)
        met.setdefault(key, []).append(feature)
    for key, at in upgraded.items():
        _reach(found, key, "upgraded", at)
    ways = [Journey(key, at, tuple(dict.fromkeys(met.get(key, ())))) for key, at in found.items()]
    return sorted(ways, key=lambda one: (one.at["signed_up"], one.customer))


def free_funnel(tx: Transaction, plan: str) -> tuple[Funnel, list[Funnel]]:
    """The funnel of a plan, of all and by week of signing up.

    Raises:
        NotFoundError: If no catalog version in use has such a plan.
    """
    ways = journeys(tx, plan)
    return funnel_of(ways), by_cohort(ways)


def weekly_report(tx: Transaction, *, plan: str | None = None, end: datetime | None = None) -> WeeklyReport:
    """What the week before an instant was like.

    Args:
        tx: The transaction; a snapshot.
        plan: The free plan; the one plan without fees where left out.
        end: End of the week, on the quarter-hour grid; now where left out.

    Raises:
        NotFoundError: If there is no such plan.
        InvalidInputError: If no plan is given and several, or none, are free.
    """
    catalog = current_catalog(tx)[1]
    key = catalog.plan(plan).key if plan is not None else _the_free_plan(catalog)
    last = quarter_hour_of(tx.now if end is None else end)
    start = last - _WEEK
    ways = journeys(tx, key)
    whole, cohorts = funnel_of(ways), by_cohort(ways)
    return WeeklyReport(
        plan=key,
        start=start,
        end=last,
        funnel=whole,
        cohorts=tuple(cohorts[-_COHORTS:]),
        margins=tuple(_margins(tx, Interval(start, last))),
        crossed=funnel.crossed_between(tx.connection, tx.workspace.id, start, last),
        walls=funnel.walls_between(tx.connection, tx.workspace.id, start, last),
        signed_up=_reached_in(ways, "signed_up", start, last),
        upgraded=_reached_in(ways, "upgraded", start, last),
    )


def _reached_in(ways: Sequence[Journey], step: Step, start: datetime, end: datetime) -> int:
    return sum(1 for one in ways if step in one.at and start <= one.at[step] < end)


def _reach(found: dict[str, dict[Step, datetime]], key: str, step: Step, at: datetime) -> None:
    if key in found and (step not in found[key] or at < found[key][step]):
        found[key][step] = at


def _signed_up(tx: Transaction, plan: str) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """When each customer first was on a plan, and when it first left it for another one."""
    first: dict[str, datetime] = {}
    steps: dict[str, list[tuple[datetime, str]]] = {}
    for contract in _contracts(tx):
        steps.setdefault(contract.customer, []).extend(
            (standing.since, standing.plan) for standing in contract.agreed
        )
    left: dict[str, datetime] = {}
    for key, taken in steps.items():
        for since, taken_plan in sorted(taken):
            if taken_plan == plan:
                first.setdefault(key, since)
            elif key in first and since <= tx.now:
                left.setdefault(key, since)
    return first, left


def _contracts(tx: Transaction) -> Iterator[Contract]:
    after: str | None = None
    while True:
        rows = contracts.load_page(tx.connection, tx.workspace.id, customer=None, after=after, limit=_PAGE)
        yield from (row.contract for row in rows)
        if len(rows) < _PAGE:
            return
        after = rows[-1].contract.id


def _revisions(tx: Transaction, plan: str) -> list[int]:
    """The meters that say that somebody has had success with a plan: those of its limits and prices."""
    catalog = current_catalog(tx)[1]
    if plan not in catalog.plans:
        raise NotFoundError(f"there is no plan {plan!r} in the newest catalog", field="plan")
    offered = catalog.plans[plan]
    keys = {*offered.prices}
    for key in (*offered.limits, *offered.features):
        feature = catalog.features.get(key)
        if feature is None or feature.meter is not None:
            keys.add(key if feature is None else feature.meter or key)
    meters = [catalog.meters[key] for key in sorted(keys) if key in catalog.meters]
    return list(revision_ids(tx, meters).values())


def _the_free_plan(catalog: Catalog) -> str:
    free = [key for key, plan in catalog.plans.items() if not plan.fees and not plan.prices]
    if len(free) != 1:
        found = f"{len(free)} plans charge nothing" if free else "no plan charges nothing"
        raise InvalidInputError(found, field="plan", hint="say which plan the report is about")
    return free[0]


def _stretches(contract: Contract, inside: Interval) -> Iterator[tuple[str, Interval]]:
    """The plans a contract stood on in an interval, from when to when."""
    start = inside.start
    for each in [*sorted(each.since for each in contract.agreed), inside.end]:
        plan, end = contract.standing_at(start).plan, min(each, inside.end)
        if end > start and (end == inside.end or contract.standing_at(end).plan != plan):
            yield plan, Interval(start, end)
            start = end


def _margins(tx: Transaction, week: Interval) -> list[PlanMargin]:
    """Revenue and cost of the contracts that ran, by the plan they stood on: one that changed counts under each."""
    found: dict[tuple[str, str], list[ContractMargin]] = {}
    for contract in _contracts(tx):
        if contract.start >= week.end or (contract.end is not None and contract.end <= week.start):
            continue
        inside = Interval(max(week.start, contract.start), min(week.end, contract.end or week.end))
        for plan, stretch in _stretches(contract, inside):
            found.setdefault((plan, contract.currency), []).append(contract_margin(tx, contract, stretch))
    return [
        PlanMargin(
            plan,
            currency,
            len(margins),
            sum((each.revenue for each in margins), ZERO),
            None
            if all(each.cost is None for each in margins)
            else sum((each.cost or ZERO for each in margins), ZERO),
        )
        for (plan, currency), margins in sorted(found.items())
    ]
