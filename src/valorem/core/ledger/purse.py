"""The workings of a replay: lots in the order they are used, and what each happening does to them."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from valorem.core.ledger.account import Account, Checkpoint, Happening, HappeningKind, LotKey, Phase, Taken
from valorem.core.ledger.burns import Burn, Reset
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.grants import Grant, ends_after
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.lots import OpenLot
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.rollover import rolled_over
from valorem.core.ledger.scope import Workload
from valorem.core.numbers import ZERO


class Purse:
    """Every lot that has begun, and everything that happened to it; changed step by step by the replay alone."""

    def __init__(
        self,
        grants: Iterable[Grant],
        caps: Iterable[Cap],
        policies: CreditPolicies,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.policies = policies
        self.caps = sorted(caps, key=lambda cap: cap.key)
        self.happenings: list[Happening] = []
        start = checkpoint or Checkpoint(datetime.min)  # noqa: DTZ901 - never compared
        by_id = {grant.id: grant for grant in grants}
        self.lots = {
            lot.key: OpenLot.reopened(lot, by_id[lot.key.grant], policies.order)
            for lot in start.lots
            if lot.key.grant in by_id
        }
        self.active = sorted((lot for lot in self.lots.values() if lot.usable), key=_rank)
        self.open_overage = list(start.open_overage)
        self.taken = [each for each in start.taken if each.lot is None or each.lot in self.lots]
        self.held = {hold: list(parts) for hold, parts in (start.held or {}).items()}
        self.capped = dict(start.capped or {})
        self.period_start = start.period_start
        self.used_in_period = start.used_in_period
        self.drawn_in_period = start.drawn_in_period
        self.overage = start.overage

    @property
    def available(self) -> Decimal:
        """Credits that can be used."""
        return sum((lot.remaining for lot in self.active), ZERO)

    def balances(self) -> dict[str, Decimal]:
        """What can be used of each grant."""
        left: dict[str, Decimal] = {}
        for lot in self.active:
            left[lot.key.grant] = left.get(lot.key.grant, ZERO) + lot.remaining
        return left

    # Grants begin, end and are reset

    def start(self, lot: OpenLot, at: datetime) -> None:
        """A lot begins with its full amount."""
        self.lots[lot.key] = lot
        if not lot.key.carried and lot.amount:
            self._tell(at, "granted", lot.amount, lot, lot.cost)
        self._activate(lot)

    def end(self, lot: OpenLot, at: datetime) -> OpenLot | None:
        """A lot ends: what is left is carried on in a new lot, or is gone."""
        self._deactivate(lot)
        lot.ended = True
        successor = self._rolled(lot, at)
        self._lose(lot, lot.remaining, at)
        return successor

    def reset(self, reset: Reset, at: datetime) -> None:
        """A new period of the account: balances roll over in place, usage is counted anew."""
        for lot in [lot for lot in self.lots.values() if not lot.ended and lot.grant.reset is not None]:
            assert lot.grant.reset is not None
            standing = rolled_over(lot.grant.reset, lot.grant.amount, lot.remaining)
            if standing < lot.remaining:
                self._lose(lot, lot.remaining - standing, at)
            elif standing > lot.remaining:
                more = standing - lot.remaining
                lot.amount += more
                lot.remaining += more
                self._tell(at, "granted", more, lot, ZERO)
            self._deactivate(lot)
            self._activate(lot)
        if self.policies.uncovered == "carried" and not reset.keep_overage:
            for burn, amount in self.open_overage:
                self._drop(burn, amount, at, "forgiven")
            self.open_overage.clear()
        self.period_start, self.used_in_period, self.drawn_in_period = at, ZERO, ZERO

    def _rolled(self, lot: OpenLot, at: datetime) -> OpenLot | None:
        rule = lot.grant.rollover
        if rule is None or lot.key.carried or lot.end_kind != "expired":
            return None
        amount = min(rolled_over(rule, lot.grant.amount, lot.remaining), lot.remaining)
        if not amount:
            return None
        lot.remaining -= amount
        lot.rolled += amount
        cost = lot.release()
        ends = [end for end in (ends_after(at, rule.lasts, lot.grant.zone), lot.grant.voided_at) if end]
        target = lot.key._replace(carried=True)
        grant = replace(lot.grant, rolled=True)
        successor = OpenLot(target, grant, at, min(ends, default=None), amount, cost, self.policies.order)
        self._tell(at, "rolled", amount, lot, cost, target=target)
        return successor

    def _lose(self, lot: OpenLot, amount: Decimal, at: datetime) -> None:
        if not amount:
            return
        lot.remaining -= amount
        kind: HappeningKind = lot.end_kind if lot.ended else "expired"
        if kind == "voided":
            lot.voided += amount
        else:
            lot.expired += amount
        self._tell(at, kind, amount, lot, lot.release())

    # Usage

    def burn(self, burn: Burn) -> None:
        """Usage is paid from the lots it may use, in their order; the rest is uncovered."""
        if burn.purpose == "use":
            self.used_in_period += burn.amount
        if burn.amount < 0:
            self._correct(burn)
        else:
            self._cover(burn, burn.amount, burn.at)

    def pay_carried(self, at: datetime) -> None:
        """Uncovered usage of the period is paid by what is there now, oldest first."""
        if self.policies.uncovered != "carried" or not self.open_overage:
            return
        owed, self.open_overage = self.open_overage, []
        for burn, amount in owed:
            paid = self._draw(burn, amount, at)
            if paid:
                self._drop(burn, paid, at, "dropped")
            if paid != amount:
                self.open_overage.append((burn, amount - paid))

    def _cover(self, burn: Burn, amount: Decimal, at: datetime) -> None:
        rest = amount - self._draw(burn, amount, at)
        if rest:
            self._uncovered(burn, rest, at)

    def _uncovered(self, burn: Burn, amount: Decimal, at: datetime) -> None:
        self.overage += amount
        self.happenings.append(Happening(at, "uncovered", amount, burn=burn))
        if self.policies.uncovered == "carried" and amount > 0:
            self.open_overage.append((burn, amount))
        elif amount > 0:
            self.taken.append(Taken(None, amount, burn))

    def _drop(self, burn: Burn, amount: Decimal, at: datetime, kind: HappeningKind) -> None:
        self.overage -= amount
        self.happenings.append(Happening(at, kind, amount, burn=burn))

    def _draw(self, burn: Burn, amount: Decimal, at: datetime) -> Decimal:
        """Take as much as lots and caps allow; the credits taken."""
        rest, place = amount, 0
        while rest and place < len(self.active):
            lot = self.active[place]
            take = min(rest, self._usable(lot, burn.work, at))
            if take:
                lot.remaining -= take
                self._use(lot, take, burn, at)
                rest -= take
            if lot.remaining:
                place += 1
            else:
                del self.active[place]
        return amount - rest

    def _use(
        self, lot: OpenLot, amount: Decimal, burn: Burn, at: datetime, *, from_hold: str | None = None
    ) -> None:
        """Count credits that already left ``remaining`` or ``held`` as used."""
        if burn.purpose == "void":
            lot.voided += amount
            self._tell(at, "voided", amount, lot, lot.release(), burn=burn)
            return
        lot.consumed += amount
        self.drawn_in_period += amount
        if from_hold is None:  # a hold was counted when it was placed
            self._count(lot, amount, burn.work, at)
        self.taken.append(Taken(lot.key, amount, burn))
        self._tell(at, "drawn", amount, lot, lot.release(), burn=burn, hold=from_hold)

    def _usable(self, lot: OpenLot, work: Workload, at: datetime) -> Decimal:
        if not lot.grant.pays_for(work):
            return ZERO
        most = lot.remaining
        for cap in self.caps:
            if cap.applies(work, lot.grant.holder):
                most = min(most, max(cap.amount - self.capped.get(cap.window(at, work), ZERO), ZERO))
        return most

    def _count(self, lot: OpenLot, amount: Decimal, work: Workload, at: datetime) -> None:
        for cap in self.caps:
            if cap.applies(work, lot.grant.holder):
                window = cap.window(at, work)
                self.capped[window] = self.capped.get(window, ZERO) + amount

    # Corrections

    def _correct(self, burn: Burn) -> None:
        """Give back what was taken last, first from the same source of usage; what is more than all stands as a credit."""
        rest = -burn.amount
        if self.policies.corrections == "restore":
            for index in self._last_taken(burn.key):
                taken = self.taken[index]
                back = min(rest, taken.amount)
                self.taken[index] = taken._replace(amount=taken.amount - back)
                self._give_back(taken, back, burn)
                rest -= back
                if not rest:
                    break
            rest = self._forgive(rest, burn)
            self.taken = [taken for taken in self.taken if taken.amount]
        if rest:
            self._uncovered(burn, -rest, burn.at)

    def _forgive(self, rest: Decimal, burn: Burn) -> Decimal:
        owed, self.open_overage = self.open_overage, []
        for owing, amount in reversed(owed):
            back = min(rest, amount)
            rest -= back
            if back:
                self._drop(owing, back, burn.at, "dropped")
            if back != amount:
                self.open_overage.insert(0, (owing, amount - back))
        return rest

    def _last_taken(self, key: str) -> Iterator[int]:
        own = [index for index, taken in enumerate(self.taken) if taken.burn.key == key]
        others = [index for index, taken in enumerate(self.taken) if taken.burn.key != key]
        yield from reversed(own)
        yield from reversed(others)

    def _give_back(self, taken: Taken, amount: Decimal, burn: Burn) -> None:
        if taken.lot is None:
            self.overage -= amount
            self.happenings.append(Happening(burn.at, "uncovered", -amount, burn=burn))
            return
        lot = self.lots[taken.lot]
        lot.consumed -= amount
        lot.remaining += amount
        self.drawn_in_period -= amount
        self._count(lot, -amount, taken.burn.work, taken.burn.at)
        self._tell(burn.at, "restored", amount, lot, -lot.release(), burn=burn)
        if lot.ended:
            self._lose(lot, amount, burn.at)
        else:
            self._deactivate(lot)
            self._activate(lot)

    # Holds

    def place(self, hold: Hold) -> None:
        """Reserve credits from the lots the work may use, as far as there are any."""
        rest, parts = hold.amount, []
        for lot in list(self.active):
            take = min(rest, self._usable(lot, hold.work, hold.at))
            if take:
                lot.remaining -= take
                lot.held += take
                rest -= take
                parts.append((lot.key, take))
                self._count(lot, take, hold.work, hold.at)
                self._tell(hold.at, "held", take, lot, ZERO, hold=hold.id)
            if not rest:
                break
        self.held[hold.id] = parts
        self.active = [lot for lot in self.active if lot.remaining]

    def resolve(self, hold: Hold, at: datetime) -> None:
        """Use what was settled, first from what was held; free the rest, which is gone where its lot has ended."""
        rest = hold.settled
        burn = Burn(hold.at, f"hold {hold.id}", hold.settled, hold.work)
        self.used_in_period += rest
        for key, held in self.held.pop(hold.id, []):
            lot, used = self.lots[key], min(rest, held)
            lot.held -= held
            rest -= used
            if used:
                self._use(lot, used, burn, at, from_hold=hold.id)
            if free := held - used:
                lot.remaining += free
                self._count(lot, -free, hold.work, hold.at)
                self._tell(at, "freed", free, lot, ZERO, hold=hold.id)
                if lot.ended:
                    self._lose(lot, free, at)
                else:
                    self._deactivate(lot)
                    self._activate(lot)
        if rest:
            self._cover(burn, rest, at)

    # What stands

    def checkpoint(self, at: datetime) -> Checkpoint:
        """Everything a later replay needs to go on from here."""
        return Checkpoint(
            at,
            tuple(lot.shown() for lot in sorted(self.lots.values(), key=_rank)),
            tuple(self.open_overage),
            tuple(self.taken),
            {hold: tuple(parts) for hold, parts in self.held.items()},
            dict(self.capped),
            self.period_start,
            self.used_in_period,
            self.drawn_in_period,
            self.overage,
        )

    def account(self, at: datetime, phases: tuple[Phase, ...], checkpoint: Checkpoint) -> Account:
        """The account as it is now."""
        return Account(
            at=at,
            lots=tuple(lot.shown() for lot in sorted(self.lots.values(), key=_rank)),
            happenings=tuple(self.happenings),
            phases=phases,
            overage=self.overage,
            period_start=self.period_start or at,
            used_in_period=self.used_in_period,
            drawn_in_period=self.drawn_in_period,
            checkpoint=checkpoint,
        )

    def _activate(self, lot: OpenLot) -> None:
        if lot.usable:
            insort(self.active, lot, key=_rank)

    def _deactivate(self, lot: OpenLot) -> None:
        place = bisect_left(self.active, lot.rank, key=_rank)
        if place < len(self.active) and self.active[place] is lot:
            del self.active[place]

    def _tell(
        self,
        at: datetime,
        kind: HappeningKind,
        amount: Decimal,
        lot: OpenLot,
        cost: Decimal,
        *,
        burn: Burn | None = None,
        hold: str | None = None,
        target: LotKey | None = None,
    ) -> None:
        currency = lot.grant.currency
        self.happenings.append(
            Happening(at, kind, amount, lot.key, cost, currency, burn, hold, target=target)
        )


def _rank(lot: OpenLot) -> tuple[object, ...]:
    return lot.rank
