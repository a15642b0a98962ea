"""Metering: events, filters and aggregations as mergeable states."""
