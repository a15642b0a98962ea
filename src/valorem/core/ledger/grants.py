"""Grants: credits given, with when, for what and in which order they can be used."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, cast

from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.ledger.rollover import Rollover
from valorem.core.ledger.scope import EVERYTHING, Scope, Workload
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.periods import Cadence, Unit, boundary, index_at
from valorem.core.time import write_instant

_SECONDS = {"minute": 60, "hour": 3600}

GrantSource = Literal["included", "purchased", "promotional", "adjustment"]


@dataclass(frozen=True, slots=True)
class Refill:
    """The grant is filled up to its amount again at each border of a cadence; what was left of it is gone.

    Attributes:
        every: How often.
        anchor: One of the borders.
        zone: IANA zone whose calendar is followed.
    """

    every: Cadence
    anchor: datetime
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits given to an account, or to one member of it.

    Attributes:
        id: Unique in the account and stable: a grant that recurs has an id made of contract, key and period.
        amount: Credits, zero or more.
        start: From when it can be used; nothing that happened earlier is paid by it.
        expires: From when it cannot be used any more; ``None`` means never.
        priority: Lower is used first.
        source: How it came about.
        cost: What was paid for all of it, in ``currency``; nothing for free credits.
        currency: ISO 4217 code of ``cost``.
        scope: What it may pay for.
        holder: The member whose allowance it is; ``None`` for the pool of the account.
        created_at: When it was given; the start where left out.
        voided_at: From when the unused part is taken back.
        rollover: What becomes of the rest at ``expires``; without it the rest expires.
        reset: What becomes of the rest at a reset of the account; without it a reset changes nothing.
        refill: Fills it up again and again.
        postpaid: A commitment that is invoiced as it is used, instead of credits paid before.
        rolled: Carried on from an earlier grant.
        tag: A word of the operator's, such as ``trial``.
        zone: IANA zone whose calendar counts how long what is carried on can be used.

    Raises:
        InvalidInputError: Naming the field that is not right.
    """

    id: str
    amount: Decimal
    start: datetime
    expires: datetime | None = None
    priority: int = 50
    source: GrantSource = "included"
    cost: Decimal = ZERO
    currency: str | None = None
    scope: Scope = EVERYTHING
    holder: str | None = None
    created_at: datetime | None = None
    voided_at: datetime | None = None
    rollover: Rollover | None = None
    reset: Rollover | None = None
    refill: Refill | None = None
    postpaid: bool = False
    rolled: bool = False
    tag: str | None = None
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.amount.is_finite() or self.amount < 0:
            raise InvalidInputError("a grant gives zero or more credits", field="amount")
        if self.cost < 0:
            raise InvalidInputError("credits cost zero or more", field="cost")
        if self.cost and self.currency is None:
            raise InvalidInputError(
                "a cost needs its currency", field="currency", hint="name the currency it was paid in"
            )

    @property
    def end(self) -> datetime | None:
        """From when nothing of it can be used: its expiry or the instant it was voided, whichever is first."""
        ends = [each for each in (self.expires, self.voided_at) if each is not None]
        return min(ends, default=None)

    @property
    def unit_cost(self) -> Decimal:
        """What one credit of it cost (its cost basis)."""
        return cost_basis(self.cost, self.amount)

    def active_at(self, at: datetime) -> bool:
        """Whether it can be used at an instant: ``start ≤ at < end``."""
        return self.start <= at and (self.end is None or at < self.end)

    def pays_for(self, work: Workload) -> bool:
        """Whether it may pay for this work: within its scope, and by its holder where it has one."""
        return (self.holder is None or self.holder == work.member) and self.scope.covers(work)


@exact
def cost_basis(cost: Decimal, amount: Decimal) -> Decimal:
    """Money paid per credit: cost / amount; nothing where there are no credits."""
    return cost / amount if amount else ZERO


@exact
def discount_share(paid: Decimal, listed: Decimal) -> Decimal:
    """Which share of a list price a purchase saves: 1 − paid / listed."""
    return 1 - paid / listed if listed else ZERO


def spans(grant: Grant, until: datetime) -> Iterator[tuple[datetime, datetime | None]]:
    """The stretches in which a grant is filled once: one, or one from each refill to the next, that start by ``until``."""
    end = grant.end
    if end is not None and end <= grant.start:
        return
    start, refill = grant.start, grant.refill
    if refill is None:
        if start <= until:
            yield start, end
        return
    index = index_at(refill.anchor, refill.every, refill.zone, start)
    while start <= until and (end is None or start < end):
        index += 1
        following = boundary(refill.anchor, refill.every, refill.zone, index)
        if following > start:  # a zone may have skipped the day between two borders
            yield start, following if end is None else min(following, end)
            start = following


def ends_after(start: datetime, span: tuple[int, str] | None, zone: str = "UTC") -> datetime | None:
    """The instant a length of calendar time after another; never, where there is no length."""
    if span is None:
        return None
    length, unit = span
    if unit in _SECONDS:
        return start + timedelta(seconds=length * _SECONDS[unit])
    return boundary(start, Cadence(length, cast("Unit", unit)), zone, 1)


def void(grant: Grant, at: datetime) -> Grant:
    """Take back what is unused of a grant from an instant on; what was used stays used.

    Raises:
        UnprocessableError: Where it has ended before.
    """
    _check_open(grant, at)
    return replace(grant, voided_at=max(at, grant.start))


def change_expiry(grant: Grant, expires: datetime | None, at: datetime) -> Grant:
    """Let a grant end at another instant; only one that has not ended, and never in the past.

    Raises:
        UnprocessableError: Where it has ended, or the new end has passed.
    """
    _check_open(grant, at)
    if expires is not None and (expires < at or expires <= grant.start):
        raise UnprocessableError(
            f"the new end {write_instant(expires)} has passed",
            field="expires",
            hint="give an instant after now and after the start, or void the grant",
        )
    return replace(grant, expires=expires)


def check_voidable(amount: Decimal, balance: Decimal) -> None:
    """Refuse to take back more than there is.

    Raises:
        UnprocessableError: With the balance.
    """
    if amount <= 0 or amount > balance:
        raise UnprocessableError(
            f"{plain(amount)} credits cannot be taken back",
            field="amount",
            hint=f"{plain(balance)} are left",
        )


def _check_open(grant: Grant, at: datetime) -> None:
    if grant.end is not None and grant.end <= at:
        raise UnprocessableError(
            f"grant {grant.id} ended at {write_instant(grant.end)}",
            field="grant",
            hint="give a new grant instead",
        )
