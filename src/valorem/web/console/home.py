"""Home: is money and metering healthy today?"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from valorem.core.insight.cohorts import Billed
from valorem.engine import overview
from valorem.engine.alerts import list_crossings
from valorem.engine.catalog import list_versions
from valorem.engine.clock import ClockReading, get_clock
from valorem.engine.contract_changes import list_parked
from valorem.engine.engine import Transaction
from valorem.engine.keys import list_keys
from valorem.engine.overview import Issued, Stage
from valorem.engine.webhooks import list_endpoints
from valorem.web.charts.chart import Chart
from valorem.web.charts.money import revenue_chart
from valorem.web.formats import money_text, plural
from valorem.web.page import Page
from valorem.web.site import Site, Visit
from valorem.web.standings import Standing, Standings, Watch

_MOST_CUSTOMERS = 8
_MOST_MOVERS = 6
_MOST_CROSSINGS = 100
_LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Task:
    """One step of the checklist; it ticks itself when its fact is there.

    Attributes:
        title: What to do.
        done: Whether the fact is there.
        how: A command that does it.
        to: A page that does it, after the workspace's address.
    """

    title: str
    done: bool
    how: str
    to: str


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person.

    Attributes:
        what: In words.
        why: What happens otherwise.
        to: Where to do it, after the workspace's address.
        bad: Whether it costs money or trust already.
    """

    what: str
    why: str
    to: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Mover:
    """A customer whose running period leads somewhere else than its invoices of last month."""

    customer: str
    currency: str
    before: Decimal
    projected: Decimal

    @property
    def difference(self) -> Decimal:
        """How much more it is going to be."""
        return self.projected - self.before


@dataclass(frozen=True, slots=True)
class _Facts:
    clock: ClockReading
    issued: list[Issued]
    stages: list[Stage]
    customers: int
    catalog: bool
    needs: list[Need]
    billed: list[tuple[str, Billed]]


def add(site: Site, watch: Watch) -> None:
    """Add the page."""
    site.page("/", partial(_home, watch=watch))


def _home(visit: Visit, watch: Watch) -> Page:
    seen = watch.look(visit.workspace.id, patience_s=0.1)
    with visit.reading() as tx:
        facts = _facts(tx)
    drafts = [stage for stage in facts.stages if stage.status == "draft"]
    tasks = _tasks(visit, facts, seen)
    values = {
        "here": "home",
        "seen": seen,
        "sums": seen.sums(),
        "facts": facts,
        "drafts": sum(stage.count for stage in drafts),
        "tasks": tasks,
        "done": sum(task.done for task in tasks),
        "charts": _charts(facts, seen, facts.clock.now),
        "largest": _largest(seen),
        "needs": facts.needs,
        "movers": _movers(facts, seen),
        "unpriced": [each for each in seen.running.values() if each.unpriced],
    }
    return Page("console/home.html", values)


def _facts(tx: Transaction) -> _Facts:
    return _Facts(
        get_clock(tx),
        overview.issued_by_month(tx),
        overview.stages(tx),
        overview.customers_count(tx),
        bool(list_versions(tx, limit=1)),
        _needs(tx),
        overview.billed_by_customer(tx, months=1),
    )


def _needs(tx: Transaction) -> list[Need]:
    """What waits for a person, the worst first."""
    found = []
    for stage in overview.stages(tx):
        if stage.status == "overdue" and stage.total is not None:
            amount = f"{money_text(stage.total, stage.currency)} {stage.currency}"
            what = f"{stage.count} {plural('invoice', stage.count)} overdue, {amount}"
            found.append(Need(what, "reminders go out by themselves", "/dunning", bad=True))
    parked = list_parked(tx)
    if parked:
        what = f"{len(parked)} {plural('contract', len(parked))} not invoiced until somebody has looked"
        found.append(Need(what, parked[0].reason, f"/contracts/{parked[0].contract}", bad=True))
    for endpoint in list_endpoints(tx):
        if endpoint.state == "disabled" or endpoint.health.failures:
            what = f"{endpoint.address} {'is told nothing' if endpoint.state == 'disabled' else 'does not answer'}"
            why = endpoint.reason or f"{endpoint.health.failures} failures in a row; it is tried again"
            found.append(
                Need(what, why, f"/alerts/endpoints/{endpoint.id}", bad=endpoint.state == "disabled")
            )
    since = tx.now - _LATELY
    crossed = [each for _, each in list_crossings(tx, limit=_MOST_CROSSINGS) if each.crossed_at >= since]
    still = [each for each in crossed if each.recovered_at is None]
    if still:
        what = f"{len(still)} {plural('threshold', len(still))} crossed in the last day"
        found.append(Need(what, "limits, budgets or included quantities used up", "/alerts"))
    return found


def _movers(facts: _Facts, seen: Standings) -> list[Mover]:
    """The customers whose projected invoice differs most from what they were invoiced last month."""
    months = sorted({each.month for _, each in facts.billed})
    before = {
        (each.customer, currency): each.amount
        for currency, each in facts.billed
        if months and each.month == months[-1]
    }
    projected: dict[tuple[str, str], Decimal] = {}
    for each in seen.running.values():
        place = (each.customer, each.currency)
        projected[place] = projected.get(place, Decimal(0)) + each.projected
    found = [
        Mover(customer, currency, before[customer, currency], amount)
        for (customer, currency), amount in projected.items()
        if (customer, currency) in before
    ]
    found.sort(key=lambda each: (-abs(each.difference), each.customer))
    return [each for each in found if each.difference][:_MOST_MOVERS]


def _charts(facts: _Facts, seen: Standings, at: datetime) -> list[Chart]:
    running = {each.currency: each for each in seen.sums()} if seen.ready and not seen.missing else {}
    currencies = sorted({*running, *(each.currency for each in facts.issued)})
    drawn = [revenue_chart(facts.issued, running.get(currency), currency, at) for currency in currencies]
    return [chart for chart in drawn if chart is not None]


def _largest(seen: Standings) -> list[Standing]:
    return sorted(seen.running.values(), key=lambda each: (-each.projected, each.customer))[:_MOST_CUSTOMERS]


def _tasks(visit: Visit, facts: _Facts, seen: Standings) -> list[Task]:
    url = str(visit.request.base_url).rstrip("/")
    has_keys = bool(list_keys(visit.engine, visit.workspace.id))
    event = '{"specversion":"1.0","id":"1","source":"first","type":"llm.call","subject":"acme","data":{"tokens":1200}}'
    send = f"curl {url}/v1/events -H 'Authorization: Bearer YOUR_KEY' -H 'Content-Type: application/json' -d '[{event}]'"
    return [
        Task("Make an API key", has_keys, "", "/settings/keys"),
        Task("Send a first event", seen.events > 0, send, "/events"),
        Task("Say what is counted and what it costs", facts.catalog, "", "/catalog/change"),
        Task("Make a customer and put it on a plan", bool(seen.contracts), "", "/new-customer"),
        Task("See a first invoice", bool(facts.stages), "", "/invoices"),
    ]
