"""Overview: what will I pay, and am I near a limit?"""

from dataclasses import dataclass
from datetime import datetime

from valorem.core.billing.schedule import period_index_at
from valorem.core.errors import InvalidInputError
from valorem.core.insight.difference import Difference, difference_of
from valorem.engine import settling
from valorem.engine.alerts import list_crossings
from valorem.engine.budgets import list_budgets
from valorem.engine.engine import Transaction
from valorem.engine.invoices import get_invoice, list_invoices
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.web.page import Page
from valorem.web.portal import figures
from valorem.web.portal.charts.difference import difference_chart
from valorem.web.portal.charts.spend import spend_chart
from valorem.web.portal.figures import Running
from valorem.web.portal.said import budget_edge, crossing_text, standing_word
from valorem.web.portal.site import Guest, PortalSite

_RECENT = 3
_LOOKED_BACK = 12
_TOLD = 4


@dataclass(frozen=True, slots=True)
class Told:
    """Something the customer was told."""

    at: datetime
    text: str
    over: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """The bill to come beside the last one."""

    header: InvoiceHeader
    difference: Difference


def add(site: PortalSite) -> None:
    """Add the page."""
    site.page("/", _show)


def _show(guest: Guest) -> Page:
    with guest.reading() as tx:
        running = figures.running(tx, guest)
        budgets = list_budgets(tx, guest.key)
        points, ahead, inside = figures.spent_by_day(tx, guest)
        edges = figures.budget_edges(tx, guest)
        access = figures.limits_of(tx, guest)
        balances = figures.credits_of(tx, guest)
        first = running[0] if running else None
        changed = _changed(tx, first) if first else None
        headers = list_invoices(tx, customer=guest.key, newest_first=True, limit=_LOOKED_BACK)
        recent = settling.standings(tx, [each for each in headers if each.number is not None][:_RECENT])
        burned = [(each, figures.burned(tx, each)) for each in running]
        names = {one.key: one.name for _, many in burned for one in many}
        names |= {each.feature: each.name for each in access}
        told = [
            Told(
                each.crossed_at,
                crossing_text(guest.words, each, budgets, names, guest.customer.currency),
                each.recovered_at is not None,
            )
            for _, each in list_crossings(tx, customer=guest.key, limit=_TOLD)
        ]
        now = tx.now
    chart = None
    if first is not None and inside is not None and len(points) > 1:
        chart = spend_chart(
            guest.words,
            points,
            ahead,
            edges,
            currency=first.contract.currency,
            zone=first.contract.time_zone,
            start=inside.start,
            end=inside.end,
            at=now,
        )
    bridge = None
    if changed is not None and changed.difference.parts:
        bridge = difference_chart(guest.words, changed.difference, changed.header.number or "")
    values = {
        "here": "overview",
        "running": running,
        "burned": burned,
        "budgets": budgets,
        "chart": chart,
        "access": [each for each in access if each.standings],
        "balances": balances,
        "changed": changed,
        "bridge": bridge,
        "recent": recent,
        "told": told,
        "now": now,
        "share": figures.share,
        "width": figures.width,
        "edge": budget_edge,
        "word": standing_word,
    }
    return Page("overview.html", values)


def _changed(tx: Transaction, running: Running) -> Changed | None:
    """The bill to come, split against the last one that closed a period."""
    if running.preview is None:
        return None
    contract = running.contract
    for each in list_invoices(tx, contract=contract.id, newest_first=True, limit=_LOOKED_BACK):
        if each.number is None or each.kind != "period" or each.index > period_index_at(contract, tx.now):
            continue
        before = get_invoice(tx, each.id).invoice
        if before.closed is None or before.currency != running.preview.projected.currency:
            continue
        try:
            return Changed(each, difference_of(before, running.preview.projected))
        except InvalidInputError:
            return None  # they are of different kinds
    return None
