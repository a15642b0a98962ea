"""The portal's routes; a new group of pages adds its line here."""

from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute

from valorem.engine.engine import Engine
from valorem.web.assets import Assets
from valorem.web.charts.drawing import Drawing
from valorem.web.portal import (
    billing,
    buying,
    entry,
    invoices,
    limits,
    outcomes,
    overview,
    plan,
    plan_changes,
    usage,
)
from valorem.web.portal import credits as prepaid
from valorem.web.portal.live import live_route
from valorem.web.portal.render import PortalTemplates
from valorem.web.portal.site import PortalSite


def portal_routes(
    engine: Engine, assets: Assets, drawing: Drawing, stopped: Callable[[], bool]
) -> Sequence[BaseRoute]:
    """Every route of the portal.

    Args:
        engine: What the verbs work with.
        assets: The static files.
        drawing: Draws charts.
        stopped: Whether the server is stopping; streams end then.
    """
    site = PortalSite(engine, PortalTemplates(assets, drawing))
    entry.add(site, assets)
    for group in (overview, usage, prepaid, buying, limits, invoices, plan, plan_changes, billing, outcomes):
        group.add(site)
    return [*site.routes, live_route(site, stopped)]
