"""Cohorts of customers by the month of their first invoice, and what each still brings in the months after."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.numbers import ZERO, exact


@dataclass(frozen=True, slots=True)
class Billed:
    """What one customer was invoiced in one month."""

    month: datetime
    customer: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Cohort:
    """The customers whose first invoice is of one month.

    Attributes:
        month: That month.
        customers: How many they are.
        amounts: What they were invoiced in that month, the next, and so on, until the last month there is.
    """

    month: datetime
    customers: int
    amounts: tuple[Decimal, ...]

    @exact
    def share(self, place: int) -> Decimal | None:
        """What they brought so many months later, as a share of their first month; None from nothing."""
        first = self.amounts[0]
        return self.amounts[place] / first if first else None


@exact
def cohorts_of(billed: Iterable[Billed], months: Iterable[datetime]) -> tuple[Cohort, ...]:
    """Fold what customers were invoiced into cohorts, the oldest first.

    Args:
        billed: In one currency; several of one customer and month are added.
        months: Every month to show, in order; a month without an invoice counts as nothing.
    """
    shown = list(months)
    by_customer: dict[str, dict[datetime, Decimal]] = {}
    for each in billed:
        mine = by_customer.setdefault(each.customer, {})
        mine[each.month] = mine.get(each.month, ZERO) + each.amount
    found: dict[datetime, list[dict[datetime, Decimal]]] = {}
    for mine in by_customer.values():
        found.setdefault(min(mine), []).append(mine)
    return tuple(
        Cohort(
            month,
            len(members),
            tuple(
                sum((mine.get(later, ZERO) for mine in members), ZERO) for later in shown if later >= month
            ),
        )
        for month, members in sorted(found.items())
        if month in shown
    )
