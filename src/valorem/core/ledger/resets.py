"""When the periods of an account start anew, by the calendar or by hand."""

from datetime import datetime

from valorem.core.errors import InvalidInputError
from valorem.core.ledger.burns import Reset
from valorem.core.periods import Cadence, Interval, periods_between
from valorem.core.time import write_instant


def natural_resets(
    anchor: datetime,
    every: Cadence,
    zone: str,
    since: datetime,
    until: datetime,
    *,
    keep_overage: bool = False,
) -> tuple[Reset, ...]:
    """The resets at period borders after ``since`` and up to ``until``.

    Args:
        anchor: One of the borders.
        every: The length of a period.
        zone: IANA zone whose calendar the periods follow.
        since: When the account began; no reset then.
        until: The last instant at which a reset counts.
        keep_overage: Whether usage that no credits paid for goes into the next period.
    """
    if until <= since:
        return ()
    periods = periods_between(anchor, every, zone, Interval(since, until))
    return tuple(Reset(each.full.end, keep_overage) for each in periods if each.full.end <= until)


def check_reset(at: datetime, *, since: datetime, now: datetime, last: datetime | None = None) -> Reset:
    """A reset by hand: not in the future, and not before the period it ends.

    Args:
        at: When it is to take effect.
        since: When the account began.
        now: The present.
        last: The latest reset there was.

    Raises:
        InvalidInputError: Saying which of these it lies beyond.
    """
    if at > now:
        raise InvalidInputError(
            f"{write_instant(at)} lies in the future", field="at", hint="a reset takes effect now or earlier"
        )
    begun = since if last is None else max(since, last)
    if at < begun:
        raise InvalidInputError(
            f"{write_instant(at)} lies before the period that began at {write_instant(begun)}",
            field="at",
            hint="a period that has ended cannot be reset",
        )
    if last is not None and at == last:
        raise InvalidInputError(
            f"there is a reset at {write_instant(at)} already", field="at", hint="one reset is enough"
        )
    return Reset(at)
