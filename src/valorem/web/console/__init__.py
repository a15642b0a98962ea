"""The operator console: each module is one group of pages, and answers the question its page asks."""

from valorem.engine.heard import Heard
from valorem.web.console import (
    alerts,
    backtests,
    catalog,
    change,
    clock,
    contract_edits,
    contracts,
    credit_accounts,
    customer_limits,
    customers,
    events,
    home,
    invoices,
    meters,
    outcomes,
    portal,
    revenue,
    search,
    settings,
    settings_billing,
    settlement,
)
from valorem.web.site import Site
from valorem.web.standings import Watch


def add_console(site: Site, watch: Watch, heard: Heard) -> None:
    """Add every page of the console to a site."""
    customer_limits.add(site)
    credit_accounts.add(site)
    portal.add(site)  # all three before customers, whose address takes everything that follows
    events.add(site, watch, heard)
    for module in (home, customers, meters, revenue):
        module.add(site, watch)
    for plain_module in (
        alerts,
        backtests,
        catalog,
        change,
        contract_edits,
        contracts,
        invoices,
        settlement,
        outcomes,
        clock,
        settings,
        settings_billing,
        search,
    ):
        plain_module.add(site)
