"""The numbers of the portal's pages, each from the verb that invoices, checks or keeps the ledger; pages and the live stream share them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.billing.projection import Preview
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.calendar import add_days, local_date, start_of_day
from valorem.core.catalog.plans import Plan
from valorem.core.contracts.contract import Contract
from valorem.core.errors import NotFoundError, ValoremError
from valorem.core.metering.meter import Meter
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.periods import Interval
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of
from valorem.engine.access import Access, access_of
from valorem.engine.budgets import list_budgets
from valorem.engine.catalog import catalog_at
from valorem.engine.contracts import list_contracts
from valorem.engine.credits.reading import Balance, balances
from valorem.engine.engine import Transaction
from valorem.engine.invoices import preview_invoice
from valorem.engine.spending import spending_of
from valorem.engine.terms import terms_for
from valorem.web.burned import Burned
from valorem.web.burned import burned as of_contract
from valorem.web.portal.charts.frame import Edge, Point
from valorem.web.portal.site import Guest

_MOST_CONTRACTS = 50
_POINTS = 10


@dataclass(frozen=True, slots=True)
class Running:
    """A contract that runs.

    Attributes:
        contract: The contract.
        plan: What it stands on now.
        preview: Its next invoice; None where that cannot be said now.
    """

    contract: Contract
    plan: Plan
    preview: Preview | None

    @property
    def plan_name(self) -> str:
        """For people."""
        return self.plan.name


def contracts_of(tx: Transaction, guest: Guest) -> list[Contract]:
    """The customer's contracts in order of their start."""
    rows = list_contracts(tx, customer=guest.key, limit=_MOST_CONTRACTS)
    return sorted((row.contract for row in rows), key=lambda each: (each.start, each.id))


def running(tx: Transaction, guest: Guest, *, previews: bool = True) -> list[Running]:
    """The contracts that run, the one that started last first; without their next invoices where nobody asks for them."""
    return [
        _running(tx, each, preview=previews)
        for each in reversed(contracts_of(tx, guest))
        if each.start <= tx.now and (each.end is None or tx.now < each.end)
    ]


def running_one(tx: Transaction, guest: Guest) -> Running:
    """The contract that started last of those that run.

    Raises:
        NotFoundError: Where none runs.
    """
    found = running(tx, guest, previews=False)
    if not found:
        raise NotFoundError("no contract runs")
    return found[0]


def _running(tx: Transaction, contract: Contract, *, preview: bool) -> Running:
    standing = contract.standing_at(tx.now)
    plan = catalog_at(tx, standing.catalog_version).plan(standing.plan)
    if not preview:
        return Running(contract, plan, None)
    try:
        return Running(contract, plan, preview_invoice(tx, contract.id))
    except ValoremError:
        return Running(contract, plan, None)  # its meters are being counted anew, say


def burned(tx: Transaction, running_: Running) -> list[Burned]:
    """What was used this period of everything that is priced; nothing where the next invoice cannot be said now."""
    return [] if running_.preview is None else of_contract(tx, running_.contract, running_.preview.so_far)


def meter_names(tx: Transaction, running_: Running) -> dict[str, str]:
    """What is priced by use, and what it is called."""
    return {
        priced.key: priced.price.at(tx.now).name or priced.meter.name or priced.key
        for priced in terms_for(tx, running_.contract).at(tx.now).priced
    }


def spent_by_day(tx: Transaction, guest: Guest) -> tuple[list[Point], Point | None, Interval | None]:
    """What the running period has come to at some ends of days until now, and at its end if use goes on."""
    spending = spending_of(tx, guest.key)
    if spending is None:
        return [], None, None
    contract = spending.terms.contract
    period = contract_period(contract, period_index_at(contract, tx.now))
    assert period is not None  # it runs
    inside = period.interval
    edges = [at for at in _days(inside, contract.time_zone) if inside.start < at < tx.now]
    step = max(1, -(-len(edges) // _POINTS))
    chosen = [*edges[step - 1 :: step], quarter_hour_of(tx.now)]
    # The fees of the period are there from its first instant.
    first = inside.start + timedelta(seconds=QUARTER_HOUR_S)
    ends = [at for at in dict.fromkeys((first, *chosen)) if first <= at <= tx.now]
    spending.read_ahead(period, [*ends, inside.end])
    points = [
        Point(
            inside.start if at == first else at, spending.between(Interval(inside.start, at), of="everything")
        )
        for at in ends
    ]
    if points and points[-1].at < tx.now:
        whole = spending.between(Interval(inside.start, inside.end), of="everything")
        points.append(Point(tx.now, whole))
    return points, Point(inside.end, spending.projected(period)), inside


def _days(inside: Interval, zone: str) -> list[datetime]:
    day, found = local_date(inside.start, zone), []
    while (at := start_of_day(day, zone)) < inside.end:
        found.append(at)
        day = add_days(day, 1)
    return found


def budget_edges(tx: Transaction, guest: Guest) -> list[Edge]:
    """The budgets of the whole billing period, as lines to stay under."""
    return [
        Edge(
            each.budget.amount,
            guest.words.say("stops new use") if each.budget.kind == "hard" else guest.words.say("tells you"),
        )
        for each in list_budgets(tx, guest.key)
        if each.budget.window.kind == "billing_period" and each.budget.meter is None and not each.budget.where
    ]


def limits_of(tx: Transaction, guest: Guest) -> list[Access]:
    """What the customer may do; nothing before a catalog was applied."""
    try:
        return access_of(tx, guest.key)
    except NotFoundError:
        return []


def credits_of(tx: Transaction, guest: Guest) -> list[Balance]:
    """The balances; none where there are no credits."""
    try:
        return balances(tx, guest.key)
    except NotFoundError:
        return []


@exact
def share(part: Decimal, whole: Decimal) -> Decimal:
    """How much of something, at most all of it, to a thousandth."""
    if whole <= 0:
        return ONE if part > 0 else ZERO
    return min(ONE, max(ZERO, part / whole)).quantize(ONE.scaleb(-3))


def catalog_meter(tx: Transaction, running_: Running, key: str) -> Meter | None:
    """A meter as the catalog version of a contract has it."""
    return catalog_at(tx, running_.contract.catalog_version).meters.get(key)


@exact
def width(burned_: Burned, kind: str) -> Decimal:
    """How wide a part of a meter is drawn, of a hundred: all that is included, or all that is used where that is more."""
    part = next(each for each in burned_.parts if each.name == kind)
    whole = max(burned_.used, sum((each.of for each in burned_.parts if each.name == "included"), ZERO))
    return (share(part.used, whole) * 100).quantize(ONE.scaleb(-1))
