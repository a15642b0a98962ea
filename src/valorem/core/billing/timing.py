"""When an edit takes effect: now, at the period's end, at renewal, on a date; and whether a change is an upgrade."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.billing.schedule import contract_boundary, contract_period, period_index_at
from valorem.core.catalog.plans import Plan, Policies
from valorem.core.contracts.contract import Contract, Leg
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Cadence, boundary, index_at
from valorem.core.time import on_grid, quarter_hour_of, write_instant

When = Literal["now", "period_end", "renewal"]
Direction = Literal["upgrade", "downgrade", "same"]

#: How many of an interval make a year, by convention rather than by the calendar; for comparing plans only.
_A_YEAR = {"day": 365, "week": 52, "month": 12, "quarter": 4, "year": 1}


def effective_at(contract: Contract, when: When | datetime, now: datetime) -> datetime:
    """The instant an edit takes effect.

    Args:
        contract: The contract as it stands.
        when: ``now`` is the running quarter hour, but not before the contract's start; ``period_end`` the next border;
            ``renewal`` the end of the running term, or the contract's end; or an instant, before or after now.
        now: The workspace's clock.

    Raises:
        InvalidInputError: For an instant off the quarter-hour grid.
        UnprocessableError: Where the contract has no such instant.
    """
    if isinstance(when, datetime):
        if not on_grid(when):
            raise InvalidInputError(
                f"{write_instant(when)} is not on the quarter-hour grid", field="effective"
            )
        return when
    here = max(quarter_hour_of(now), contract.start)
    if when == "now":
        return here
    if when == "renewal":
        return _renewal(contract, now)
    if contract.end is not None and here >= contract.end:
        raise UnprocessableError(f"the contract ended at {write_instant(contract.end)}", field="effective")
    return contract_boundary(contract, period_index_at(contract, here) + 1)


def _renewal(contract: Contract, now: datetime) -> datetime:
    if contract.term is not None:
        at = max(now, contract.start)
        index = index_at(contract.start, contract.term, contract.time_zone, at)
        end = boundary(contract.start, contract.term, contract.time_zone, index + 1)
        return end if contract.end is None else min(end, contract.end)
    if contract.end is not None:
        return contract.end
    raise UnprocessableError(
        f"contract {contract.id} runs on without a term",
        field="effective",
        hint="give the contract a term or an end, or let it take effect at the period's end",
    )


@exact
def per_year(plan: Plan, contract: Contract | None = None, at: datetime | None = None) -> Decimal:
    """What a plan's fees come to in a year, with the contract's seats at an instant; for comparing plans only."""
    each_period = ZERO
    for fee in plan.fees.values():
        quantity = Decimal(1)
        if fee.per is not None:
            quantity = contract.seats_at(fee.per, at) if contract is not None and at is not None else ZERO
        each_period += fee.amount * quantity
    count, unit = plan.every
    return each_period * _A_YEAR[unit] / count


def direction(
    old: Plan, new: Plan, contract: Contract | None = None, at: datetime | None = None
) -> Direction:
    """Whether a plan is dearer or cheaper than another by the year, whatever their billing intervals."""
    before, after = per_year(old, contract, at), per_year(new, contract, at)
    return "same" if before == after else "upgrade" if after > before else "downgrade"


def plan_change_at(
    contract: Contract,
    policies: Policies,
    old: Plan,
    new: Plan,
    now: datetime,
) -> datetime:
    """When a change of plan takes effect if nobody says when: by the policy ``plan_change``.

    ``by_value`` lets a cheaper plan wait for the period's end and every other begin at once.
    """
    waits = policies.plan_change == "period_end" or (
        policies.plan_change == "by_value" and direction(old, new, contract, now) == "downgrade"
    )
    return effective_at(contract, "period_end" if waits else "now", now)


def term_is_over(contract: Contract, at: datetime) -> bool:
    """Whether an instant is the end of a term, when the contract may move to a newer version."""
    if at <= contract.start:
        return False
    return _renewal(contract, at - timedelta(microseconds=1)) == at


def renews_at(contract: Contract, at: datetime) -> datetime | None:
    """When the term that runs at an instant ends and another one begins; none where there is no term or none follows."""
    if contract.term is None:
        return None
    end = _renewal(contract, at)
    return None if contract.end is not None and end >= contract.end else end


def renewals(contract: Contract, after: datetime, until: datetime) -> Iterator[datetime]:
    """The ends of terms after an instant, up to and with another, at which the contract renews."""
    at = renews_at(contract, after)
    while at is not None and at <= until:
        yield at
        at = renews_at(contract, at)


def next_collection(
    invoice_at: list[datetime],
    every: Cadence | None = None,
    anchor: datetime | None = None,
    zone: str = "UTC",
) -> datetime:
    """When lines are collected onto an invoice: with the earliest of them, or on the next anchored border from then.

    Raises:
        InvalidInputError: Without any line.
    """
    if not invoice_at:
        raise InvalidInputError("there is no line to collect", field="lines")
    earliest = min(invoice_at)
    if every is None or anchor is None:
        return earliest
    index = index_at(anchor, every, zone, earliest)
    border = boundary(anchor, every, zone, index)
    return border if border == earliest else boundary(anchor, every, zone, index + 1)


def with_trial(contract: Contract, ends: datetime) -> Contract:
    """A contract whose trial ends with a border, so that the first invoice with a fee is issued then."""
    inside = contract.start < ends and (contract.end is None or ends < contract.end)
    on_border = inside and _is_border(contract, ends)
    if not inside or on_border:
        return contract
    return replace(contract, legs=(*contract.legs, Leg(ends, contract.every, contract.anchor)))


def _is_border(contract: Contract, at: datetime) -> bool:
    period = contract_period(contract, period_index_at(contract, at))
    return period is not None and period.interval.start == at
