"""Grant terms: the credits a plan gives, as the catalog writes them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field

from valorem.core.calendar import local_date, start_of_day
from valorem.core.entry import Entry, Key
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.rollover import Rollover
from valorem.core.ledger.scope import Scope
from valorem.core.numbers import ZERO
from valorem.core.periods import Cadence, Unit
from valorem.core.units import Amount, Quantity, Span


class GrantScope(Entry):
    """What granted credits may pay for; what is left out restricts nothing.

    Attributes:
        products: Any of these features.
        meters: Any of these meters.
        dimensions: For each dimension named, any of these values.
    """

    products: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    dimensions: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        """The same as the ledger knows it."""
        return Scope(self.products, self.meters, self.dimensions)


def _recurring(span: tuple[int, str]) -> tuple[int, str]:
    if span[1] in ("minute", "hour") or span[0] < 1:
        raise ValueError("credits are granted every one or more days, weeks, months, quarters or years")
    return span


class CapTerms(Entry):
    """How many credits may be used in each window of time.

    Attributes:
        amount: Credits for each window.
        every: The length of a window; windows begin at the midnight before the contract's anchor.
        per: Whether each member has a count of their own, or the account one.
        of: Whether only the pool is limited, or allowances too.
        scope: What work it is for.
    """

    amount: Quantity
    every: Annotated[Span, AfterValidator(_recurring)]
    per: Literal["member", "account"] = "account"
    of: Literal["pool", "all"] = "all"
    scope: GrantScope = GrantScope()

    def cap(self, key: str, anchor: datetime, zone: str) -> Cap:
        """The same as the ledger knows it.

        Args:
            key: Its key in the catalog.
            anchor: The contract's anchor, at which a window begins.
            zone: The contract's time zone.
        """
        count, unit = self.every
        begins = start_of_day(local_date(anchor, zone), zone)
        every = Cadence(count, cast("Unit", unit))
        return Cap(key, self.amount, every, begins, zone, self.per, self.of, self.scope.scope)


class GrantTerms(Entry):
    """Credits that a plan includes.

    Attributes:
        credit: The credit type; the key it is written under where left out.
        amount: Credits for each period, and for each seat where ``per`` is given.
        per: The key of the contract's dated quantity it is multiplied by, such as seat.
        pool: Whether all of it is one pool of the account, or each member has an allowance of ``amount``.
        every: How often it is granted; with every billing period where left out, and never again for once.
        expires: When what is left is gone: with its period, never, or after a length of time.
        rollover: How much of what is left at its end is carried on.
        priority: Lower is used first.
        source: How it came about.
        cost_basis: What one credit of it counts as paid, in the plan's currency; nothing for credits that are free.
        scope: What it may pay for.
        proration: How credits for a part of a period are reduced: those of seats added in the middle of it, and those of a
            period that the contract's start or end cuts. Fewer seats take effect with the next period.
    """

    credit: Key | None = None
    amount: Quantity
    per: Key | None = None
    pool: Literal["account", "seat"] = "account"
    every: Literal["once"] | Annotated[Span, AfterValidator(_recurring)] | None = None
    expires: Literal["period end", "never"] | Span = "period end"
    rollover: Rollover | None = None
    priority: Annotated[int, Field(ge=0, le=1000)] = 50
    source: Literal["included", "promotional"] = "included"
    cost_basis: Annotated[Amount, Field(ge=0)] = ZERO
    scope: GrantScope = GrantScope()
    proration: Literal["day", "second", "none"] = "day"
