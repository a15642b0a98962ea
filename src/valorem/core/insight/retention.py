"""How many customers stay, how many trials convert, and what a customer is worth."""

from decimal import Decimal

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ONE, ZERO, exact


@exact
def subscriber_churn(active_at_start: int, new: int, churned: int) -> Decimal:
    """The share of subscribers that left in a stretch of time, of those at its start and those that joined in it."""
    exposed = active_at_start + new
    return Decimal(churned) / exposed if exposed else ZERO


@exact
def retained(churn: Decimal, periods: int) -> tuple[Decimal, ...]:
    """The share of a cohort that is left after each of so many periods at a steady rate of churn."""
    if not 0 <= churn <= 1:
        raise InvalidInputError("a rate of churn is a share of 0 to 1", field="churn")
    return tuple((ONE - churn) ** period for period in range(1, periods + 1))


@exact
def trial_conversion(ended: int, converted: int) -> Decimal:
    """The share of ended trials that became paid."""
    return Decimal(converted) / ended if ended else ZERO


@exact
def lifetime_value(revenue_per_account: Decimal, churn: Decimal) -> Decimal | None:
    """What a customer brings over its expected life: revenue a period / churn a period; None where nobody leaves."""
    return revenue_per_account / churn if churn else None
