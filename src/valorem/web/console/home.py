"""Home: is money and metering healthy today?"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from valorem.engine import overview
from valorem.engine.catalog import list_versions
from valorem.engine.clock import ClockReading, get_clock
from valorem.engine.engine import Transaction
from valorem.engine.keys import list_keys
from valorem.engine.overview import Issued, Stage
from valorem.web.charts.chart import Chart
from valorem.web.charts.money import revenue_chart
from valorem.web.site import Page, Site, Visit
from valorem.web.standings import Standing, Standings, Watch

_MOST_CUSTOMERS = 8


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
class _Facts:
    clock: ClockReading
    issued: list[Issued]
    stages: list[Stage]
    customers: int
    catalog: bool


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
    )


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
