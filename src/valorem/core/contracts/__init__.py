"""Contracts: one customer's terms, and what share of a period a part of it is."""
