"""Small builders shared by the pricing tests."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from valorem.core.metering.measured import Measured
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.lines import Rated, Segment
from valorem.core.pricing.pipeline import rate
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies
from valorem.core.pricing.price import Price

START, MIDDLE, END = (datetime(2026, 3, day, tzinfo=UTC) for day in (1, 16, 31))


def price(**fields: Any) -> Price:
    return Price.model_validate(fields)


def version(**fields: Any) -> PriceBase:
    return price(**fields).versions[0]


def used(quantity: Any, events: int = 1, **dimensions: str | None) -> Measured:
    return Measured(dimensions, Decimal(str(quantity)), events)


def month(*measured: Measured) -> list[Segment]:
    return [Segment(START, END, measured)]


def rated(
    fields: dict[str, Any],
    *measured: Measured,
    currency: str = "USD",
    policies: PricePolicies = DEFAULT_POLICIES,
) -> Rated:
    return rate(price(**fields), month(*measured), currency=currency, meter="m", policies=policies)


def rows(*expected: Any) -> Any:
    """Expected rows; whole numbers may stand for decimals."""
    return list(expected)
