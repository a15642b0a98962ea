"""Amounts as Stripe counts them: whole numbers of a unit that is not always the currency's own minor unit."""

from decimal import Decimal

from valorem.core.money import minor_digits
from valorem.core.numbers import exact, plain
from valorem.core.payments.provider import ProviderRefusedError

#: Counted in whole units although ISO 4217 gives them hundredths.
_WHOLE = frozenset(("MGA",))
#: Counted in hundredths although ISO 4217 gives them none; the hundredths must be zero.
_HUNDREDTHS = frozenset(("ISK", "UGX"))


@exact
def to_stripe(amount: Decimal, currency: str) -> int:
    """The whole number that Stripe is sent for an amount.

    Raises:
        ProviderRefusedError: For an amount that Stripe cannot charge: a thousandth that is no multiple of ten, part of a unit
            that it only counts whole.
    """
    counted = amount.scaleb(_digits(currency))
    step = 10 if minor_digits(currency) == 3 else 1
    if counted != counted.to_integral_value() or counted % step:
        raise ProviderRefusedError(
            f"Stripe cannot charge {plain(amount)} {currency}",
            field="amount",
            hint="it takes hundredths at most, and whole units of some currencies",
        )
    return int(counted)


@exact
def from_stripe(counted: int, currency: str) -> Decimal:
    """The amount that a whole number from Stripe stands for."""
    return Decimal(counted).scaleb(-_digits(currency))


def _digits(currency: str) -> int:
    if currency in _WHOLE:
        return 0
    return 2 if currency in _HUNDREDTHS else minor_digits(currency)
