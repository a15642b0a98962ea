"""Burns and resets: what uses credits up, and when a period starts anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.ledger.scope import UNSPECIFIED, Workload
from valorem.core.numbers import ZERO, exact


@dataclass(frozen=True, slots=True)
class Burn:
    """Credits used up: those of one quarter hour of one combination of dimensions, or of a single act.

    A burn of a quarter hour stands at its start. Grants start and end on that grid, so no grant begins or ends inside it.

    Attributes:
        at: When.
        key: Names it among the burns of an instant; with ``at`` unique in the account. Burns of one instant are paid in
            the order of their keys.
        amount: Credits; negative for a correction, which gives back what was drawn last.
        work: What they were used for.
        purpose: Use, or an operator taking credits back.
    """

    at: datetime
    key: str
    amount: Decimal
    work: Workload = UNSPECIFIED
    purpose: Literal["use", "void"] = "use"


@dataclass(frozen=True, slots=True)
class Reset:
    """A period of the account ends and another begins.

    Attributes:
        at: When.
        keep_overage: Whether usage that no credits paid for is taken into the new period.
    """

    at: datetime
    keep_overage: bool = False


@exact
def adjustments(billed: Iterable[Burn], now: Iterable[Burn], closed_at: datetime) -> tuple[Burn, ...]:
    """What changed in a closed period, as burns at its end: all usage now − what was drawn when it was closed.

    Args:
        billed: The burns of the period as they were when it was closed.
        now: The burns of the same period as they are now, late events and corrections included.
        closed_at: The end of the closed period, from which the differences are drawn.
    """
    difference: dict[tuple[datetime, str], Decimal] = {}
    works: dict[tuple[datetime, str], Burn] = {}
    for sign, burns in ((-1, billed), (1, now)):
        for burn in burns:
            place = burn.at, burn.key
            difference[place] = difference.get(place, ZERO) + sign * burn.amount
            works[place] = burn
    return tuple(
        Burn(closed_at, f"{works[place].key} late {place[0].isoformat()}", amount, works[place].work)
        for place, amount in sorted(difference.items())
        if amount
    )


@exact
def total(burns: Iterable[Burn]) -> Decimal:
    """Credits of all burns together."""
    return sum((burn.amount for burn in burns), ZERO)


@exact
def by_workload(burns: Iterable[tuple[Workload, Decimal]], dimension: str) -> Mapping[str | None, Decimal]:
    """Credits by the values of one thing said of the work: ``meter``, ``product``, ``member`` or a dimension."""
    sums: dict[str | None, Decimal] = {}
    for work, amount in burns:
        value = (
            getattr(work, dimension)
            if dimension in ("meter", "product", "member")
            else work.dimensions.get(dimension)
        )
        sums[value] = sums.get(value, ZERO) + amount
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0] or "")))
