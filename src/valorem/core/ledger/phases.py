"""The stretches of time between changes of the grants, as a replay passes them."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from valorem.core.ledger.account import Phase
from valorem.core.ledger.purse import Purse


class Phases:
    """Notes each stretch when it is over."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse
        self._open: Phase | None = None
        self._used_before = Decimal(0)
        self.closed: list[Phase] = []

    def open(self, at: datetime, *, rollover: bool = False) -> None:
        """A stretch begins."""
        purse = self._purse
        self._used_before = purse.used_in_period
        nothing = Decimal(0)
        self._open = Phase(
            at, at, purse.balances(), purse.overage, nothing, nothing, nothing, rollover=rollover
        )

    def close(self, at: datetime, *, reset: bool = False) -> None:
        """The open stretch, if there is one, is over."""
        if self._open is None:
            return
        purse = self._purse
        used = purse.used_in_period - self._used_before
        self.closed.append(
            replace(
                self._open,
                end=at,
                used=used,
                overage=purse.overage,
                balance_after=purse.available,
                reset=reset,
            )
        )
        self._open = None
