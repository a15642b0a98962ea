"""The enterprise order, worked out without the engine: what every invoice of the three years must come to.

It shares no code with the engine on purpose: plain loops over months, with the terms of the order as tables of their own.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_CENT = Decimal("0.01")
_VAT = Decimal("0.19")
#: (year, month) to the instalment invoiced on its first day.
INSTALMENTS: Mapping[tuple[int, int], int] = {
    (2026, 1): 100_000,
    (2026, 9): 150_000,
    (2027, 6): 125_000,
    (2028, 3): 125_000,
}
#: What of the order may be used in each year.
ACCESS: Mapping[int, int] = {2026: 100_000, 2027: 150_000, 2028: 250_000}
#: Seats and the platform fee from the 11th of July 2026 on.
EXPANDED_ON = (2026, 7, 11)
SEATS = (50, 80)
PLATFORM = (1000, 1310, 400)
SEAT_FEE = (40, 25)
DOWNGRADED = (2027, 10)
CHEAPER_FROM = (2028, 1)
MONTHS: Sequence[tuple[int, int]] = tuple((year, month) for year in ACCESS for month in range(1, 13))


@dataclass(frozen=True, slots=True)
class Expected:
    """What one invoice must come to.

    Attributes:
        net: The sum of its lines.
        tax: On it.
        drawn: What of its usage the order covers.
        used: What its usage costs before that.
    """

    net: Decimal
    tax: Decimal
    drawn: Decimal
    used: Decimal

    @property
    def total(self) -> Decimal:
        """With tax."""
        return self.net + self.tax


def tokens_used(year: int, month: int) -> int:
    """How many tokens the customer uses in a month: more every year, most in November, an odd number always."""
    base = {2026: 3_910_007, 2027: 4_150_003, 2028: 8_730_001}[year]
    return base + 211_001 * month + (4_000_009 if (year, month) == (2026, 11) else 0)


def expected_invoices() -> list[Expected]:
    """Every invoice of the order: one at its start, then one at the end of each month."""
    left = {year: Decimal(amount) for year, amount in ACCESS.items()}
    found: list[Expected] = []
    for place, (year, month) in enumerate(MONTHS):
        before = MONTHS[place - 1] if place else None
        found.append(_invoice(before, (year, month), left))
    found.append(_invoice(MONTHS[-1], None, left))
    return found


def credited(amount: Decimal) -> Decimal:
    """What a credit of so much of a line comes to with tax."""
    return amount + _rounded(amount * _VAT)


def _invoice(
    closed: tuple[int, int] | None, ahead: tuple[int, int] | None, left: dict[int, Decimal]
) -> Expected:
    net = Decimal(0)
    used = drawn = Decimal(0)
    if closed is not None:
        price = Decimal("0.0018") if closed >= CHEAPER_FROM else Decimal("0.002")
        used = _rounded(tokens_used(*closed) * price)
        drawn = min(used, left[closed[0]])
        left[closed[0]] -= drawn
        net += used - drawn + _change_within(closed)
    if ahead is not None:
        net += _fees(ahead) + INSTALMENTS.get(ahead, 0)
    return Expected(net, _rounded(net * _VAT), drawn, used)


def _fees(month: tuple[int, int]) -> Decimal:
    if month >= DOWNGRADED:
        return Decimal(PLATFORM[2] + SEATS[1] * SEAT_FEE[1])
    after = month > EXPANDED_ON[:2]
    return Decimal(PLATFORM[after] + SEATS[after] * SEAT_FEE[0])


def _change_within(month: tuple[int, int]) -> Decimal:
    """What the expansion costs for the rest of its month, line by line."""
    if month != EXPANDED_ON[:2]:
        return Decimal(0)
    days = monthrange(*month)[1]
    rest = days - EXPANDED_ON[2] + 1
    lines = (-PLATFORM[0], PLATFORM[1], (SEATS[1] - SEATS[0]) * SEAT_FEE[0])
    return sum((_rounded(Decimal(each * rest) / days) for each in lines), Decimal(0))


def _rounded(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
