"""What a contract adds to a definition: its zone, its periods and the rates of the day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property

from valorem.core.calendar import local_date
from valorem.core.numbers import ONE
from valorem.core.periods import Cadence, Interval, boundary, calendar_anchor, index_at

MONTHLY = Cadence(1, "month")
_SOME_START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Frame:
    """The calendar and rates that outcomes of one contract are folded and billed in.

    Attributes:
        zone: The contract's time zone.
        every: The billing interval.
        start: The anchor of its periods; the zone's calendar where left out.
        rates: (currency, local date) to the rate into the definition's currency.
    """

    zone: str = "UTC"
    every: Cadence = MONTHLY
    start: datetime | None = None
    rates: Mapping[tuple[str, date], Decimal] = field(default_factory=dict)

    @cached_property
    def anchor(self) -> datetime:
        """The start of period 0."""
        return self.start or calendar_anchor(_SOME_START, self.every, self.zone)

    def period_of(self, at: datetime) -> int:
        """The index of the billing period an instant falls in."""
        return index_at(self.anchor, self.every, self.zone, at)

    def period(self, index: int) -> Interval:
        """The billing period of an index."""
        return Interval(
            boundary(self.anchor, self.every, self.zone, index),
            boundary(self.anchor, self.every, self.zone, index + 1),
        )

    def label(self, index: int) -> str:
        """How people name a period: ``2026-03`` for a calendar month, else its first local date."""
        first = local_date(self.period(index).start, self.zone)
        calendar_month = self.every == MONTHLY and first.day == 1
        return first.isoformat()[: 7 if calendar_month else 10]

    def rate(self, currency: str | None, into: str, at: datetime) -> Decimal | None:
        """The rate of the day; one for the same currency, ``None`` where none is known."""
        if currency in (None, into):
            return ONE
        return self.rates.get((str(currency), local_date(at, self.zone)))


UTC_MONTHS = Frame()
