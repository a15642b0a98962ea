"""Retention: how what customers are invoiced moves from month to month, and which share of it stays."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from valorem.core.insight.movements import Movement, movement
from valorem.engine.engine import Transaction
from valorem.engine.overview import billed_by_customer


@dataclass(frozen=True, slots=True)
class MonthMoved:
    """From one month in which anything was invoiced to the next, in one currency.

    Attributes:
        currency: Of the amounts.
        before: The earlier month.
        after: The later one.
        movement: What changed, by customer.
    """

    currency: str
    before: datetime
    after: datetime
    movement: Movement


def retention(tx: Transaction, *, months: int = 12) -> list[MonthMoved]:
    """Every step from month to month, by currency and time, from finalised invoices by month of issue (UTC).

    Args:
        tx: The transaction; a snapshot.
        months: How many months back.
    """
    billed = billed_by_customer(tx, months=months)
    found = []
    for currency in sorted({currency for currency, _ in billed}):
        by_month: dict[datetime, dict[str, Decimal]] = {}
        for other, each in billed:
            if other == currency:
                by_month.setdefault(each.month, {})[each.customer] = each.amount
        for before, after in pairwise(sorted(by_month)):
            found.append(MonthMoved(currency, before, after, movement(by_month[before], by_month[after])))
    return found
