"""Contracts: one customer's terms."""
