"""What is true of one account of one credit type at one instant."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple

from valorem.core.ledger.burns import Burn, Reset
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.holds import Hold
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was recorded of one account of one credit type; the order within each does not matter."""

    grants: tuple[Grant, ...] = ()
    burns: tuple[Burn, ...] = ()
    holds: tuple[Hold, ...] = ()
    resets: tuple[Reset, ...] = ()
    caps: tuple[Cap, ...] = ()


class LotKey(NamedTuple):
    """One filling of a grant: the first, a refill, or what was carried on from it."""

    grant: str
    filling: int = 0
    carried: bool = False


HappeningKind = Literal[
    "granted",
    "drawn",
    "uncovered",
    "dropped",
    "forgiven",
    "restored",
    "held",
    "freed",
    "expired",
    "voided",
    "rolled",
]


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to credits, and the money that goes with it.

    Attributes:
        at: When it took effect.
        kind: ``granted`` (a lot begins or is filled), ``drawn`` (used from a lot, out of what was held where ``hold`` is
            given), ``uncovered`` (used without credits; negative for a correction), ``dropped`` (an
            uncovered amount that a later draw paid or a correction took back), ``forgiven`` (one that a reset let go), ``restored`` (given back to a lot by a
            correction), ``held`` and ``freed`` (reserved, and no longer), ``expired``, ``voided``, ``rolled`` (moved from
            one lot to ``target``).
        amount: Credits; above zero except for ``uncovered``.
        lot: Which credits; ``None`` for what no credits paid for.
        cost: The part of the lot's cost that leaves it, or comes to it, in ``currency``.
        currency: Of the cost.
        burn: What used them.
        hold: The reservation's id.
        target: Where they went, for ``rolled``.
    """

    at: datetime
    kind: HappeningKind
    amount: Decimal
    lot: LotKey | None = None
    cost: Decimal = ZERO
    currency: str | None = None
    burn: Burn | None = None
    hold: str | None = None
    target: LotKey | None = None


@dataclass(frozen=True, slots=True)
class Lot:
    """One filling of a grant and what became of it: amount = consumed + expired + voided + rolled + held + remaining.

    Attributes:
        key: Which filling of which grant.
        start: From when it can be used.
        end: From when it cannot; ``None`` for never.
        amount: Credits it was given in all.
        remaining: Credits that can be used.
        held: Credits reserved.
        consumed: Credits used.
        expired: Credits lost at its end.
        voided: Credits taken back.
        rolled: Credits carried on to another lot.
        cost: What was paid for ``amount``.
        released: The part of the cost that has left it: recognised, lost, refunded or carried on.
        ended: Whether its end has come.
    """

    key: LotKey
    start: datetime
    end: datetime | None
    amount: Decimal
    remaining: Decimal
    held: Decimal = ZERO
    consumed: Decimal = ZERO
    expired: Decimal = ZERO
    voided: Decimal = ZERO
    rolled: Decimal = ZERO
    cost: Decimal = ZERO
    released: Decimal = ZERO
    ended: bool = False


#: Kinds of happening that say what was used, and with which sign.
_USED: Mapping[HappeningKind, int] = MappingProxyType(
    {"drawn": 1, "uncovered": 1, "restored": -1, "dropped": -1}
)


def _taken_back(each: Happening) -> bool:
    return each.burn is not None and each.burn.purpose == "void"


class Taken(NamedTuple):
    """Credits a burn took from a lot, or without one, that a correction could still give back."""

    lot: LotKey | None
    amount: Decimal
    burn: Burn


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a replay can go on: everything before ``at`` has happened, nothing at it has.

    It only saves work: with or without it the answer is the same. It holds as long as nothing was recorded that took
    effect before ``at`` (:meth:`holds_after`).
    """

    at: datetime
    lots: tuple[Lot, ...] = ()
    open_overage: tuple[tuple[Burn, Decimal], ...] = ()
    taken: tuple[Taken, ...] = ()
    held: Mapping[str, tuple[tuple[LotKey, Decimal], ...]] | None = None
    capped: Mapping[tuple[str, str | None, int], Decimal] | None = None
    period_start: datetime | None = None
    used_in_period: Decimal = ZERO
    drawn_in_period: Decimal = ZERO
    overage: Decimal = ZERO

    def closed(self) -> "Checkpoint":
        """The same without what is over: lots that have ended and hold nothing, and what was taken from them.

        For the end of a closed period. A correction after it gives nothing back to those lots any more, and a replay from
        here needs only the grants that :meth:`needs` names, however many there have been.
        """
        lots = tuple(lot for lot in self.lots if lot.held or not lot.ended)
        kept = {lot.key for lot in lots}
        return replace(self, lots=lots, taken=tuple(each for each in self.taken if each.lot in kept))

    def needs(self, grants: Iterable[Grant]) -> tuple[Grant, ...]:
        """The grants a replay from here has to know: those it has lots of, and those that begin later."""
        known = {lot.key.grant for lot in self.lots}
        return tuple(grant for grant in grants if grant.id in known or grant.start >= self.at)

    def holds_after(self, changed_at: datetime) -> bool:
        """Whether it is still true after something took effect at an instant."""
        return self.at <= changed_at


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time in which no grant begins or ends.

    Attributes:
        start: Its first instant.
        end: Its end; the same instant for what happens between two stretches.
        balances: Balance of each grant at its start; a grant that is not named has none.
        overage_at_start: Uncovered usage carried into it.
        used: Credits used in it.
        overage: Uncovered usage at its end.
        balance_after: All balances at its end.
        reset: Whether it ends with a reset.
        rollover: Whether it is the instant of a reset, in which carried usage is paid.
    """

    start: datetime
    end: datetime
    balances: Mapping[str, Decimal]
    overage_at_start: Decimal
    used: Decimal
    overage: Decimal
    balance_after: Decimal
    reset: bool = False
    rollover: bool = False

    @property
    @exact
    def balance_at_start(self) -> Decimal:
        """All balances at its start."""
        return sum(self.balances.values(), ZERO)


@dataclass(frozen=True, slots=True)
class Account:
    """One account of one credit type at one instant.

    Attributes:
        at: The instant: what took effect by it is in, and usage before it.
        lots: Every filling of every grant that has begun, in the order they are used.
        happenings: What happened, in order; since the checkpoint, where there was one.
        phases: The stretches of time; only where they were asked for.
        overage: Credits used that no grant paid for, and still open: since the beginning, or in the period where uncovered
            usage is carried.
        period_start: The last reset, or where the replay began.
        used_in_period: Credits used since then.
        drawn_in_period: Credits taken from grants since then.
        checkpoint: Where another replay can go on.
    """

    at: datetime
    lots: tuple[Lot, ...]
    happenings: tuple[Happening, ...]
    phases: tuple[Phase, ...]
    overage: Decimal
    period_start: datetime
    used_in_period: Decimal
    drawn_in_period: Decimal
    checkpoint: Checkpoint

    @property
    @exact
    def balance(self) -> Decimal:
        """Credits not used, held ones included."""
        return sum((lot.remaining + lot.held for lot in self.lots), ZERO)

    @property
    @exact
    def held(self) -> Decimal:
        """Credits reserved."""
        return sum((lot.held for lot in self.lots), ZERO)

    @property
    @exact
    def available(self) -> Decimal:
        """Credits that can be used or reserved."""
        return sum((lot.remaining for lot in self.lots), ZERO)

    @exact
    def balances(self) -> dict[str, Decimal]:
        """What is left of each grant that has begun, held credits included."""
        left: dict[str, Decimal] = {}
        for lot in self.lots:
            left[lot.key.grant] = left.get(lot.key.grant, ZERO) + lot.remaining + lot.held
        return left

    @property
    @exact
    def granted(self) -> Decimal:
        """Credits of the grants that can be used now, as they were given."""
        return sum((lot.amount for lot in self.lots if not lot.ended), ZERO)

    @exact
    def burned_in(self, interval: Interval) -> Decimal:
        """Credits used in an interval, uncovered ones too, less what corrections took back."""
        return sum(
            (
                _USED[each.kind] * each.amount
                for each in self.happenings
                if each.kind in _USED and each.at in interval and not _taken_back(each)
            ),
            ZERO,
        )

    def of_kind(self, *kinds: HappeningKind) -> Iterator[Happening]:
        """The happenings of these kinds, in order."""
        return (each for each in self.happenings if each.kind in kinds)

    @exact
    def sum_of(self, *kinds: HappeningKind) -> Decimal:
        """The credits of all happenings of these kinds together."""
        return sum((each.amount for each in self.of_kind(*kinds)), ZERO)
