"""Proration: which share of a whole period a part of it is."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.calendar import calendar_days, local_date, start_of_day
from valorem.core.money import Rounding, round_money
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.periods import Interval

ProrationPolicy = Literal["day", "second", "none"]


@dataclass(frozen=True, slots=True)
class Share:
    """An exact share: ``numerator`` of ``denominator`` days or seconds.

    Kept as the two counts, not reduced, so that a line can print "17 of 31 days".
    """

    numerator: Decimal
    denominator: Decimal
    unit: Literal["day", "second", "period"]

    @property
    def whole(self) -> bool:
        """Whether nothing is taken off."""
        return self.numerator == self.denominator

    @exact
    def of(self, amount: Decimal) -> Decimal:
        """That share of an amount, before rounding."""
        return amount if self.whole else amount * self.numerator / self.denominator

    def __str__(self) -> str:
        return f"{plain(self.numerator)} of {plain(self.denominator)} {self.unit}s"


WHOLE = Share(Decimal(1), Decimal(1), "period")


def share_of(part: Interval, full: Interval, zone: str, policy: ProrationPolicy) -> Share:
    """Which share of the whole period a part is.

    ``day`` counts local dates, so that the shares of adjacent parts add up to 1 whatever the clocks do; a day on which
    something starts belongs to what starts. ``second`` counts elapsed seconds. ``none`` never reduces.
    """
    if policy == "none":
        return WHOLE
    if policy == "second":
        return Share(part.seconds(), full.seconds(), "second")
    days = calendar_days(full.start, full.end, zone)
    if days == 0:  # a period shorter than a local day, as where a zone went back a whole day
        return Share(part.seconds(), full.seconds(), "second")
    return Share(Decimal(calendar_days(part.start, part.end, zone)), Decimal(days), "day")


def takes_effect(change: datetime, zone: str, policy: ProrationPolicy) -> datetime:
    """When a change counts from: with ``day`` from the start of its local day, which belongs to the new terms."""
    return start_of_day(local_date(change, zone), zone) if policy == "day" else change


@dataclass(frozen=True, slots=True)
class ChangeAmounts:
    """What a change in the middle of a period comes to.

    Attributes:
        credit: For the rest of the period on the old terms, zero or less; rounded.
        charge: For the rest of the period on the new terms; rounded.
    """

    credit: Decimal
    charge: Decimal

    @property
    def net(self) -> Decimal:
        """What is to pay, or where negative comes back."""
        return self.credit + self.charge


@exact
def change_amounts(
    old: Decimal,
    new: Decimal,
    rest: Share,
    currency: str,
    *,
    paid: Decimal | None = None,
    credited: Decimal = ZERO,
    rounding: Rounding = "half_up",
) -> ChangeAmounts:
    """Credit for what is left of the old terms and charge for the new ones, each rounded once.

    Args:
        old: A whole period on the old terms.
        new: A whole period on the new terms.
        rest: The share of the period that is left.
        currency: ISO 4217 code.
        paid: What was billed for the old terms in this period, where a credit must not pass it.
        credited: What has come back of that already.
        rounding: Of each amount.
    """
    credit = rest.of(old)
    if paid is not None:
        credit = capped_credit(credit, paid, credited)
    return ChangeAmounts(
        -round_money(credit, currency, rounding) or ZERO, round_money(rest.of(new), currency, rounding)
    )


def capped_credit(credit: Decimal, billed: Decimal, credited: Decimal = ZERO) -> Decimal:
    """A credit, never more than what was billed less what has come back of it already, never below zero."""
    return max(ZERO, min(credit, billed - credited))
