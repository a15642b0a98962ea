"""The operator console: each module is one group of pages, and answers the question its page asks."""

from valorem.web.console import (
    alerts,
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


def add_console(site: Site, watch: Watch) -> None:
    """Add every page of the console to a site."""
    customer_limits.add(site)
    credit_accounts.add(site)
    portal.add(site)  # all three before customers, whose address takes everything that follows
    for module in (home, events, customers, meters, revenue):
        module.add(site, watch)
    for plain_module in (
        alerts,
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
