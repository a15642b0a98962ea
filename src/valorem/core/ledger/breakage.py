"""Breakage as it is planned: what would expire if nothing more were used."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.ledger.account import Account
from valorem.core.numbers import ZERO, exact


@dataclass(frozen=True, slots=True)
class Breakage:
    """What expiry will take.

    Attributes:
        planned: Credits that were to expire when they were granted.
        released: Credits used since, which will not expire.
        reopened: Credits that corrections gave back, which will again.
    """

    planned: Decimal
    released: Decimal = ZERO
    reopened: Decimal = ZERO

    @property
    @exact
    def impact(self) -> Decimal:
        """What expiry does to the balance: −(planned − released + reopened)."""
        return -(self.planned - self.released + self.reopened)


@exact
def expiring(account: Account) -> dict[datetime, Decimal]:
    """When how many of the credits that are left now will expire, in order of time."""
    ends: dict[datetime, Decimal] = {}
    for lot in account.lots:
        left = lot.remaining + lot.held
        if left and lot.end is not None and not lot.ended:
            ends[lot.end] = ends.get(lot.end, ZERO) + left
    return dict(sorted(ends.items()))
