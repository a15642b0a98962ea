"""Insight: what revenue and customers do over time, as functions of contracts and invoices."""
