"""Outcomes: results both sides can verify, as a pure fold of (signed definition, evidence, now)."""
