"""A contract: what was agreed, when does it change, and what does each thing cost at any date."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.calendar import instant_of
from valorem.core.catalog.plans import Plan
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.edits import Change, SetPlan, SetSeats, Withdraw
from valorem.core.contracts.effective import effective_plan, phase_at, trial_end
from valorem.core.errors import InvalidInputError
from valorem.core.metering.meter import Meter
from valorem.core.numbers import parse_decimal, plain
from valorem.core.periods import Interval
from valorem.engine import contracts as verbs
from valorem.engine.catalog import catalog_at
from valorem.engine.contract_changes import contract_history, set_seats
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.invoices import list_invoices
from valorem.web.charts.timeline import Stretch, timeline_chart
from valorem.web.page import Page
from valorem.web.prices import PriceList, price_list
from valorem.web.site import Answer, Go, Site, Visit

_PAST_PERIODS, _COMING_PERIODS = 12, 3


@dataclass(frozen=True, slots=True)
class Priced:
    """One meter's price at the date looked at."""

    key: str
    name: str
    prices: PriceList


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/contracts/{id}", _show)
    site.action("/contracts/{id}/seats", "customers", _set_seats)


def _show(visit: Visit) -> Page:
    with visit.reading() as tx:
        row = verbs.get_contract(tx, visit.path("id"))
        contract = row.contract
        customer = get_customer(tx, contract.customer)
        at = _at(visit.query("at"), contract, tx.now)
        standing = contract.standing_at(at)
        catalog = catalog_at(tx, standing.catalog_version)
        plan = effective_plan(contract, standing, catalog, at)
        listed = catalog.plan(standing.plan)
        phases = listed.phases if standing.phases is None else standing.phases
        stood = contract_history(tx, contract.id)
        invoices = list_invoices(tx, contract=contract.id, newest_first=True, limit=24)
        stretches = list(_stretches(tx, contract))
        now = tx.now
    until = max((each.end or each.start for each in stretches), default=now)
    values = {
        "here": "customers",
        "contract": contract,
        "customer": customer,
        "row": row,
        "plan": plan,
        "phase": phase_at(contract, phases, at),
        "trial_end": trial_end(contract, listed),
        "standing": standing,
        "at": at,
        "now": now,
        "priced": _priced(plan, catalog.meters, at, contract.time_zone),
        "seats": {fee.per: contract.seats_at(fee.per, at) for fee in plan.fees.values() if fee.per},
        "chart": timeline_chart(
            "contract", _sentence(contract, now), stretches, now, until, contract.time_zone
        ),
        "invoices": invoices,
        "stood": stood,
        "said": _said,
    }
    return Page("console/contract.html", values)


def _said(change: Change) -> str:
    """A change in a few words."""
    if isinstance(change, SetPlan):
        return f"plan {change.plan}, catalog version {change.catalog_version}"
    if isinstance(change, SetSeats):
        return f"{plain(change.quantity)} {change.key}"
    if isinstance(change, Withdraw):
        return f"edit {change.edit} taken back"
    named = next(
        (
            getattr(change, name).id
            for name in ("override", "discount", "charge", "commitment")
            if hasattr(change, name)
        ),
        "",
    )
    return f"{change.kind.replace('_', ' ')} {named}".strip()


def _priced(plan: Plan, meters: Mapping[str, Meter], at: datetime, zone: str) -> list[Priced]:
    found = []
    for key, price in plan.prices.items():
        if isinstance(price, str):
            continue  # an effective plan holds its prices in place
        meter = meters[key]
        found.append(Priced(key, price.name or meter.name or key, price_list(price, meter.unit, at, zone)))
    return found


def _at(text: str, contract: Contract, now: datetime) -> datetime:
    """The start of the day asked for, in the contract's zone; now, or the start of a contract that has not begun."""
    if not text:
        return max(now, contract.start)
    try:
        return max(instant_of(datetime.fromisoformat(text[:10]), contract.time_zone), contract.start)
    except ValueError:
        raise InvalidInputError(
            f"{text[:40]!r} is no date", field="at", hint="write it as 2026-03-05"
        ) from None


def _sentence(contract: Contract, now: datetime) -> str:
    if contract.start > now:
        return "Not begun yet"
    if contract.end is not None and contract.end <= now:
        return "Over"
    period = contract_period(contract, period_index_at(contract, now))
    assert period is not None  # it holds now
    return f"Period {period.index + 1} is running" + ("" if contract.end else ", open-ended")


def _stretches(tx: Transaction, contract: Contract) -> Iterator[Stretch]:
    now = tx.now
    inside = contract.start <= now and (contract.end is None or now < contract.end)
    current = period_index_at(contract, now) if inside else 0
    for index in range(max(0, current - _PAST_PERIODS), current + _COMING_PERIODS + 1):
        period = contract_period(contract, index)
        if period is not None:
            yield _stretch("Periods", f"period {index + 1}", period.interval, now)
    changes = [*contract.agreed]
    for number, standing in enumerate(changes):
        following = changes[number + 1].since if number + 1 < len(changes) else contract.end
        label = f"{standing.plan}, version {standing.catalog_version}" + (
            ", paused" if standing.paused else ""
        )
        yield _open("Plan", label, max(standing.since, contract.start), following, now)
    for key, history in contract.seats.items():
        for number, dated in enumerate(history):
            following = history[number + 1].since if number + 1 < len(history) else contract.end
            yield _open(f"Seats: {key}", plain(dated.quantity), dated.since, following, now)
    last = contract.standing_at(now)
    for discount in last.discounts:
        yield _open("Discounts", discount.name or discount.id, discount.start or last.since, None, now)
    for override in last.overrides:
        yield _open("Overrides", override.id, override.start or last.since, override.end, now)
    for commitment in last.commitments:
        for access in commitment.access:
            label = f"{commitment.name or commitment.id}: {plain(access.amount)}"
            yield _open("Commitments", label, access.start, access.end, now)


def _stretch(lane: str, label: str, interval: Interval, now: datetime) -> Stretch:
    return _open(lane, label, interval.start, interval.end, now)


def _open(lane: str, label: str, start: datetime, end: datetime | None, now: datetime) -> Stretch:
    tone = "ahead" if start > now else "past" if end is not None and end <= now else "now"
    return Stretch(lane, label, start, end, tone)


def _set_seats(visit: Visit) -> Answer:
    form, contract_id = visit.form, visit.path("id")
    to = f"{visit.home}/contracts/{contract_id}"
    key = form.get("key", "")
    with visit.acting() as tx:
        before = verbs.get_contract(tx, contract_id).contract
        quantity = parse_decimal(form.get("quantity", "").strip(), "quantity")
        after = set_seats(tx, contract_id, key=key, quantity=quantity)
        deed = visit.deed(
            "contract.set_seats",
            contract_id,
            before={key: plain(before.seats_at(key, tx.now))},
            after={key: plain(after.seats_at(key, tx.now))},
        )
        visit.note(tx, deed)
    return Go(to, f"{plain(quantity)} {key} from now on.")
