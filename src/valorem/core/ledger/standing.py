"""What an account stands at while no credits begin or end: enough to decide a hold without a replay.

Between two changes of the grants a hold only moves credits within lots whose order is known, and adds to the counts of
caps. So a few numbers, kept beside the balance, decide it in constant time. Of many lots only the first in order are kept:
what they pay for takes nothing from those behind them. What the numbers cannot decide is left to the replay, which stays
the judge: these functions must give what it gives, and a test holds them to that for any sequence of holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.ledger.account import Account, Lot, LotKey
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.scope import EVERYTHING, UNSPECIFIED, Scope, Workload
from valorem.core.numbers import ZERO, exact

#: So many lots of the pool are kept, the first in order; with more a decision would not be of constant time any more.
MOST_LOTS = 32
#: So many members are kept with their allowances and counts; of more only those that asked last.
MOST_MEMBERS = 100

#: From which lot a hold took how much.
Parts = tuple[tuple[LotKey, Decimal], ...]
#: Of which cap, for whom (nobody where it counts for the account) and in which window so much was used.
Counts = Mapping[tuple[str, str | None, int], Decimal]


@dataclass(frozen=True, slots=True)
class StandingLot:
    """A lot that has not ended.

    Attributes:
        key: Which.
        remaining: Credits that can be used.
        held: Credits reserved.
        holder: The member whose allowance it is.
        scope: What it may pay for.
        end: From when it cannot be used.
    """

    key: LotKey
    remaining: Decimal
    held: Decimal = ZERO
    holder: str | None = None
    scope: Scope = EVERYTHING
    end: datetime | None = None

    def pays_for(self, work: Workload) -> bool:
        """As :meth:`valorem.core.ledger.grants.Grant.pays_for`."""
        return (self.holder is None or self.holder == work.member) and self.scope.covers(work)


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides the holds of an account until its grants change or a window of a cap ends.

    Attributes:
        lots: Lots that have not ended, in the order they are used.
        available: Credits that can be used, of every lot.
        held: Credits reserved.
        overage: Credits used that no grant paid for.
        granted: Credits of every lot that has not ended, as they were given.
        used: Credits used since the last period was closed.
        caps: How much may be used in a window.
        counts: What was used in the running windows.
        complete: Whether every lot is among ``lots`` that has not ended and of which anything is left or reserved.
        members: Whose allowances and counts are here; everybody's where it is None.
        hides: Whether a balance shows lots that are not here: used up ones of many, or ended ones that are reserved.
    """

    lots: tuple[StandingLot, ...]
    available: Decimal
    held: Decimal
    overage: Decimal
    granted: Decimal
    used: Decimal = ZERO
    caps: tuple[Cap, ...] = ()
    counts: Counts | None = None
    complete: bool = True
    members: tuple[str, ...] | None = None
    hides: bool = False

    @property
    def whole(self) -> bool:
        """Whether it says all that a balance shows."""
        return self.complete and self.members is None and not self.hides

    def knows(self, work: Workload) -> bool:
        """Whether the allowances and counts are here that work of this member may use."""
        return self.members is None or work.member is None or work.member in self.members


@exact
def standing_of(
    account: Account, grants: Iterable[Grant], caps: Sequence[Cap] = (), *, lately: Sequence[str] = ()
) -> Standing:
    """What a replayed account stands at.

    Args:
        account: Replayed to a moment after the last decision.
        grants: What its lots are of.
        caps: Its caps.
        lately: Members in the order they asked, the last first; these are kept where there are too many.
    """
    by_id = {grant.id: grant for grant in grants}
    indices = {cap.key: cap.window(account.at, UNSPECIFIED)[2] for cap in caps}
    counts = {
        (key, member, index): amount
        for (key, member, index), amount in (account.checkpoint.capped or {}).items()
        if amount and indices.get(key) == index
    }
    running = [lot for lot in account.lots if not lot.ended]
    named = {by_id[lot.key.grant].holder for lot in running} | {member for _, member, _ in counts}
    members = None if len(named - {None}) <= MOST_MEMBERS else tuple(lately[:MOST_MEMBERS])
    lots, complete = _kept(running, by_id, members)
    return Standing(
        lots=lots,
        available=account.available,
        held=account.held,
        overage=account.overage,
        granted=account.granted,
        used=account.sum_of("drawn", "uncovered") - account.sum_of("restored", "dropped"),
        caps=tuple(sorted(caps, key=lambda cap: cap.key)),
        counts={
            window: amount
            for window, amount in counts.items()
            if members is None or window[1] is None or window[1] in members
        },
        complete=complete,
        members=members,
        hides=len(running) > len(lots) or any(lot.held for lot in account.lots if lot.ended),
    )


def _kept(
    running: Sequence[Lot], by_id: Mapping[str, Grant], members: Sequence[str] | None
) -> tuple[tuple[StandingLot, ...], bool]:
    """The lots that are kept, used up ones only where there are few, and whether any of which something is left is not."""
    many = sum(by_id[lot.key.grant].holder is None for lot in running) > MOST_LOTS
    kept: list[StandingLot] = []
    pooled = 0
    for lot in running:
        grant = by_id[lot.key.grant]
        if many and not lot.remaining and not lot.held:
            continue
        if grant.holder is not None and members is not None and grant.holder not in members:
            continue
        pooled += grant.holder is None
        if pooled > MOST_LOTS:
            return tuple(kept), False  # a lot behind it must not be used before it, an allowance neither
        kept.append(StandingLot(lot.key, lot.remaining, lot.held, grant.holder, grant.scope, lot.end))
    return tuple(kept), True


@exact
def place(standing: Standing, amount: Decimal, work: Workload, at: datetime) -> tuple[Standing, Parts] | None:
    """Reserve credits from the lots the work may use, as far as there are any; None where that is not known.

    Where less than the amount is taken it is all that a hold of everything would get.
    """
    if not standing.knows(work):
        return None
    lots, counts, parts = _taken(standing, amount, work, at)
    taken = sum((part for _, part in parts), ZERO)
    if taken != amount and not standing.complete:
        return None
    took = dict(parts)
    lots = tuple(replace(lot, held=lot.held + took[lot.key]) if lot.key in took else lot for lot in lots)
    after = replace(
        standing,
        lots=lots,
        counts=counts,
        available=standing.available - taken,
        held=standing.held + taken,
    )
    return after, parts


@exact
def resolve(
    standing: Standing, parts: Parts, used: Decimal, work: Workload, placed_at: datetime, at: datetime
) -> Standing | None:
    """Use what was settled, first from what was held; free the rest, which is gone where its lot has ended.

    None where that is not known.

    Args:
        standing: Before.
        parts: From which lots the hold took its credits.
        used: What was settled.
        work: What it was for.
        placed_at: When the hold was placed; what is freed is free in the windows of that instant.
        at: Now.
    """
    if not standing.knows(work):
        return None
    by_key = {lot.key: lot for lot in standing.lots}
    counts = dict(standing.counts or {})
    rest, gone = used, ZERO
    for key, held in parts:
        from_hold = min(rest, held)
        rest -= from_hold
        free = held - from_hold
        lot = by_key.get(key)
        if lot is None:
            if not standing.complete or (free and standing.caps):
                return None
            gone += free
            continue
        by_key[key] = replace(lot, held=lot.held - held, remaining=lot.remaining + free)
        if free:
            _count(standing, counts, lot, -free, work, placed_at, at)
    held_before = sum((held for _, held in parts), ZERO)
    freed = replace(
        standing,
        lots=tuple(by_key[lot.key] for lot in standing.lots),
        counts=counts,
        available=standing.available + max(held_before - used, ZERO) - gone,
        held=standing.held - held_before,
        used=standing.used + used,
    )
    if not rest:
        return freed
    lots, counts, more = _taken(freed, rest, work, at)
    drawn = sum((part for _, part in more), ZERO)
    if drawn != rest and not standing.complete:
        return None
    return replace(
        freed,
        lots=lots,
        counts=counts,
        available=freed.available - drawn,
        overage=freed.overage + rest - drawn,
    )


def _taken(
    standing: Standing, amount: Decimal, work: Workload, at: datetime
) -> tuple[tuple[StandingLot, ...], dict[tuple[str, str | None, int], Decimal], Parts]:
    """Take credits in order, as far as lots and caps allow."""
    left, rest = list(standing.lots), amount
    counts = dict(standing.counts or {})
    parts: list[tuple[LotKey, Decimal]] = []
    for number, lot in enumerate(left):
        if not rest:
            break
        take = min(rest, _usable(standing, counts, lot, work, at))
        if take:
            left[number] = replace(lot, remaining=lot.remaining - take)
            parts.append((lot.key, take))
            rest -= take
            _count(standing, counts, lot, take, work, at, at)
    return tuple(left), counts, tuple(parts)


def _usable(standing: Standing, counts: Counts, lot: StandingLot, work: Workload, at: datetime) -> Decimal:
    if not lot.remaining or not lot.pays_for(work):
        return ZERO
    most = lot.remaining
    for cap in standing.caps:
        if cap.applies(work, lot.holder):
            most = min(most, max(cap.amount - counts.get(cap.window(at, work), ZERO), ZERO))
    return most


def _count(
    standing: Standing,
    counts: dict[tuple[str, str | None, int], Decimal],
    lot: StandingLot,
    amount: Decimal,
    work: Workload,
    at: datetime,
    now: datetime,
) -> None:
    """Add to the windows of an instant; those that have ended decide nothing any more."""
    for cap in standing.caps:
        if cap.applies(work, lot.holder) and (window := cap.window(at, work)) == cap.window(now, work):
            counts[window] = counts.get(window, ZERO) + amount
            if not counts[window]:
                del counts[window]
