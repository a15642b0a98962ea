"""Recurring revenue: by the month (MRR), by the year (ARR), and for each customer."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.periods import Cadence

_MONTHS_A_YEAR = Decimal(12)
_DAYS_A_YEAR = Decimal(365)
_WEEKS_A_YEAR = Decimal(52)


class Recurring(NamedTuple):
    """So many of something that recurs.

    Attributes:
        amount: Of one, for one interval.
        every: The interval.
        number: How many.
    """

    amount: Decimal
    every: Cadence
    number: Decimal = ONE


@exact
def monthly(recurring: Recurring) -> Decimal:
    """What it comes to in a month, a twelfth of its year; a year has 52 weeks or 365 days."""
    amount, every, number = recurring
    if every.months:
        return amount * number / every.months
    a_year = _WEEKS_A_YEAR / every.count if every.unit == "week" else _DAYS_A_YEAR / every.days
    return amount * number * a_year / _MONTHS_A_YEAR


@exact
def mrr(recurring: Iterable[Recurring]) -> Decimal:
    """Monthly recurring revenue: the sum of what recurs, each brought to a month."""
    return sum((monthly(each) for each in recurring), ZERO)


def metered_mrr(invoiced_by_month: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Usage as recurring revenue, counted in the month it is invoiced; a choice, since usage need not recur."""
    return dict(invoiced_by_month)


@exact
def committed_arr(amount: Decimal, days: int) -> Decimal:
    """Committed revenue brought to a year of 365 days: amount / days × 365."""
    if days < 1:
        raise InvalidInputError("a commitment runs for at least a day", field="days")
    return amount / days * _DAYS_A_YEAR


@exact
def run_rate_arr(months: Sequence[Decimal], window: int) -> Decimal:
    """The mean of the last months, times twelve; months without revenue count as zero.

    Args:
        months: Revenue by month, the latest last.
        window: How many months to look at.
    """
    if window < 1:
        raise InvalidInputError("a window has at least one month", field="window")
    return sum(months[-window:], ZERO) / window * _MONTHS_A_YEAR


@exact
def per_account(revenue: Decimal, active: int) -> Decimal:
    """Mean revenue for each active subscriber (ARPU); zero where there is none."""
    return revenue / active if active else ZERO
