"""Revenue by day: prepaid credits at their cost basis as they are drawn, breakage as they expire, free ones apart."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal

from valorem.core.calendar import local_date
from valorem.core.ledger.account import Account, Happening
from valorem.core.ledger.entries import Entry
from valorem.core.money import allocate
from valorem.core.numbers import ONE, ZERO, exact


@dataclass(frozen=True, slots=True)
class Recognised:
    """What one day brings.

    Attributes:
        revenue: Money of prepaid credits that were used, less what corrections gave back.
        breakage: Money of prepaid credits that expired.
        refunded: Money of prepaid credits that were taken back.
        sold: Money of credits granted that day, which is owed work from then on.
        free: Credits used that cost nothing.
        lapsed: Credits that expired and cost nothing.
        on_demand: Credits used that no grant paid for, to be billed on their own.
    """

    revenue: Decimal = ZERO
    breakage: Decimal = ZERO
    refunded: Decimal = ZERO
    sold: Decimal = ZERO
    free: Decimal = ZERO
    lapsed: Decimal = ZERO
    on_demand: Decimal = ZERO

    @exact
    def __add__(self, other: "Recognised") -> "Recognised":
        return Recognised(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


#: What each kind of happening adds its cost to, with which sign.
_COSTS = {
    "drawn": ("revenue", 1),
    "restored": ("revenue", -1),
    "expired": ("breakage", 1),
    "voided": ("refunded", 1),
    "granted": ("sold", 1),
}
#: What it adds its credits to, where they cost nothing or were paid by none.
_FREE = {"drawn": ("free", 1), "restored": ("free", -1), "expired": ("lapsed", 1)}
_UNPAID = {"uncovered": ("on_demand", 1), "dropped": ("on_demand", -1), "forgiven": ("on_demand", -1)}


@exact
def by_day(happenings: Iterable[Happening], zone: str = "UTC") -> dict[date, Recognised]:
    """What each local day brings, in order; days without anything are left out."""
    days: dict[date, Recognised] = {}
    for each in happenings:
        day = local_date(each.at, zone)
        days[day] = _added(days.get(day, Recognised()), each)
    return {day: found for day, found in sorted(days.items()) if found != Recognised()}


def _added(found: Recognised, each: Happening) -> Recognised:
    if each.currency is None or each.lot is None:
        rule = _UNPAID.get(each.kind) or _FREE.get(each.kind)
        amount = each.amount
    else:
        rule, amount = _COSTS.get(each.kind), each.cost
    if rule is None:
        return found
    name, sign = rule
    return replace(found, **{name: getattr(found, name) + sign * amount})


@exact
def by_day_of(
    entries: Iterable[Entry], credit: str, paid: Container[str], zone: str = "UTC"
) -> dict[tuple[date, str], Recognised]:
    """The same from booked entries, by local day and currency; credits that cost nothing stand under no currency.

    A booked day never changes: what is found late is booked, and recognised, in the first open period.

    Args:
        entries: Of one account, all of the days asked for.
        credit: The key of its credit type.
        paid: Ids of the grants that were paid for; what is used of all others is free.
        zone: IANA zone of the days.
    """
    days: dict[tuple[date, str], Recognised] = {}
    for entry in entries:
        day = local_date(entry.at, zone)
        if entry.unit != credit:
            _add(days, (day, entry.unit), _money_of(entry))
        elif not any(leg.lot is not None and leg.lot.grant in paid for leg in entry.legs):
            _add(days, (day, ""), _credits_of(entry))
    return {place: one for place, one in sorted(days.items()) if one != Recognised()}


def _add(
    days: dict[tuple[date, str], Recognised], place: tuple[date, str], more: Mapping[str, Decimal]
) -> None:
    known = days.get(place, Recognised())
    days[place] = replace(known, **{name: getattr(known, name) + amount for name, amount in more.items()})


def _money_of(entry: Entry) -> dict[str, Decimal]:
    """Credits to revenue and breakage raise them; what leaves the receivable again was taken back."""
    sums = _by_account(entry)
    receivable = sums.get("receivable", ZERO)
    return {
        "revenue": -sums.get("revenue", ZERO),
        "breakage": -sums.get("breakage", ZERO),
        "sold": receivable if entry.kind == "granted" else ZERO,
        "refunded": -receivable if entry.kind == "voided" else ZERO,
    }


def _credits_of(entry: Entry) -> dict[str, Decimal]:
    sums = _by_account(entry)
    over = entry.kind in _UNPAID
    return {
        "free": ZERO if over else sums.get("consumed", ZERO),
        "lapsed": sums.get("expired", ZERO),
        "on_demand": -sums.get("overage", ZERO) if over else ZERO,
    }


def _by_account(entry: Entry) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for leg in entry.legs:
        sums[leg.account] = sums.get(leg.account, ZERO) + leg.amount
    return sums


@exact
def deferred(account: Account) -> Decimal:
    """Money paid for credits that are not used, lost or taken back yet: what is owed as work."""
    return sum((lot.cost - lot.released for lot in account.lots), ZERO)


@exact
def spread(amount: Decimal, days: int, currency: str) -> list[Decimal]:
    """A fixed amount recognised evenly over days; each is rounded, and together they are the amount."""
    return allocate(amount, [ONE] * days, currency)


@exact
def expected_breakage(amount: Decimal, share: Decimal) -> Decimal:
    """The part of a prepaid amount that experience says will never be used, for an estimate ahead of expiry."""
    return amount * share
