"""Prices as the catalog holds them: named ones in files of their own, and those written inside a plan."""

from typing import Any

#: What a plan says about one meter: the name of a price, a price, or a price's dated versions.
PlanPrice = Any
