"""Reminders: a configured sequence around the due date, each sent once, none once nothing is owed."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Literal

from valorem.core.billing.payment_terms import days_late
from valorem.core.calendar import add_days, start_of_day
from valorem.core.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Reminder:
    """One step of the sequence.

    Attributes:
        key: Names it; sent once for each invoice.
        after_days: Local days after the due date; below zero before it.
        action: What else happens: the invoice is written off.
    """

    key: str
    after_days: int
    action: Literal["none", "write_off"] = "none"


@dataclass(frozen=True, slots=True)
class DunningPolicy:
    """When customers are reminded of what they owe.

    Attributes:
        reminders: In order of days.
        least: Amounts below this are not worth a reminder.
        missed: After a pause in which several came due: only the ``latest`` goes out, or ``all``.

    Raises:
        InvalidInputError: Where keys repeat or days are not ascending.
    """

    reminders: tuple[Reminder, ...]
    least: Decimal = Decimal(0)
    missed: Literal["latest", "all"] = "latest"

    def __post_init__(self) -> None:
        days = [each.after_days for each in self.reminders]
        if any(later <= earlier for earlier, later in pairwise(days)):
            raise InvalidInputError("reminders must be in order of days", field="dunning.reminders")
        if len({each.key for each in self.reminders}) < len(self.reminders):
            raise InvalidInputError("two reminders with the same key", field="dunning.reminders")


#: A friendly word before the day, then three that grow firmer.
DEFAULT_DUNNING = DunningPolicy(
    (Reminder("upcoming", -3), Reminder("first", 3), Reminder("second", 10), Reminder("final", 24))
)


@dataclass(frozen=True, slots=True)
class ReminderDue:
    """A reminder to act on.

    Attributes:
        reminder: Which.
        skipped: It came due while nothing was sent and a later one takes its place: note it as done, send nothing.
    """

    reminder: Reminder
    skipped: bool


def reminders_due(
    policy: DunningPolicy,
    *,
    due: date,
    zone: str,
    owed: Decimal,
    now: datetime,
    done: Collection[str] = (),
) -> tuple[ReminderDue, ...]:
    """The reminders of one invoice that are due and not done.

    Args:
        policy: The sequence.
        due: The invoice's last day for payment.
        zone: The time zone of that day.
        owed: What is left to pay, payments counted.
        now: The clock.
        done: Keys of the reminders sent or skipped.
    """
    if owed <= 0 or owed < policy.least:
        return ()
    late = days_late(due, zone, now)
    last_done = max((each.after_days for each in policy.reminders if each.key in done), default=None)
    waiting = [
        each
        for each in policy.reminders
        if each.after_days <= late
        and each.key not in done
        and (last_done is None or each.after_days > last_done)
    ]
    newest = len(waiting) - 1
    return tuple(
        ReminderDue(each, skipped=policy.missed == "latest" and index < newest)
        for index, each in enumerate(waiting)
    )


def next_reminder_at(
    policy: DunningPolicy, *, due: date, zone: str, done: Collection[str] = ()
) -> datetime | None:
    """When the next reminder falls due, for a worker that sleeps until then; ``None`` after the last."""
    last_done = max((each.after_days for each in policy.reminders if each.key in done), default=None)
    for each in policy.reminders:
        if each.key not in done and (last_done is None or each.after_days > last_done):
            return start_of_day(add_days(due, each.after_days), zone)
    return None


def next_step_at(policy: DunningPolicy, due: date, zone: str, after: datetime) -> datetime | None:
    """When the sequence for a due date takes its next step after an instant, whatever was sent; ``None`` after the last."""
    steps = (start_of_day(add_days(due, each.after_days), zone) for each in policy.reminders)
    return next((at for at in steps if at > after), None)
