"""What an account stands at while no credits begin or end: enough to decide a hold without a replay.

Between two changes of the grants a hold only moves credits within lots whose order is known. So a few numbers, kept beside
the balance, decide it in constant time. The replay stays the judge: these functions must give what it gives, and a test
holds them to that for any sequence of holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from valorem.core.ledger.account import Account, LotKey
from valorem.core.ledger.admission import room_beyond
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.scope import EVERYTHING, Scope, Workload
from valorem.core.ledger.written import read_scope, write_scope
from valorem.core.numbers import ZERO, exact, plain

#: With more lots than this a decision would not be of constant time any more.
MOST_LOTS = 32

#: From which lot a hold took how much.
Parts = tuple[tuple[LotKey, Decimal], ...]


@dataclass(frozen=True, slots=True)
class StandingLot:
    """A lot that has not ended.

    Attributes:
        key: Which.
        remaining: Credits that can be used.
        holder: The member whose allowance it is.
        scope: What it may pay for.
    """

    key: LotKey
    remaining: Decimal
    holder: str | None = None
    scope: Scope = EVERYTHING

    def pays_for(self, work: Workload) -> bool:
        """As :meth:`valorem.core.ledger.grants.Grant.pays_for`."""
        return (self.holder is None or self.holder == work.member) and self.scope.covers(work)


@dataclass(frozen=True, slots=True)
class Standing:
    """The lots of an account in the order they are used.

    Attributes:
        lots: Those that have not ended, used up ones too.
        held: Credits reserved.
        overage: Credits used that no grant paid for.
        granted: Credits of the lots, as they were given.
    """

    lots: tuple[StandingLot, ...]
    held: Decimal
    overage: Decimal
    granted: Decimal

    @property
    @exact
    def available(self) -> Decimal:
        """Credits that can be used or reserved."""
        return sum((lot.remaining for lot in self.lots), ZERO)

    @exact
    def admits(self, work: Workload, policies: CreditPolicies) -> Decimal:
        """What this work may reserve: what is left for it, and the soft room where there is any."""
        left = sum((lot.remaining for lot in self.lots if lot.pays_for(work)), ZERO)
        return left + room_beyond(self.granted, self.overage, policies)


def standing_of(account: Account, grants: Iterable[Grant], caps: Sequence[Cap]) -> Standing | None:
    """What a replayed account stands at; nothing where a hold takes more than these numbers to decide."""
    if caps or sum(not lot.ended for lot in account.lots) > MOST_LOTS:
        return None
    by_id = {grant.id: grant for grant in grants}
    lots = tuple(
        StandingLot(lot.key, lot.remaining, by_id[lot.key.grant].holder, by_id[lot.key.grant].scope)
        for lot in account.lots
        if not lot.ended
    )
    return Standing(lots, account.held, account.overage, account.granted)


@exact
def place(standing: Standing, amount: Decimal, work: Workload) -> tuple[Standing, Parts]:
    """Reserve credits from the lots the work may use, as far as there are any."""
    lots, parts = _taken(standing.lots, amount, work)
    taken = sum((part for _, part in parts), ZERO)
    return replace(standing, lots=lots, held=standing.held + taken), parts


@exact
def resolve(standing: Standing, parts: Parts, used: Decimal, work: Workload) -> Standing:
    """Use what was settled, first from what was held; free the rest, which is gone where its lot has ended."""
    rest = used
    freed: dict[LotKey, Decimal] = {}
    for key, held in parts:
        from_hold = min(rest, held)
        rest -= from_hold
        if held != from_hold:
            freed[key] = freed.get(key, ZERO) + held - from_hold
    lots = tuple(replace(lot, remaining=lot.remaining + freed.get(lot.key, ZERO)) for lot in standing.lots)
    held_before = sum((held for _, held in parts), ZERO)
    lots, more = _taken(lots, rest, work)
    uncovered = rest - sum((part for _, part in more), ZERO)
    return replace(
        standing, lots=lots, held=standing.held - held_before, overage=standing.overage + uncovered
    )


def _taken(
    lots: Sequence[StandingLot], amount: Decimal, work: Workload
) -> tuple[tuple[StandingLot, ...], Parts]:
    left, rest = list(lots), amount
    parts: list[tuple[LotKey, Decimal]] = []
    for place_, lot in enumerate(left):
        take = min(rest, lot.remaining) if lot.pays_for(work) else ZERO
        if take:
            left[place_] = replace(lot, remaining=lot.remaining - take)
            parts.append((lot.key, take))
            rest -= take
        if not rest:
            break
    return tuple(left), tuple(parts)


def write_parts(parts: Parts) -> list[list[Any]]:
    """Parts as JSON values."""
    return [[*key, plain(amount)] for key, amount in parts]


def read_parts(written: Iterable[Sequence[Any]]) -> Parts:
    """The inverse of :func:`write_parts`."""
    return tuple(
        (LotKey(grant, filling, carried), Decimal(amount)) for grant, filling, carried, amount in written
    )


def write_lots(standing: Standing) -> list[dict[str, Any]]:
    """The lots as JSON values; what is common is left out."""
    return [
        {
            "key": list(lot.key),
            "remaining": plain(lot.remaining),
            **({"holder": lot.holder} if lot.holder is not None else {}),
            **({"scope": write_scope(lot.scope)} if lot.scope.restricted else {}),
        }
        for lot in standing.lots
    ]


def read_lots(written: Iterable[Mapping[str, Any]]) -> tuple[StandingLot, ...]:
    """The inverse of :func:`write_lots`."""
    return tuple(
        StandingLot(
            LotKey(*each["key"]),
            Decimal(each["remaining"]),
            each.get("holder"),
            read_scope(each["scope"]) if "scope" in each else EVERYTHING,
        )
        for each in written
    )
