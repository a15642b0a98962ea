"""The place of backtests: what they will answer, and what answers it until then."""

from valorem.web.page import Page
from valorem.web.site import Site, Visit


def add(site: Site) -> None:
    """Add the page."""
    site.page("/backtests", _show)


def _show(visit: Visit) -> Page:
    with visit.reading() as tx:
        now = tx.now
    return Page("console/backtests.html", {"here": "backtests", "now": now})
