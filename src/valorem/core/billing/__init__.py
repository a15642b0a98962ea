"""Billing: what is due when, what usage it needs, and the invoice that follows from it."""
