"""The grants that follow from terms and a contract, with ids that never change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from valorem.core.contracts.contract import Contract
from valorem.core.contracts.proration import share_of
from valorem.core.ledger.grants import Grant, ends_after
from valorem.core.ledger.terms import GrantTerms
from valorem.core.metering.conversion import round_quantity
from valorem.core.numbers import ONE, exact
from valorem.core.periods import Cadence, Interval, Period, Unit, boundary, index_at, periods_between
from valorem.core.time import write_instant


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with a seat.

    Attributes:
        key: As usage names them.
        since: From when.
        until: Until when; ``None`` while they are there.
    """

    key: str
    since: datetime
    until: datetime | None = None


@exact
def granted_by(
    key: str,
    terms: GrantTerms,
    contract: Contract,
    until: datetime,
    *,
    since: datetime | None = None,
    members: Iterable[Member] = (),
    precision: int = 6,
) -> tuple[Grant, ...]:
    """Every grant that terms give to a contract by an instant.

    The id of each is made of the contract, the key and the start of its period (and the member, or the day a seat was
    added), so giving them again gives the same ids. What was once given is recorded and stays as it was; a change of the
    terms only changes grants that are not recorded yet. So editing a plan never wipes a balance.

    Args:
        key: The terms' key in the plan.
        terms: What is granted.
        contract: To whom; its seats are counted for ``per``.
        until: The present.
        since: Only periods that end after it; all where left out.
        members: Who has a seat, for ``pool: seat``.
        precision: Decimals of the credit type.
    """
    grants: list[Grant] = []
    for period in _periods(terms, contract, until, since):
        base = _Base(key, terms, contract, period, precision)
        if terms.pool == "seat":
            grants += _allowances(base, members, until)
        else:
            grants += _pooled(base, until)
    return tuple(grant for grant in grants if grant.amount)


def next_border(terms: GrantTerms, contract: Contract, at: datetime) -> datetime | None:
    """The next instant after one at which terms give a contract credits anew, by its periods or by more seats."""
    ends = contract.end
    if ends is not None and ends <= at:
        return None
    dated = [since for since, _ in contract.seats.get(terms.per, ()) if since > at] if terms.per else []
    borders = [*dated, contract.start] if contract.start > at else dated
    if terms.every != "once":
        cadence = (
            contract.every if terms.every is None else Cadence(terms.every[0], cast("Unit", terms.every[1]))
        )
        looked = max(at, contract.start)
        borders.append(
            boundary(
                contract.anchor,
                cadence,
                contract.time_zone,
                index_at(contract.anchor, cadence, contract.time_zone, looked) + 1,
            )
        )
    return min((border for border in borders if ends is None or border < ends), default=None)


@dataclass(frozen=True, slots=True)
class _Base:
    key: str
    terms: GrantTerms
    contract: Contract
    period: Period
    precision: int

    def grant(self, start: datetime, seats: Decimal, suffix: str = "", holder: str | None = None) -> Grant:
        """The credits of so many seats from an instant in the period to its end."""
        terms, full = self.terms, self.period.full
        share = ONE
        if terms.every != "once":
            part = Interval(start, self.period.interval.end)
            share = share_of(part, full, self.contract.time_zone, terms.proration).of(ONE)
        amount = round_quantity(terms.amount * seats * share, "half_up", self.precision)
        name = ":".join(
            part
            for part in (self.contract.id, self.key, write_instant(self.period.interval.start), suffix)
            if part
        )
        cost = amount * terms.cost_basis
        return Grant(
            id=name,
            amount=amount,
            start=start,
            expires=self._expires(start),
            priority=terms.priority,
            source=terms.source,
            cost=cost,
            currency=self.contract.currency if cost else None,
            scope=terms.scope.scope,
            holder=holder,
            created_at=start,
            rollover=terms.rollover,
            zone=self.contract.time_zone,
        )

    def _expires(self, start: datetime) -> datetime | None:
        match self.terms.expires:
            case "never":
                return None
            case "period end":
                return self.contract.end if self.terms.every == "once" else self.period.interval.end
            case span:
                return ends_after(start, span, self.contract.time_zone)


def _periods(
    terms: GrantTerms, contract: Contract, until: datetime, since: datetime | None
) -> Iterator[Period]:
    if until < contract.start:
        return
    just_after = until + timedelta(microseconds=1)
    if terms.every == "once":
        whole = Interval(contract.start, contract.end or max(just_after, contract.start + timedelta(days=1)))
        yield Period(0, whole, whole)
        return
    cadence = contract.every
    if terms.every is not None:
        cadence = Cadence(terms.every[0], cast("Unit", terms.every[1]))
    within = Interval(max(since or contract.start, contract.start), just_after)
    for period in periods_between(contract.anchor, cadence, contract.time_zone, within):
        start = max(period.full.start, contract.start)
        end = period.full.end if contract.end is None else min(period.full.end, contract.end)
        if start < end:
            yield replace(period, interval=Interval(start, end))


def _pooled(base: _Base, until: datetime) -> Iterator[Grant]:
    """One grant at the period's start, and one for each time seats rise above what the period had so far."""
    per, contract, interval = base.terms.per, base.contract, base.period.interval
    highest = contract.seats_at(per, interval.start) if per else ONE
    yield base.grant(interval.start, highest)
    for since, seats in contract.seats.get(per, ()) if per else ():
        if interval.start < since < interval.end and since <= until and seats > highest:
            yield base.grant(since, seats - highest, f"+{write_instant(since)}")
            highest = seats


def _allowances(base: _Base, members: Iterable[Member], until: datetime) -> Iterator[Grant]:
    interval = base.period.interval
    for member in sorted(members, key=lambda member: (member.since, member.key)):
        start = max(member.since, interval.start)
        gone = member.until is not None and member.until <= start
        if start < interval.end and start <= until and not gone:
            yield base.grant(start, ONE, member.key, holder=member.key)
