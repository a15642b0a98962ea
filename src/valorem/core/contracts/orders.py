"""Orders: money promised, the dates it is invoiced on and the stretches it may be used in, as two schedules."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from valorem.core.contracts.agreed import Access, Charge, Commitment
from valorem.core.errors import InvalidInputError
from valorem.core.money import allocate
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.periods import Cadence, boundary


@exact
def instalments(
    commitment: str,
    name: str,
    total: Decimal,
    currency: str,
    dates: Sequence[datetime],
    weights: Sequence[Decimal] | None = None,
) -> tuple[Charge, ...]:
    """An order's total split over its invoice dates, to the cent: evenly, or by weights.

    Args:
        commitment: The commitment they pay for.
        name: How the lines are called.
        total: What is invoiced in all.
        currency: ISO 4217 code.
        dates: When each is invoiced, rising.
        weights: One for each date.

    Raises:
        InvalidInputError: Without a date, or with another number of weights.
    """
    if not dates or (weights is not None and len(weights) != len(dates)):
        raise InvalidInputError(
            "an order needs an invoice date, and one weight for each", field="instalments"
        )
    amounts = allocate(total, [ONE] * len(dates) if weights is None else list(weights), currency)
    return tuple(
        Charge(id=f"{commitment}_{number}", name=name, amount=amount, at=at, commitment=commitment)
        for number, (at, amount) in enumerate(zip(dates, amounts, strict=True), 1)
    )


def dates_from(start: datetime, every: Cadence, count: int, zone: str) -> tuple[datetime, ...]:
    """So many dates, one each billing interval from a start on."""
    return tuple(boundary(start, every, zone, index) for index in range(count))


def yearly_access(
    amounts: Sequence[Decimal], start: datetime, zone: str, every: Cadence | None = None
) -> tuple[Access, ...]:
    """Amounts that may be used one after the other, each for a year or another interval."""
    length = every or Cadence(1, "year")
    edges = [boundary(start, length, zone, index) for index in range(len(amounts) + 1)]
    return tuple(
        Access(amount=amount, start=edges[place], end=edges[place + 1])
        for place, amount in enumerate(amounts)
    )


def invoiced_total(charges: Sequence[Charge], commitment: str | None = None) -> Decimal:
    """What charges come to; those that pay for one commitment where it is named."""
    return sum(
        (each.amount * each.quantity for each in charges if commitment in (None, each.commitment)), ZERO
    )


@exact
def cost_basis(commitment: Commitment, charges: Sequence[Charge]) -> Decimal:
    """What one unit of the commitment costs: invoiced by usable amount; 0 where it is given away."""
    return invoiced_total(charges, commitment.id) / commitment.total


@exact
def true_up(committed: Decimal, counted: Decimal) -> Decimal:
    """What a postpaid commitment still bills at its end: what was promised less what was spent, never below zero."""
    return max(ZERO, committed - counted)
