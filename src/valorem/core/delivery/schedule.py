"""When a notice that was not taken is sent again: the schedule of the Standard Webhooks specification, with jitter."""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: Seconds before the first attempt, the second, and so on: 75 hours and 35 minutes in all.
SCHEDULE_S = (0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: A receiver may ask for a pause; not for a longer one than this.
LONGEST_PAUSE_S = 86_400
BREAKS_AFTER = 5
_FIRST_BREAK_S = 30
_LONGEST_BREAK_S = 3600
#: A receiver that took nothing for so long is not called any more.
DISABLED_AFTER = timedelta(days=5)


def next_attempt_at(
    attempts: int, now: datetime, chance: float, retry_after_s: int | None = None
) -> datetime | None:
    """When to try again; None where enough was tried.

    Args:
        attempts: How many there were.
        now: When the last one failed.
        chance: From 0 to 1, drawn anew each time; spreads receivers that failed together from half to one and a half of
            the pause.
        retry_after_s: What the receiver asked for; never made shorter.
    """
    if attempts >= len(SCHEDULE_S):
        return None
    pause_s = SCHEDULE_S[attempts] * (0.5 + chance)
    if retry_after_s is not None:
        pause_s = max(pause_s, min(retry_after_s, LONGEST_PAUSE_S))
    return now + timedelta(seconds=pause_s)


@dataclass(frozen=True, slots=True)
class Health:
    """How a receiver has been doing.

    Attributes:
        failures: In a row.
        failing_since: The first of them.
        open_until: The breaker lets nothing through before; after it one at a time until one succeeds.
    """

    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None

    def after_success(self) -> "Health":
        """Everything is forgiven."""
        return Health()

    def after_failure(self, now: datetime) -> "Health":
        """One more; from the fifth on the breaker opens, each time for twice as long."""
        failures = self.failures + 1
        open_until = None
        if failures >= BREAKS_AFTER:
            pause_s = min(_FIRST_BREAK_S * 2 ** min(failures - BREAKS_AFTER, 20), _LONGEST_BREAK_S)
            open_until = now + timedelta(seconds=pause_s)
        return Health(failures, self.failing_since or now, open_until)

    def at_once(self, now: datetime, most: int) -> int:
        """How many may be sent at once."""
        if self.open_until is not None and now < self.open_until:
            return 0
        return 1 if self.failures >= BREAKS_AFTER else most

    def is_hopeless(self, now: datetime) -> bool:
        """Whether it has failed for so long that nothing more is sent."""
        return self.failing_since is not None and now - self.failing_since >= DISABLED_AFTER


def digest_at(digest: str, at: datetime) -> datetime:
    """When what happens now is told: at once, at the next full hour, or at the next 08:00 UTC."""
    if digest == "hourly":
        return at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    if digest == "daily":
        morning = at.replace(hour=8, minute=0, second=0, microsecond=0)
        return morning if at < morning else morning + timedelta(days=1)
    return at
