"""Payments through Stripe; needs the extra ``payments``."""

from valorem.integrations.stripe.provider import StripePayments

__all__ = ["StripePayments"]
