"""Catalog: what is sold, at which price, since when?"""

from dataclasses import dataclass
from datetime import datetime

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan
from valorem.engine import catalog as verbs
from valorem.engine.catalog import current_catalog
from valorem.store.postgres.catalogs import CatalogVersion
from valorem.web.charts.chart import Chart
from valorem.web.charts.steps import steps_chart
from valorem.web.page import Page
from valorem.web.prices import PriceList, price_list
from valorem.web.site import Answer, Go, Site, Visit

_VERSIONS = 30


@dataclass(frozen=True, slots=True)
class Offered:
    """One plan as it is offered at an instant: each meter's name and prices."""

    plan: Plan
    prices: tuple[tuple[str, PriceList], ...]
    charts: tuple[Chart, ...]


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/catalog", _show)
    site.page("/catalog/versions/{version:int}", _version)
    site.action("/catalog/versions/{version:int}/restore", "catalog", _restore)


def _show(visit: Visit) -> Page:
    with visit.reading() as tx:
        versions = verbs.list_versions(tx, limit=_VERSIONS)
        now = tx.now
        number, catalog = current_catalog(tx) if versions else (0, Catalog())
    offered = [_offered(catalog, plan, now) for plan in catalog.plans.values()]
    features = sorted({key for plan in catalog.plans.values() for key in plan.features})
    values = {
        "here": "catalog",
        "number": number,
        "offered": offered,
        "charts": [chart for each in offered for chart in each.charts],
        "features": features,
        "names": {key: feature.name or key for key, feature in catalog.features.items()},
        "versions": versions,
        "now": now,
    }
    return Page("console/catalog.html", values)


def _offered(catalog: Catalog, plan: Plan, at: datetime) -> Offered:
    prices, charts = [], []
    for key, written in plan.prices.items():
        price = catalog.price_named(written)
        meter = catalog.meters[key]
        name = price.name or meter.name or key
        prices.append((name, price_list(price, meter.unit, at)))
        title = f"{plan.name}, {name}"
        chart = steps_chart(f"steps-{plan.key}-{key}", title, price, meter.unit, plan.currency, at)
        charts += [] if chart is None else [chart]
    return Offered(plan, tuple(prices), tuple(charts))


def _version(visit: Visit) -> Page:
    number = int(visit.path("version"))
    with visit.reading() as tx:
        version: CatalogVersion = verbs.show_version(tx, number)
        newest = verbs.list_versions(tx, limit=1)[0].version
        changes = verbs.diff_versions(tx, number - 1, number) if number > 1 else ()
    values = {
        "here": "catalog",
        "version": version,
        "newest": newest,
        "changes": changes,
        "files": sorted(version.files.items()),
    }
    return Page("console/catalog_version.html", values)


def _restore(visit: Visit) -> Answer:
    number = int(visit.path("version"))
    with visit.acting() as tx:
        before = verbs.list_versions(tx, limit=1)[0].version
        made = verbs.rollback_catalog(tx, number, message=None, author=visit.person.email)
        deed = visit.deed(
            "catalog.rollback",
            f"version {made.version}",
            before={"version": before},
            after={"version": made.version, "as_in": number},
        )
        visit.note(tx, deed)
    return Go(f"{visit.home}/catalog", f"Version {made.version} is version {number} again.")
