"""Caps: how many credits may be used within a day, a week, a month or a billing period."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.ledger.scope import EVERYTHING, Scope, Workload
from valorem.core.periods import Cadence, index_at


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many credits in each window.

    Attributes:
        key: Names it.
        amount: Credits for each window.
        every: The length of a window.
        anchor: One of the windows' borders.
        zone: IANA zone whose calendar the windows follow.
        per: Whether each member has its own count, or the account one.
        of: Whether only what is drawn from the pool counts, or also what is drawn from allowances.
        scope: What work it is for.
        members: Only for these members; for everybody where empty.
    """

    key: str
    amount: Decimal
    every: Cadence
    anchor: datetime
    zone: str = "UTC"
    per: Literal["member", "account"] = "account"
    of: Literal["pool", "all"] = "all"
    scope: Scope = EVERYTHING
    members: tuple[str, ...] = ()

    def window(self, at: datetime, work: Workload) -> tuple[str, str | None, int]:
        """Which count a draw adds to."""
        member = work.member if self.per == "member" else None
        return self.key, member, index_at(self.anchor, self.every, self.zone, at)

    def applies(self, work: Workload, holder: str | None) -> bool:
        """Whether a draw from a grant of this holder counts."""
        return (
            (self.of == "all" or holder is None)
            and (not self.members or work.member in self.members)
            and self.scope.covers(work)
        )
