"""What a meter measured: the one value that pricing takes from metering."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Measured:
    """One meter's usage over one interval, for one combination of its dimensions.

    Attributes:
        dimensions: Dimension name to value; ``None`` where the event had no such value.
        quantity: The aggregated value in the meter's unit (for ``count`` the number of events).
        events: How many events stand behind it.
        values: The value of each event in order of time, given only where a price counts free events off.
    """

    dimensions: Mapping[str, str | None]
    quantity: Decimal
    events: int
    values: tuple[Decimal, ...] = ()
