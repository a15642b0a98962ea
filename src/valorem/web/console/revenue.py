"""Revenue and margin: do we earn on each plan, meter and customer, and do those who came stay?"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from valorem.core.errors import NotFoundError
from valorem.core.funnel.journeys import NAMES, Funnel
from valorem.core.insight.cohorts import Billed, Cohort, cohorts_of
from valorem.core.insight.movements import Movement, movement
from valorem.core.numbers import ZERO, exact
from valorem.engine import overview
from valorem.engine.catalog import current_catalog
from valorem.engine.funnel import free_funnel
from valorem.web.charts.money import revenue_chart
from valorem.web.page import Page
from valorem.web.site import Site, Visit
from valorem.web.standings import Standing, Watch

_MONTHS = 12
_MOST_CUSTOMERS = 10
#: A cohort of fewer says more of single customers than of the cohort.
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Earned:
    """What something was charged and cost in the running periods so far.

    Attributes:
        key: Of the plan, the meter or the customer.
        name: For people.
        currency: Of the amounts.
        contracts: How many.
        revenue: What they were charged.
        known: How many of them have a cost: at least one meter of their catalog has a unit cost.
        covered: What those were charged.
        cost: What their use cost; None where no contract has one.
    """

    key: str
    name: str
    currency: str
    contracts: int
    revenue: Decimal
    known: int
    covered: Decimal
    cost: Decimal | None

    @property
    @exact
    def margin(self) -> Decimal | None:
        """What contracts with a cost were charged, less that cost."""
        return None if self.cost is None else self.covered - self.cost

    @property
    @exact
    def share(self) -> Decimal | None:
        """The margin as a share of what it is the margin of."""
        return None if self.margin is None or not self.covered else self.margin / self.covered


@dataclass(frozen=True, slots=True)
class Moved:
    """How invoiced revenue moved between the last two months of one currency."""

    currency: str
    before: datetime
    after: datetime
    movement: Movement


def add(site: Site, watch: Watch) -> None:
    """Add the page."""
    site.page("/revenue", partial(_show, watch=watch))


def _show(visit: Visit, watch: Watch) -> Page:
    seen = watch.look(visit.workspace.id, patience_s=0.1)
    with visit.reading() as tx:
        issued = overview.issued_by_month(tx)
        billed = overview.billed_by_customer(tx, months=_MONTHS)
        plans, funnel = _plans_and_funnel(visit)
        now = tx.now
    running = list(seen.running.values())
    sums = {each.currency: each for each in seen.sums()} if seen.ready and not seen.missing else {}
    currencies = sorted({*sums, *(each.currency for each in issued)})
    drawn = [revenue_chart(issued, sums.get(currency), currency, now) for currency in currencies]
    customers = _by(running, lambda each: (each.customer, seen.names.get(each.customer, each.customer)))
    values = {
        "here": "revenue",
        "seen": seen,
        "charts": [chart for chart in drawn if chart is not None],
        "whole": _by(running, lambda _: ("", "All contracts")),
        "plans": _by(running, lambda each: (each.plan, each.plan)),
        "meters": _by_meter(running),
        "weakest": sorted(
            (each for each in customers if each.margin is not None),
            key=lambda each: (each.margin or ZERO, each.name),
        )[:_MOST_CUSTOMERS],
        "moved": _moved(billed),
        "cohorts": _cohorts(billed),
        "fewest": _FEWEST,
        "offered": plans,
        "funnel": funnel,
        "plan": visit.query("plan"),
        "steps": NAMES,
        "now": now,
    }
    return Page("console/revenue.html", values)


def _plans_and_funnel(visit: Visit) -> tuple[Sequence[tuple[str, str]], Funnel | None]:
    """The plans there are, and the funnel of the one that was asked for."""
    with visit.reading() as tx:
        try:
            plans = [(plan.key, plan.name) for plan in current_catalog(tx)[1].plans.values()]
            asked = visit.query("plan")
            return plans, free_funnel(tx, asked)[0] if asked else None
        except NotFoundError:
            return (), None  # no catalog has been applied, or no version in use has that plan


@exact
def _by(running: Iterable[Standing], group: Callable[[Standing], tuple[str, str]]) -> list[Earned]:
    """Running contracts put together, the largest revenue first; currencies are never added."""
    found: dict[tuple[str, str, str], list[Standing]] = {}
    for each in running:
        found.setdefault((*group(each), each.currency), []).append(each)
    rows = []
    for (key, name, currency), all_ in found.items():
        costed = [(each.margin.revenue, each.margin.cost) for each in all_ if each.margin.cost is not None]
        rows.append(
            Earned(
                key,
                name,
                currency,
                len(all_),
                sum((each.margin.revenue for each in all_), ZERO),
                len(costed),
                sum((revenue for revenue, _ in costed), ZERO),
                sum((cost for _, cost in costed), ZERO) if costed else None,
            )
        )
    return sorted(rows, key=lambda each: (each.currency, -each.revenue, each.name))


@exact
def _by_meter(running: Iterable[Standing]) -> list[Earned]:
    """What use is charged and costs by meter: without fees, of which no meter can say whose they are."""
    found: dict[tuple[str, str], _MeterSum] = {}
    for each in running:
        costs = {one.key: one for one in each.margin.costs or ()}
        charged: dict[str, Decimal] = {}
        for line in each.usage:
            charged[line.key] = charged.get(line.key, ZERO) + line.amount
            found.setdefault((line.key, each.currency), _MeterSum(line.description.partition(":")[0]))
        for key, one in costs.items():
            if one.cost:
                found.setdefault((key, each.currency), _MeterSum(one.name)).name = one.name
        for (key, currency), summed in found.items():
            if currency == each.currency and (key in charged or (key in costs and costs[key].cost)):
                summed.add(charged.get(key, ZERO), costs[key].cost if key in costs else None)
    return [
        Earned(
            key,
            each.name,
            currency,
            each.contracts,
            each.revenue,
            each.known,
            each.covered,
            each.cost if each.known else None,
        )
        for (key, currency), each in sorted(found.items(), key=lambda item: (item[0][1], item[0][0]))
    ]


@dataclass
class _MeterSum:
    """What one meter's use was charged and cost, contract by contract."""

    name: str
    contracts: int = 0
    revenue: Decimal = ZERO
    known: int = 0
    covered: Decimal = ZERO
    cost: Decimal = ZERO

    def add(self, revenue: Decimal, cost: Decimal | None) -> None:
        self.contracts += 1
        self.revenue += revenue
        if cost is not None:
            self.known += 1
            self.covered += revenue
            self.cost += cost


def _moved(billed: Sequence[tuple[str, Billed]]) -> list[Moved]:
    """Between the last two months in which anything was invoiced."""
    found = []
    for currency in sorted({currency for currency, _ in billed}):
        mine = [each for other, each in billed if other == currency]
        months = sorted({each.month for each in mine})
        if len(months) < 2:
            continue
        before, after = months[-2:]
        sums = [
            {each.customer: each.amount for each in mine if each.month == month} for month in (before, after)
        ]
        found.append(Moved(currency, before, after, movement(*sums)))
    return found


def _cohorts(
    billed: Sequence[tuple[str, Billed]],
) -> Sequence[tuple[str, Sequence[datetime], Sequence[Cohort]]]:
    found = []
    for currency in sorted({currency for currency, _ in billed}):
        mine = [each for other, each in billed if other == currency]
        months = sorted({each.month for each in mine})
        found.append((currency, months, cohorts_of(mine, months)))
    return found
