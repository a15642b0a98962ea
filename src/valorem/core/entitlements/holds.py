"""Quota holds: use of a metered feature reserved before the work, taken by the use itself or given back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.entitlements.limits import Limit
from valorem.core.errors import ConflictError, UnprocessableError
from valorem.core.numbers import ZERO, exact

_NONE: Mapping[str, str] = {}
State = Literal["held", "settled", "released", "expired"]


@dataclass(frozen=True, slots=True)
class QuotaHold:
    """Use that is reserved: nobody else's check may have it.

    Attributes:
        id: The caller's own.
        feature: Which feature.
        quantity: How much, in the unit of the feature's meter.
        at: When it was placed.
        expires: From when it reserves nothing any more.
        dimensions: Whose use it will be.
        state: ``held``; ``settled`` by the use it was for, ``released``, or ``expired``.
        resolved_at: When it stopped holding by one of the first two.
    """

    id: str
    feature: str
    quantity: Decimal
    at: datetime
    expires: datetime
    dimensions: Mapping[str, str] = field(default_factory=lambda: _NONE)
    state: State = "held"
    resolved_at: datetime | None = None

    def holds_at(self, at: datetime) -> bool:
        """Whether it still reserves anything."""
        return self.state == "held" and at < self.expires

    def seen_at(self, at: datetime) -> "QuotaHold":
        """The same, expired where its time is over."""
        expired = self.state == "held" and at >= self.expires
        return replace(self, state="expired", resolved_at=self.expires) if expired else self


#: What is reserved, and whose use it will be.
Held = Sequence[tuple[Mapping[str, str], Decimal]]


@exact
def held_under(limit: Limit, held: Held, dimensions: Mapping[str, str]) -> Decimal:
    """What is reserved under a limit: of the value asked for where it holds for each, without what is zero-rated."""
    return sum((quantity for values, quantity in held if _counts(limit, values, dimensions)), ZERO)


def _counts(limit: Limit, values: Mapping[str, str], dimensions: Mapping[str, str]) -> bool:
    if limit.each is not None and values.get(limit.each) != dimensions.get(limit.each):
        return False
    if any(values.get(name) in free for name, free in limit.zero_rated.items()):
        return False
    # A hold that does not say which value it will have may have one that counts.
    return all(name not in values or values[name] in wanted for name, wanted in limit.where.items())


def open_holds(holds: Iterable[QuotaHold], at: datetime) -> list[QuotaHold]:
    """Those that reserve something."""
    return [one for one in holds if one.holds_at(at)]


def check_same(known: QuotaHold, feature: str, quantity: Decimal, dimensions: Mapping[str, str]) -> None:
    """Refuse an id that was used for something else.

    Raises:
        ConflictError: Naming ``hold.id``.
    """
    if (known.feature, known.quantity, dict(known.dimensions)) != (feature, quantity, dict(dimensions)):
        raise ConflictError(
            f"hold {known.id[:60]!r} was placed for something else",
            field="hold.id",
            hint="give a new hold a new id",
        )


def release(hold: QuotaHold, at: datetime) -> QuotaHold:
    """Give back what it reserves; releasing it again changes nothing.

    Raises:
        ConflictError: If it was settled.
        UnprocessableError: If it has expired.
    """
    seen = hold.seen_at(at)
    if seen.state == "settled":
        raise ConflictError(f"hold {hold.id[:60]!r} was settled", field="hold")
    if seen.state == "expired":
        raise UnprocessableError(
            f"hold {hold.id[:60]!r} has expired", field="hold", hint="there is nothing to give back any more"
        )
    return seen if seen.state == "released" else replace(seen, state="released", resolved_at=at)


def settle(hold: QuotaHold, at: datetime) -> QuotaHold:
    """Let the use it was for take its place."""
    return replace(hold, state="settled", resolved_at=at)
