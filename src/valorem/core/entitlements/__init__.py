"""Entitlements: what a customer may do now, how much of it is left, and who says so."""
