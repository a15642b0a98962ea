"""One alert of one customer as it stands: what it looks at, where that is, and what moves it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.alerts.thresholds import Level, Threshold
from valorem.core.numbers import ZERO, plain


@dataclass(frozen=True, slots=True)
class Feed:
    """A meter revision whose use moves an alert's level.

    Attributes:
        revision: Its id.
        most: The most that one unit moves it; None where that is not known.
        slack: By how much rounding alone may move it besides.
        wakes: Whether any use at all asks for a look (True) or none does, as a look is due soon (False); None where that
            follows from how far the level is from the thresholds.
    """

    revision: int
    most: Decimal | None
    slack: Decimal = ZERO
    wakes: bool | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """One alert as it stands.

    Attributes:
        key: Names it among the customer's.
        kind: Of the rule; ``budget`` for a budget.
        on: What it looks at.
        unit: Of its level.
        thresholds: When to tell.
        level: Where it stands.
        start: Start of its window; the beginning of time where windows move.
        end: End of its window.
        feeds: What moves it.
        additive: Whether the level is the use of one meter itself.
        re_arm: When it may tell again.
        recovered: Whether to tell of a recovery.
        lingers: Whether it is below again by too little for what was told to be over.
        next_at: When time alone may move it.
        label: What its threshold is called where that is not the threshold itself: ``7 days``.
        text: The alert in words, where the level does not say it.
        ends_at: The end that it warns of.
    """

    key: str
    kind: str
    on: str | None
    unit: str | None
    thresholds: tuple[Threshold, ...]
    level: Level
    start: datetime
    end: datetime | None
    feeds: tuple[Feed, ...] = ()
    additive: bool = True
    re_arm: str = "window"
    recovered: bool = True
    lingers: bool = False
    next_at: datetime | None = None
    label: str | None = None
    text: str | None = None
    ends_at: datetime | None = None

    @property
    def ends_next(self) -> datetime | None:
        """When something ends, or a warning of an end falls due; not merely a time to look again."""
        return self.next_at if self.kind in ("expiry", "credit_expiry", "balance", "limit") else None

    def name(self, threshold: Threshold) -> str:
        """What a threshold is called on record."""
        return self.label or str(threshold)

    def say(self, threshold: Threshold) -> str:
        """The alert in words."""
        if self.text is not None:
            return self.text
        what = f"{self.kind} {self.on}" if self.on else self.kind
        whole = f" of {plain(self.level.whole)}" if self.level.whole is not None else ""
        if self.level.left is not None:
            below = "used up" if not self.level.left else f"below {threshold}"
            return f"{what}: {below} ({plain(self.level.left)}{whole} left)"
        return f"{what}: {threshold} reached ({plain(self.level.used)}{whole})"
