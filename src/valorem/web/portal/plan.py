"""Plan: what do I have, what else is there, what would it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.effective import in_currency
from valorem.core.entitlements.limits import Limit
from valorem.core.errors import InvalidInputError, ValoremError
from valorem.core.numbers import ZERO, parse_decimal, plain
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.engine import Transaction
from valorem.engine.terms import terms_for
from valorem.engine.what_if import Entry, Estimate, WhatIf, estimate, past_cost, what_if
from valorem.web.page import Page
from valorem.web.portal import figures, said
from valorem.web.portal.figures import Running, running_one
from valorem.web.portal.pricing import PriceText, price_text
from valorem.web.portal.site import Guest, PortalSite

_PERIODS = 3


@dataclass(frozen=True, slots=True)
class Fee:
    """A fixed amount of a plan."""

    name: str
    amount: Decimal
    per: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """A plan in a customer's words."""

    key: str
    name: str
    currency: str
    every: tuple[int, str]
    fees: tuple[Fee, ...]
    features: tuple[tuple[str, str], ...]
    prices: tuple[PriceText, ...]
    limits: tuple[tuple[str, str, str], ...]
    minimum: Decimal | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan that the customer may change to, and what its last periods would have come to on it."""

    facts: Facts
    version: int
    past: tuple[Estimate | None, ...]
    current: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity of the calculator as the page shows it."""

    name: str
    entry: Entry
    text: str


def add(site: PortalSite) -> None:
    """Add the pages."""
    site.page("/plan", _show)
    site.page("/plan/calculator", _calculator)


def _show(guest: Guest) -> Page:
    with guest.reading() as tx:
        running = figures.running(tx, guest, previews=False)
        now = tx.now
        offers: list[Offer] = []
        periods: list[str] = []
        prices: tuple[PriceText, ...] = ()
        facts: Facts | None = None
        seats: dict[str, Decimal] = {}
        if running:
            first = running[0]
            standing = first.contract.standing_at(now)
            terms = terms_for(tx, first.contract).at(now)
            facts = _facts(tx, guest, terms.plan, catalog_at(tx, standing.catalog_version))
            prices = tuple(
                price_text(
                    guest.words,
                    each.meter.name or each.key,
                    each.price,
                    each.meter.unit,
                    first.contract.currency,
                    now,
                    guest.settings.names,
                )
                for each in terms.priced
            )
            offers, periods = _offers(tx, guest, first)
            seats = seats_of(terms.plan, first.contract, now)
    values = {
        "here": "plan",
        "running": running,
        "facts": facts,
        "prices": prices,
        "seats": seats,
        "offers": offers,
        "periods": periods,
        "now": now,
    }
    return Page("plan.html", values)


def seats_of(plan: Plan, contract: Contract, at: datetime) -> dict[str, Decimal]:
    """What the plan charges for each of, and how many of it there are."""
    return {fee.per: contract.seats_at(fee.per, at) for fee in plan.fees.values() if fee.per is not None}


def _offers(tx: Transaction, guest: Guest, running: Running) -> tuple[list[Offer], list[str]]:
    """The plans on offer, the customer's own first, each with what the last periods would have come to."""
    contract = running.contract
    index = period_index_at(contract, tx.now)
    over = range(max(index - _PERIODS, 0), index)
    standing = contract.standing_at(tx.now)
    version, catalog = current_catalog(tx)
    wanted = [key for key in guest.settings.offers if key in catalog.plans]
    if not wanted:
        return [], []
    pairs = [(standing.plan, standing.catalog_version, True)]
    pairs += [(key, version, False) for key in wanted if key != standing.plan]
    found = []
    for key, number, current in pairs:
        of = catalog_at(tx, number)
        facts = _facts(tx, guest, in_currency(of.plan(key), contract.currency), of)
        past = tuple(past_cost(tx, contract, key, number, each) for each in over)
        found.append(Offer(facts, number, past, current))
    return found, [_span(guest, contract, each) for each in over]


def _span(guest: Guest, contract: Contract, index: int) -> str:
    period = contract_period(contract, index)
    assert period is not None  # it is over
    return guest.words.span_text(period.interval.start, period.interval.end, contract.time_zone)


def _facts(tx: Transaction, guest: Guest, plan: Plan, catalog: Catalog) -> Facts:
    words = guest.words
    fees = tuple(
        Fee(fee.name or key.replace("_", " "), fee.amount, fee.per) for key, fee in plan.fees.items()
    )
    features = []
    for key, value in plan.features.items():
        feature = catalog.features.get(key)
        name = (feature.name if feature is not None else None) or key.replace("_", " ")
        if value is not False:
            features.append(
                (name, "" if value is True else plain(value) if isinstance(value, Decimal) else str(value))
            )
    prices = tuple(
        price_text(
            words,
            (catalog.meters[key].name if key in catalog.meters else None) or key,
            catalog.price_named(price),
            catalog.meters[key].unit if key in catalog.meters else None,
            plan.currency,
            tx.now,
            guest.settings.names,
        )
        for key, price in plan.prices.items()
    )
    limits = tuple(
        (name, _limit_text(guest, limit, catalog, key), said.at_the_edge(words, limit, _unit(catalog, key)))
        for key, each in plan.limits.items()
        for name in [_feature_name(catalog, key)]
        for limit in each
    )
    minimum = plan.minimum.amount if plan.minimum is not None else None
    return Facts(
        plan.key, plan.name, plan.currency, plan.every, fees, tuple(features), prices, limits, minimum
    )


def _feature_name(catalog: Catalog, key: str) -> str:
    feature, meter = catalog.features.get(key), catalog.meters.get(key)
    return (
        (feature.name if feature is not None else None) or (meter.name if meter is not None else None) or key
    )


def _unit(catalog: Catalog, key: str) -> str:
    feature = catalog.features.get(key)
    meter = catalog.meters.get((feature.meter if feature is not None else None) or key)
    return (meter.unit if meter is not None else None) or ""


def _limit_text(guest: Guest, limit: Limit, catalog: Catalog, key: str) -> str:
    window = said.window_text(guest.words, limit.window)
    return f"{guest.words.quantity_text(limit.max)} {_unit(catalog, key)} {window}".replace("  ", " ")


def _choices(guest: Guest, running: Running, tx: Transaction) -> Mapping[str, int]:
    """The plans that can be calculated: the customer's own and those on offer, with their catalog versions."""
    standing = running.contract.standing_at(tx.now)
    version, catalog = current_catalog(tx)
    offered = {key: version for key in guest.settings.offers if key in catalog.plans}
    return {
        standing.plan: standing.catalog_version,
        **{key: number for key, number in offered.items() if key != standing.plan},
    }


def _calculator(guest: Guest) -> Page:
    refused: ValoremError | None = None
    with guest.reading() as tx:
        running = running_one(tx, guest)
        choices = _choices(guest, running, tx)
        names = {key: catalog_at(tx, version).plan(key).name or key for key, version in choices.items()}
        standing = running.contract.standing_at(tx.now)
        plan = guest.query("plan") if guest.query("plan") in choices else standing.plan
        looked_at = what_if(tx, running.contract, plan, choices[plan])
        try:
            seats = _seats(guest, looked_at)
            looked_at = what_if(tx, running.contract, plan, choices[plan], seats=seats)
            quantities = _quantities(guest, looked_at)
        except InvalidInputError as error:
            refused, quantities = error, [entry.usual for entry in looked_at.entries]
        found = estimate(looked_at, quantities)
        beside = _beside(tx, running, choices, looked_at, quantities)
        now = tx.now
    rows = [
        Row(f"q{place}", entry, guest.query(f"q{place}") or plain(quantity))
        for place, (entry, quantity) in enumerate(zip(looked_at.entries, quantities, strict=True))
    ]
    values = {
        "here": "plan",
        "running": running,
        "names": names,
        "plan": plan,
        "looked_at": looked_at,
        "rows": rows,
        "seats": looked_at.seats,
        "estimate": found,
        "beside": beside,
        "refused": refused,
        "said_names": guest.settings.names,
        "now": now,
    }
    return Page("calculator.html", values, 200 if refused is None else 400)


def _seats(guest: Guest, looked_at: WhatIf) -> dict[str, Decimal]:
    return {key: _number(guest, f"seats-{key}", usual) for key, usual in looked_at.seats.items()}


def _quantities(guest: Guest, looked_at: WhatIf) -> list[Decimal]:
    return [_number(guest, f"q{place}", entry.usual) for place, entry in enumerate(looked_at.entries)]


def _number(guest: Guest, field: str, usual: Decimal) -> Decimal:
    text = guest.query(field)
    if not text:
        return usual
    number = guest.words.read_number(text)
    if number is None or number < ZERO:
        raise InvalidInputError("this is no quantity", field=field, hint="write a number, such as 1000")
    return parse_decimal(number, field)


def _beside(
    tx: Transaction,
    running: Running,
    choices: Mapping[str, int],
    looked_at: WhatIf,
    quantities: Sequence[Decimal],
) -> list[tuple[str, Estimate]]:
    """The same quantities on the other plans, where they price by the same values."""
    wanted = {
        (entry.name, *sorted(entry.dimensions.items(), key=str)): quantity
        for entry, quantity in zip(looked_at.entries, quantities, strict=True)
    }
    by_unit: dict[str | None, Decimal] = {}
    for entry, quantity in zip(looked_at.entries, quantities, strict=True):
        by_unit[entry.unit] = by_unit.get(entry.unit, ZERO) + quantity
    found = []
    for key, version in choices.items():
        if key == looked_at.terms.contract.plan:
            continue
        other = what_if(tx, running.contract, key, version, seats=looked_at.seats)
        theirs = [
            wanted.get((entry.name, *sorted(entry.dimensions.items(), key=str)), ZERO)
            for entry in other.entries
        ]
        if not any(theirs) and len(other.entries) == 1:
            theirs = [by_unit.get(other.entries[0].unit, ZERO)]
        if any(quantities) and not any(theirs):
            continue  # nothing of it is priced there by what is known
        found.append((catalog_at(tx, version).plan(key).name or key, estimate(other, theirs)))
    return found
