"""The one function behind every number: what was granted, used and held, in order of time, gives the account.

At one instant the order is always the same: grants end, the period is reset, grants begin, carried usage is paid, holds
are resolved, usage is paid, holds are placed. So no credit can be both used and expired, and the order in which facts were
recorded cannot matter.
"""

import heapq
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from valorem.core.errors import InvalidInputError
from valorem.core.ledger.account import Account, Checkpoint, Facts, Lot, LotKey
from valorem.core.ledger.burns import Burn, Reset
from valorem.core.ledger.grants import Grant, spans
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.lots import OpenLot
from valorem.core.ledger.phases import Phases
from valorem.core.ledger.policies import DEFAULT_CREDIT_POLICIES, CreditPolicies
from valorem.core.ledger.purse import Purse
from valorem.core.ledger.scope import UNSPECIFIED, Workload
from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact
from valorem.core.time import write_instant

_END, _RESET, _START, _RESOLVE, _BURN, _HOLD = range(6)
#: More credits than any account has: what a hold of everything asks for.
_EVERYTHING = Decimal(10) ** 30


@exact
def replay(
    facts: Facts,
    until: datetime,
    policies: CreditPolicies = DEFAULT_CREDIT_POLICIES,
    *,
    checkpoint: Checkpoint | None = None,
    with_phases: bool = False,
    closing: bool = False,
) -> Account:
    """The account at an instant.

    Args:
        facts: Grants, burns, holds, resets and caps, in any order; all of them, or at least those a checkpoint lacks.
        until: What took effect by this instant is in, and usage before it.
        policies: How credits are used up.
        checkpoint: Where an earlier replay stopped; it saves work and changes no answer.
        with_phases: Whether to list the stretches between changes of the grants.
        closing: Look at the end of a period rather than at the beginning of the next: a grant that ends at this very
            instant still counts, unless the account is reset at it.

    Raises:
        InvalidInputError: For an instant before the checkpoint.
    """
    if checkpoint is not None and until < checkpoint.at:
        raise InvalidInputError(
            f"{write_instant(until)} lies before the checkpoint at {write_instant(checkpoint.at)}",
            field="at",
            hint="replay from an earlier checkpoint, or without one",
        )
    return _Replay(facts, until, policies, checkpoint, with_phases=with_phases, closing=closing).run()


@exact
def spendable(
    facts: Facts,
    at: datetime,
    work: Workload = UNSPECIFIED,
    policies: CreditPolicies = DEFAULT_CREDIT_POLICIES,
    *,
    checkpoint: Checkpoint | None = None,
) -> Decimal:
    """What this work could use at an instant: what a hold of everything would get, scopes, allowances and caps applied."""
    asked = Hold("\U0010ffff", at, _EVERYTHING, datetime.max.replace(tzinfo=at.tzinfo), work)
    account = replay(replace(facts, holds=(*facts.holds, asked)), at, policies, checkpoint=checkpoint)
    return sum((each.amount for each in account.of_kind("held") if each.hold == asked.id), ZERO)


@exact
def opening(
    grants: tuple[Grant, ...],
    at: datetime,
    balances: Mapping[str, Decimal],
    *,
    overage: Decimal = ZERO,
    used_in_period: Decimal = ZERO,
    period_start: datetime | None = None,
) -> Checkpoint:
    """A checkpoint from balances known by other means, as when an account moves here from another system.

    Args:
        grants: The grants the balances are of.
        at: When the balances were so. A grant that begins at this instant or later begins with its full amount.
        balances: Grant id to what was left of it; a grant that is not named had nothing left.
        overage: Uncovered usage carried in.
        used_in_period: Usage since the period began.
        period_start: When it began; ``at`` where left out.

    Raises:
        InvalidInputError: For the balance of a grant that does not exist.
    """
    for unknown in sorted(balances.keys() - {grant.id for grant in grants}):
        raise InvalidInputError(
            f"there is no grant {unknown!r}", field="balances", hint="add the grant first"
        )
    lots = []
    for grant in grants:
        for number, (start, end) in enumerate(spans(grant, at)):
            if start < at:
                ended = end is not None and end < at
                left = ZERO if ended else balances.get(grant.id, ZERO)
                lots.append(_opened(LotKey(grant.id, number), grant, (start, end), left, ended=ended))
    owed = ((Burn(at, "opening", overage), overage),) if overage else ()
    return Checkpoint(
        at,
        tuple(lots),
        open_overage=owed,
        period_start=period_start or at,
        used_in_period=used_in_period,
        overage=overage,
    )


def _opened(
    key: LotKey, grant: Grant, span: tuple[datetime, datetime | None], left: Decimal, *, ended: bool
) -> Lot:
    amount = max(left, grant.amount)
    used = amount - left
    passed = round_money(grant.cost * used / amount, grant.currency) if grant.currency and amount else ZERO
    return Lot(key, *span, amount, left, consumed=used, cost=grant.cost, released=passed, ended=ended)


class _Replay:
    """Time, as far as it has come."""

    def __init__(
        self,
        facts: Facts,
        until: datetime,
        policies: CreditPolicies,
        checkpoint: Checkpoint | None,
        *,
        with_phases: bool,
        closing: bool,
    ) -> None:
        self.facts = facts
        self.until = until
        self.order = policies.order
        self.since = checkpoint.at if checkpoint else None
        self.purse = Purse(facts.grants, facts.caps, policies, checkpoint)
        self.phases = Phases(self.purse) if with_phases else None
        self.spares = closing and all(reset.at != until for reset in facts.resets)
        self.number = count()
        self.queue: list[tuple[datetime, int, tuple[Any, ...], int, Any]] = []
        self._schedule()

    def run(self) -> Account:
        """Pass every instant in order."""
        begin = self.since or (self.queue[0][0] if self.queue else self.until)
        purse = self.purse
        purse.period_start = purse.period_start or begin
        if self.phases is not None:
            self.phases.open(begin)
        at, checkpoint = begin, None
        while self.queue:
            at = self.queue[0][0]
            if at == self.until:
                checkpoint = purse.checkpoint(at)
            if self.queue[0][1] <= _START:
                self._change(at, first=at == begin)
            while self.queue and self.queue[0][0] == at:
                self._use(at)
        if self.phases is not None:
            self.phases.close(self.until)
        closed = tuple(self.phases.closed) if self.phases is not None else ()
        return purse.account(self.until, closed, checkpoint or purse.checkpoint(self.until))

    def _schedule(self) -> None:
        known = self.purse.lots
        for lot in known.values():
            if not lot.ended:
                self._end_later(lot)
        for grant in self.facts.grants:
            for number, (start, end) in enumerate(spans(grant, self.until)):
                key = LotKey(grant.id, number)
                if key not in known:
                    lot = OpenLot(key, grant, start, end, grant.amount, grant.cost, self.order)
                    self._push(start, _START, key, lot)
        for reset in self.facts.resets:
            self._push(reset.at, _RESET, (), reset)
        for burn in self.facts.burns:
            if burn.at < self.until:
                self._push(burn.at, _BURN, (burn.key,), burn)
        for hold in self.facts.holds:
            self._hold_later(hold)

    def _hold_later(self, hold: Hold) -> None:
        if hold.state == "refused":
            return
        resolved_at = hold.resolved_at or hold.expires
        self._push(hold.at, _HOLD, (hold.id, 0), (hold, False))
        # what is resolved at the very instant it was placed is resolved after it
        rank = _HOLD if resolved_at == hold.at else _RESOLVE
        self._push(resolved_at, rank, (hold.id, 1), (hold, True))

    def _push(self, at: datetime, rank: int, key: tuple[Any, ...], item: Any) -> None:
        if at <= self.until and (self.since is None or at >= self.since):
            heapq.heappush(self.queue, (at, rank, key, next(self.number), item))

    def _end_later(self, lot: OpenLot) -> None:
        if lot.end is not None and not (self.spares and lot.end == self.until == lot.last_end):
            self._push(lot.end, _END, lot.key, lot)

    def _change(self, at: datetime, *, first: bool) -> None:
        """Grants end, the period is reset, grants begin, and what was carried is paid."""
        phases, purse = self.phases, self.purse
        if phases is not None and not first:
            phases.close(at, reset=any(place[0] == at and place[1] == _RESET for place in self.queue))
        while self.queue and self.queue[0][0] == at and self.queue[0][1] <= _START:
            _, rank, _, _, item = heapq.heappop(self.queue)
            if rank == _END:
                if successor := purse.end(item, at):
                    self._push(at, _START, successor.key, successor)
            elif rank == _RESET:
                self._reset(item, at)
            else:
                purse.start(item, at)
                self._end_later(item)
        if phases is not None:
            phases.open(at)
        purse.pay_carried(at)

    def _reset(self, reset: Reset, at: datetime) -> None:
        self.purse.reset(reset, at)
        if self.phases is not None:
            self.phases.open(at, rollover=True)
        self.purse.pay_carried(at)
        if self.phases is not None:
            self.phases.close(at)

    def _use(self, at: datetime) -> None:
        _, rank, _, _, item = heapq.heappop(self.queue)
        if rank == _BURN:
            self.purse.burn(item)
            return
        hold, resolved = item
        if resolved:
            self.purse.resolve(hold, at)
        else:
            self.purse.place(hold)
