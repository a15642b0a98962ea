"""When credits run out at the pace of late, their ends taken into account."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from valorem.core.ledger.account import Account
from valorem.core.ledger.burns import Burn, total
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Forecast:
    """What happens if usage goes on as it did.

    Attributes:
        per_day: Credits used a day of late, to six decimals.
        runs_out_at: When nothing is left; ``None`` where that never happens.
        days_left: Until then, to two decimals, rounded down.
        lost: Credits that will have expired unused by then, to six decimals.
    """

    per_day: Decimal
    runs_out_at: datetime | None
    days_left: Decimal | None
    lost: Decimal


@dataclass(slots=True)
class _Left:
    end: datetime | None
    amount: Decimal


@exact
def forecast(account: Account, recent: Iterable[Burn], over: Interval) -> Forecast:
    """Let the run rate of an interval go on, taking credits in burn order and losing what ends before it is used.

    Args:
        account: As it is now; what is held counts as used.
        recent: Burns; those outside ``over`` are left out.
        over: The interval the run rate is taken from, such as the last seven days.
    """
    used = total(burn for burn in recent if burn.at in over and burn.purpose == "use")
    found = _ahead(account, max(used, ZERO) * Decimal(86_400) / over.seconds())
    return replace(found, per_day=_shown(found.per_day), lost=_shown(found.lost))


def _ahead(account: Account, per_day: Decimal) -> Forecast:
    lots = [_Left(lot.end, lot.remaining) for lot in account.lots if lot.remaining and not lot.ended]
    ends = sorted({lot.end for lot in lots if lot.end is not None})
    now, lost = account.at, ZERO
    for until in (*ends, None):
        left = sum((lot.amount for lot in lots), ZERO)
        if not left or (until is None and per_day == 0):
            break
        need = per_day * _days(now, until) if until is not None else left
        if need >= left and per_day:
            return _depleted(account.at, now, left, per_day, lost)
        lost += _pass(lots, need, until)
        now = until or now
    if any(lot.amount for lot in lots):
        return Forecast(per_day, None, None, lost)
    return Forecast(per_day, now, _rounded(_days(account.at, now)), lost)


@exact
def uncovered_until(account: Account, per_day: Decimal, until: datetime) -> Decimal:
    """Credits that will be missing at an instant if so many are used a day and none are added: used − what is left for them.

    Args:
        account: As it is now; what is held counts as used.
        per_day: Credits used a day, zero or more.
        until: After the account's instant.
    """
    lots = [_Left(lot.end, lot.remaining) for lot in account.lots if lot.remaining and not lot.ended]
    ends = sorted({lot.end for lot in lots if lot.end is not None and account.at < lot.end < until})
    now, missing = account.at, ZERO
    for end in (*ends, until):
        need = per_day * _days(now, end)
        left = sum((lot.amount for lot in lots), ZERO)
        missing += max(need - left, ZERO)
        _pass(lots, min(need, left), end)
        now = end
    return missing


def _depleted(at: datetime, now: datetime, left: Decimal, per_day: Decimal, lost: Decimal) -> Forecast:
    days = left / per_day
    longest = Decimal(3650 * 100)
    if days > longest:
        return Forecast(per_day, None, None, lost)
    runs_out = now + timedelta(microseconds=int(days * _DAY_US))
    return Forecast(per_day, runs_out, _rounded(_days(at, runs_out)), lost)


def _pass(lots: list[_Left], need: Decimal, until: datetime | None) -> Decimal:
    """Use credits in order, then end the lots whose end has come; the credits lost with them."""
    lost = ZERO
    for lot in lots:
        take = min(need, lot.amount)
        need -= take
        lot.amount -= take
        if until is not None and lot.end == until:
            lost += lot.amount
            lot.amount = ZERO
    return lost


def _days(start: datetime, end: datetime | None) -> Decimal:
    assert end is not None
    return Decimal((end - start) // timedelta(microseconds=1)) / _DAY_US


def _shown(credits_: Decimal) -> Decimal:
    return credits_.quantize(Decimal("0.000001"), rounding=ROUND_HALF_UP)


def _rounded(days: Decimal) -> Decimal:
    return days.quantize(Decimal("0.01"), rounding=ROUND_DOWN)
