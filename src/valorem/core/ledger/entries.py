"""Double entry: every happening as balanced legs, in credits and in the money that goes with them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from valorem.core.errors import InvalidInputError
from valorem.core.ledger.account import Happening, HappeningKind, LotKey
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import write_instant

AccountName = Literal[
    "granted", "available", "held", "consumed", "expired", "voided", "overage", "forgiven",
    "receivable", "deferred revenue", "revenue", "breakage",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry.

    Attributes:
        account: Where.
        amount: Above zero debits the account, below zero credits it.
        lot: Which credits; ``None`` for what no credits paid for.
    """

    account: AccountName
    amount: Decimal
    lot: LotKey | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One balanced booking in one unit; credits and the money that goes with them are two entries of one key.

    Attributes:
        at: The date it is booked at.
        key: Names the happening it books; several entries of one key and unit add up to it.
        unit: A credit type's key, or an ISO 4217 code.
        legs: Their amounts add up to zero.
        kind: What happened.

    Raises:
        InvalidInputError: Where the legs do not balance.
    """

    at: datetime
    key: str
    unit: str
    legs: tuple[Leg, ...]
    kind: HappeningKind

    def __post_init__(self) -> None:
        difference = _sum(self.legs)
        if difference:
            raise InvalidInputError(
                f"debits and credits of {self.key} differ by {plain(difference)} {self.unit}", field="legs"
            )


@exact
def _sum(legs: Iterable[Leg]) -> Decimal:
    return sum((leg.amount for leg in legs), ZERO)


#: Kind of happening to the accounts its credits are debited to and credited to.
_CREDITS: Mapping[HappeningKind, tuple[AccountName, AccountName]] = MappingProxyType(
    {
        "granted": ("available", "granted"),
        "drawn": ("consumed", "available"),
        "uncovered": ("consumed", "overage"),
        "dropped": ("overage", "consumed"),
        "forgiven": ("overage", "forgiven"),
        "restored": ("available", "consumed"),
        "held": ("held", "available"),
        "freed": ("available", "held"),
        "expired": ("expired", "available"),
        "voided": ("voided", "available"),
        "rolled": ("available", "available"),
    }
)
#: The same for the cost: paid credits are owed work until they are used, lost or taken back.
_MONEY: Mapping[HappeningKind, tuple[AccountName, AccountName]] = MappingProxyType(
    {
        "granted": ("receivable", "deferred revenue"),
        "drawn": ("deferred revenue", "revenue"),
        "restored": ("revenue", "deferred revenue"),
        "expired": ("deferred revenue", "breakage"),
        "voided": ("deferred revenue", "receivable"),
        "rolled": ("deferred revenue", "deferred revenue"),
    }
)


def entries_of(happenings: Iterable[Happening], unit: str) -> tuple[Entry, ...]:
    """The entries that say what happened, in order.

    Args:
        happenings: All of an account.
        unit: The key of its credit type.
    """
    seen: Counter[str] = Counter()
    entries = []
    for each in happenings:
        key = _key(each)
        seen[key] += 1
        if seen[key] > 1:
            key = f"{key} #{seen[key]}"
        debit, credit = _CREDITS[each.kind]
        if each.kind == "drawn" and each.hold is not None:
            credit = "held"
        entries.append(_entry(each, key, unit, debit, credit, each.amount))
        if each.cost and each.currency is not None:
            entries.append(_entry(each, key, each.currency, *_MONEY[each.kind], each.cost))
    return tuple(entries)


def _entry(
    each: Happening, key: str, unit: str, debit: AccountName, credit: AccountName, amount: Decimal
) -> Entry:
    debited, credited = each.lot, each.lot
    if each.kind == "rolled":
        debited, credited = (each.target, each.lot) if debit == "available" else (each.lot, each.target)
    return Entry(each.at, key, unit, (Leg(debit, amount, debited), Leg(credit, -amount, credited)), each.kind)


def _key(each: Happening) -> str:
    source = each.hold or ""
    if each.burn is not None:
        source = f"{write_instant(each.burn.at)} {each.burn.key}"
    return "|".join((write_instant(each.at), each.kind, write_lot(each.lot), source))


def write_lot(lot: LotKey | None) -> str:
    """A lot's name: the grant, and which filling of it where it was filled or carried on."""
    if lot is None:
        return ""
    number = f"/{lot.filling}" if lot.filling else ""
    return f"{lot.grant}{number}{'/carried' if lot.carried else ''}"


@exact
def catch_up(
    booked: Iterable[Entry], standing: Iterable[Entry], *, open_from: datetime | None = None
) -> tuple[Entry, ...]:
    """The entries that lead from what is booked to what stands; nothing booked is ever changed.

    A late event or a correction makes a replay differ from what was booked. Each difference is booked by an entry of the
    same key: dated as the happening is, or at the first open instant where its period is closed.

    Args:
        booked: Every entry there is.
        standing: The entries of a replay of everything now known.
        open_from: The end of the last closed period; nothing is booked before it.
    """
    sums: defaultdict[tuple[str, str], dict[tuple[AccountName, LotKey | None], Decimal]] = defaultdict(dict)
    last: dict[tuple[str, str], Entry] = {}
    for sign, entries in ((-1, booked), (1, standing)):
        for entry in entries:
            place = entry.key, entry.unit
            last[place] = entry
            for leg in entry.legs:
                side = leg.account, leg.lot
                sums[place][side] = sums[place].get(side, ZERO) + sign * leg.amount
    missing = []
    for place, sides in sums.items():
        legs = tuple(Leg(account, amount, lot) for (account, lot), amount in sides.items() if amount)
        if legs:
            entry = last[place]
            at = entry.at if open_from is None else max(entry.at, open_from)
            missing.append(Entry(at, entry.key, entry.unit, legs, entry.kind))
    return tuple(missing)


@exact
def trial_balance(entries: Iterable[Entry]) -> dict[tuple[str, AccountName], Decimal]:
    """(unit, account) to debits less credits; over all accounts of a unit they add up to zero."""
    sums: dict[tuple[str, AccountName], Decimal] = {}
    for entry in entries:
        for leg in entry.legs:
            place = entry.unit, leg.account
            sums[place] = sums.get(place, ZERO) + leg.amount
    return sums


@exact
def lot_balances(entries: Iterable[Entry], unit: str) -> dict[LotKey, Decimal]:
    """What the entries say is left of each lot, held credits included; equal to the replay's."""
    sums: dict[LotKey, Decimal] = {}
    for entry in entries:
        for leg in entry.legs:
            if entry.unit == unit and leg.account in ("available", "held") and leg.lot is not None:
                sums[leg.lot] = sums.get(leg.lot, ZERO) + leg.amount
    return sums
