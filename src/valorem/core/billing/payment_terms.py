"""Payment terms: when an invoice is due, how late it is, and the ages of what is owed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from valorem.core.calendar import add_days, add_months, local_date, start_of_day
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO

Age = Literal["not due", "1-30", "31-60", "61-90", "over 90"]
AGES: tuple[Age, ...] = ("not due", "1-30", "31-60", "61-90", "over 90")
_LAST_DAYS = (0, 30, 60, 90)


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """By when an invoice must be paid.

    Attributes:
        net_days: Days after the issue; 0 is on receipt.
        end_of_month: Whether the days count from the end of the month of issue.

    Raises:
        InvalidInputError: For fewer than 0 or more than 365 days.
    """

    net_days: int = 30
    end_of_month: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.net_days <= 365:
            raise InvalidInputError(
                f"{self.net_days} days", field="payment_terms.net_days", hint="use 0 to 365 days"
            )

    def due_date(self, issued_at: datetime, zone: str) -> date:
        """The last local day on which payment is in time."""
        day = local_date(issued_at, zone)
        if self.end_of_month:
            day = add_days(add_months(day.replace(day=1), 1), -1)
        return add_days(day, self.net_days)


def overdue_from(due: date, zone: str) -> datetime:
    """The first instant at which an invoice due on a local day is late."""
    return start_of_day(add_days(due, 1), zone)


def days_late(due: date, zone: str, now: datetime) -> int:
    """Whole local days since an invoice was due; zero or fewer while it is not late."""
    return (local_date(now, zone) - due).days


def age_of(due: date, zone: str, now: datetime) -> Age:
    """Which column of an aging table an open invoice falls in."""
    late = days_late(due, zone, now)
    return next((age for age, last in zip(AGES, _LAST_DAYS, strict=False) if late <= last), AGES[-1])


def aging(open_amounts: Iterable[tuple[date, Decimal]], zone: str, now: datetime) -> Mapping[Age, Decimal]:
    """What is owed, by age; every column is there."""
    columns = dict.fromkeys(AGES, ZERO)
    for due, amount in open_amounts:
        columns[age_of(due, zone, now)] += amount
    return columns
