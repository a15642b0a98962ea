"""A lot while a replay changes it: one filling of a grant."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from valorem.core.ledger.account import Lot, LotKey
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.order import rank_of
from valorem.core.ledger.policies import Criterion
from valorem.core.money import round_money
from valorem.core.numbers import ZERO


class OpenLot:
    """Credits of one filling, by what became of them; always amount = the sum of all the others."""

    __slots__ = (
        "amount", "consumed", "cost", "end", "ended", "expired", "grant", "held", "key", "rank",
        "released", "remaining", "rolled", "start", "voided",
    )  # fmt: skip

    def __init__(
        self,
        key: LotKey,
        grant: Grant,
        start: datetime,
        end: datetime | None,
        amount: Decimal,
        cost: Decimal,
        order: Sequence[Criterion],
    ) -> None:
        self.key = key
        self.grant = grant
        self.start = start
        self.end = end
        self.amount = self.remaining = amount
        self.cost = cost
        self.ended = False
        self.held = self.consumed = self.expired = self.voided = self.rolled = self.released = ZERO
        self.rank: tuple[Any, ...] = (*rank_of(grant, order, end), key)

    @classmethod
    def reopened(cls, lot: Lot, grant: Grant, order: Sequence[Criterion]) -> "OpenLot":
        """A lot as a checkpoint shows it; its end may have been moved since."""
        owner = replace(grant, rolled=True) if lot.key.carried else grant
        end = lot.end if lot.ended or lot.key.carried or grant.refill is not None else grant.end
        opened = cls(lot.key, owner, lot.start, end, lot.amount, lot.cost, order)
        for name in ("remaining", "held", "consumed", "expired", "voided", "rolled", "released", "ended"):
            setattr(opened, name, getattr(lot, name))
        return opened

    @property
    def usable(self) -> bool:
        """Whether anything of it can be used."""
        return not self.ended and self.remaining > 0

    @property
    def last_end(self) -> datetime | None:
        """Its end, where no refill of the same grant follows."""
        return self.end if self.grant.refill is None or self.end == self.grant.end else None

    @property
    def end_kind(self) -> Literal["expired", "voided"]:
        """What its end does to the rest."""
        return "voided" if self.end is not None and self.end == self.grant.voided_at else "expired"

    def release(self) -> Decimal:
        """The cost that has left since the last time, rounded so that all of it together is the whole cost."""
        if not self.cost or self.grant.currency is None:
            return ZERO
        gone = self.consumed + self.expired + self.voided + self.rolled
        target = round_money(self.cost * gone / self.amount, self.grant.currency)
        moved, self.released = target - self.released, target
        return moved

    def shown(self) -> Lot:
        """The lot as it stands."""
        return Lot(
            key=self.key,
            start=self.start,
            end=self.end,
            amount=self.amount,
            remaining=self.remaining,
            held=self.held,
            consumed=self.consumed,
            expired=self.expired,
            voided=self.voided,
            rolled=self.rolled,
            cost=self.cost,
            released=self.released,
            ended=self.ended,
        )
