"""Short ways to write facts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings

from valorem.core.ledger.burns import Burn
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.scope import Workload

#: A property is not a matter of time, least of all on a busy machine.
UNTIMED = settings(deadline=None)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at(hours: float) -> datetime:
    return START + HOUR * hours


def grant(name: str, amount: int | str, begins: float = 0, ends: float | None = None, **more: Any) -> Grant:
    expires = None if ends is None else at(ends)
    return Grant(name, Decimal(amount), at(begins), expires=expires, **more)


def burn(hours: float, amount: int | str, key: str = "use", **work: Any) -> Burn:
    return Burn(at(hours), key, Decimal(amount), Workload(**work))
