"""Revenue and margin: do we earn on each plan, meter and customer, and do those who came stay?"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from valorem.core.errors import ValoremError
from valorem.core.funnel.journeys import NAMES, Funnel
from valorem.core.insight.cohorts import Billed, Cohort, cohorts_of
from valorem.core.insight.movements import Movement, movement
from valorem.core.numbers import ZERO, exact
from valorem.engine import overview
from valorem.engine.catalog import current_catalog
from valorem.engine.funnel import free_funnel
from valorem.web.charts.money import revenue_chart
from valorem.web.site import Page, Site, Visit
from valorem.web.standings import Standing, Watch

_MONTHS = 12
_MOST_CUSTOMERS = 10
#: A cohort of fewer says more of single customers than of the cohort.
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Earned:
    """What something was charged and cost in the running periods so far; no cost where no meter has a unit cost."""

    key: str
    name: str
    currency: str
    contracts: int
    revenue: Decimal
    cost: Decimal | None

    @property
    @exact
    def margin(self) -> Decimal | None:
        """Revenue less cost."""
        return None if self.cost is None else self.revenue - self.cost

    @property
    @exact
    def share(self) -> Decimal | None:
        """The margin as a share of the revenue."""
        return None if self.margin is None or not self.revenue else self.margin / self.revenue


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
        "moved": _moved(billed, now),
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
        except ValoremError:
            return (), None  # no catalog has been applied, or no version in use has that plan


@exact
def _by(running: Iterable[Standing], group: Callable[[Standing], tuple[str, str]]) -> list[Earned]:
    """Running contracts put together, the largest revenue first; currencies are never added."""
    found: dict[tuple[str, str, str], list[Standing]] = {}
    for each in running:
        found.setdefault((*group(each), each.currency), []).append(each)
    rows = [
        Earned(
            key,
            name,
            currency,
            len(all_),
            sum((each.margin.revenue for each in all_), ZERO),
            None
            if all(each.margin.cost is None for each in all_)
            else sum((each.margin.cost or ZERO for each in all_), ZERO),
        )
        for (key, name, currency), all_ in found.items()
    ]
    return sorted(rows, key=lambda each: (each.currency, -each.revenue, each.name))


@exact
def _by_meter(running: Iterable[Standing]) -> list[Earned]:
    """What use is charged and costs by meter: without fees, of which no meter can say whose they are."""
    revenue: dict[tuple[str, str], Decimal] = {}
    cost: dict[tuple[str, str], Decimal] = {}
    names: dict[str, str] = {}
    contracts: dict[tuple[str, str], set[str]] = {}
    for each in running:
        for line in each.usage:
            place = (line.key, each.currency)
            revenue[place] = revenue.get(place, ZERO) + line.amount
            names.setdefault(line.key, line.description.partition(":")[0])
            contracts.setdefault(place, set()).add(each.contract)
        for one in each.margin.costs or ():
            place = (one.key, each.currency)
            cost[place] = cost.get(place, ZERO) + one.cost
            names[one.key] = one.name
            if one.cost:
                contracts.setdefault(place, set()).add(each.contract)
    return [
        Earned(key, names[key], currency, len(contracts[key, currency]), revenue.get((key, currency), ZERO), cost.get((key, currency)))
        for key, currency in sorted(contracts, key=lambda place: (place[1], place[0]))
    ]


def _moved(billed: Sequence[tuple[str, Billed]], now: datetime) -> list[Moved]:
    """From the month before the last one to the last one that is over; of this month where there are no two."""
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


def _cohorts(billed: Sequence[tuple[str, Billed]]) -> list[tuple[str, Sequence[datetime], Sequence[Cohort]]]:
    found = []
    for currency in sorted({currency for currency, _ in billed}):
        mine = [each for other, each in billed if other == currency]
        months = sorted({each.month for each in mine})
        found.append((currency, months, cohorts_of(mine, months)))
    return found
