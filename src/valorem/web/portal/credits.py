"""Credits: how long will they last, and what did each thing burn?"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from valorem.core.calendar import local_date
from valorem.core.errors import InvalidInputError
from valorem.core.ledger.forecast import Forecast
from valorem.core.ledger.statement import StatementLine, change_of
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval
from valorem.engine.credits.accounts import read_book
from valorem.engine.credits.reading import Balance, credit_burn, credit_forecast, credit_statement
from valorem.engine.engine import Transaction
from valorem.store.postgres.credits import Place
from valorem.web.page import Page
from valorem.web.portal import figures
from valorem.web.portal.buying import offers_to
from valorem.web.portal.charts.burn import burn_chart
from valorem.web.portal.charts.frame import Point, PortalChart
from valorem.web.portal.said import grant_sources, line_kinds
from valorem.web.portal.site import Guest, PortalSite

_BACK = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Account:
    """One credit type of the customer, with everything to be said of it."""

    balance: Balance
    forecast: Forecast
    chart: PortalChart | None
    over: Interval | None
    by: str
    burn: list[tuple[str | None, Decimal]]
    used: Decimal
    lines: tuple[StatementLine, ...]


def add(site: PortalSite) -> None:
    """Add the page."""
    site.page("/credits", _show)


def _show(guest: Guest) -> Page:
    with guest.reading() as tx:
        accounts = [_account(tx, guest, each) for each in figures.credits_of(tx, guest)]
        offers = offers_to(tx, guest)
        now = tx.now
    values = {
        "here": "credits",
        "accounts": accounts,
        "offers": offers,
        "now": now,
        "zone": guest.customer.zone,
        "share": figures.share,
        "by": accounts[0].by if accounts else "meter",
        "cent": Decimal("0.01"),
        "kinds": line_kinds(guest.words),
        "sources": grant_sources(guest.words),
        "dimensions": ("meter", "model", "product", "member"),
    }
    return Page("credits.html", values)


def _account(tx: Transaction, guest: Guest, balance: Balance) -> Account:
    by = guest.query("by") or "meter"
    forecast = credit_forecast(tx, guest.key, balance.credit)
    over: Interval | None = None
    burn: list[tuple[str | None, Decimal]] = []
    lines: tuple[StatementLine, ...] = ()
    try:
        over, burn = credit_burn(tx, guest.key, balance.credit, by=by)
        lines = credit_statement(tx, guest.key, balance.credit).lines
    except InvalidInputError:
        pass  # its period begins this instant: nothing has happened yet
    points = _points(tx, guest, balance)
    chart = None
    if len(points) > 1:
        chart = burn_chart(
            guest.words,
            f"burn-{balance.credit}",
            balance.name,
            points,
            forecast.runs_out_at,
            forecast.lost,
            guest.customer.zone,
            tx.now,
        )
    return Account(balance, forecast, chart, over, by, burn, sum((amount for _, amount in burn), ZERO), lines)


@exact
def _points(tx: Transaction, guest: Guest, balance: Balance) -> list[Point]:
    """What was left after each day's happenings, in one pass over the account."""
    book = read_book(tx, Place(tx.workspace.id, guest.key, balance.credit), whole=True)
    happenings = sorted(
        (each for each in book.account().happenings if each.at <= tx.now), key=lambda each: each.at
    )
    since, level = tx.now - _BACK, ZERO
    points: list[Point] = []
    for each in happenings:
        if not (change := change_of(each)):
            continue
        level += change
        day = local_date(each.at, guest.customer.zone)
        if points and (each.at < since or local_date(points[-1].at, guest.customer.zone) == day):
            points.pop()
        points.append(Point(max(each.at, since), level))
    return [*points, Point(tx.now, level)] if points else []
