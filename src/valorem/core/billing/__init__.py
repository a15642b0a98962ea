"""Billing: which periods are due, and the invoice they give."""
