"""Alerts: thresholds on use, spend and time, each crossed once in its window."""
