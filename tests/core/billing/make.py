"""Small contracts and instants for the tests of this room."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from valorem.core.contracts.contract import Contract, Dated
from valorem.core.periods import Cadence


def utc(text: str) -> datetime:
    """``2026-01-31`` or ``2026-01-31T10:00`` as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def contract(start: str = "2026-01-01", **changes: Any) -> Contract:
    """A monthly contract in UTC and USD from a day on."""
    terms: dict[str, Any] = {
        "id": "ctr_1",
        "workspace": 1,
        "customer": "acme",
        "plan": "team",
        "catalog_version": 1,
        "start": utc(start),
        "time_zone": "UTC",
        "currency": "USD",
        "every": Cadence(1, "month"),
        "anchor": utc(start),
    }
    return Contract(**{**terms, **changes})


def seats(*changes: tuple[str, int]) -> tuple[Dated, ...]:
    """Dated quantities from (day, count) pairs."""
    return tuple(Dated(utc(day), Decimal(count)) for day, count in changes)
