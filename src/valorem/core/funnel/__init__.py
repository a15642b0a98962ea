"""The funnel: how customers get from signing up to paying, and where they stop."""
