"""The average price of a unit, for display; never used to compute an amount."""

from decimal import Decimal

from valorem.core.numbers import ZERO, exact


@exact
def effective_unit_amount(amount: Decimal, quantity: Decimal) -> Decimal:
    """Amount / quantity; zero where nothing was used."""
    return amount / quantity if quantity else ZERO
