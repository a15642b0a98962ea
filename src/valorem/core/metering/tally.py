"""Tallies: what a counter holds. Merging is commutative and associative, so arrival order can never matter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

import msgspec

from valorem.core.errors import UnprocessableError
from valorem.core.metering.aggregation import Aggregation
from valorem.core.metering.event import EPOCH
from valorem.core.numbers import EXACT, MAX_FRACTION_DIGITS, ONE, ZERO

_NOTHING: Mapping[str, int] = {}
_QUANTUM = ONE.scaleb(-MAX_FRACTION_DIGITS)
_add = EXACT.add
_subtract = EXACT.subtract


class Tally(msgspec.Struct, frozen=True, gc=False):
    """The mergeable state of one counter; components an aggregation does not need stay empty.

    Attributes:
        n: Readings counted.
        total: Σ value.
        moment: Σ value · epoch seconds of the event's time.
        low: Least value, or ``None``.
        high: Greatest value, or ``None``.
        last: Value of the latest event, or ``None``.
        last_at: That event's time.
        last_key: Breaks ties of ``last_at``: the sender's sequence, then the event's identity.
        values: Distinct text values with how often each was seen.
    """

    n: int = 0
    total: Decimal = ZERO
    moment: Decimal = ZERO
    low: Decimal | None = None
    high: Decimal | None = None
    last: Decimal | None = None
    last_at: datetime | None = None
    last_key: bytes = b""
    values: Mapping[str, int] = _NOTHING


#: The tally of no readings, the neutral element of :func:`merge`.
EMPTY = Tally()
#: One event, of a meter without a value.
ONCE = Tally(1)


def epoch_s(at: datetime) -> Decimal:
    """Seconds since 1970-01-01T00:00:00Z, exact to the microsecond."""
    since = at - EPOCH
    return Decimal((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds).scaleb(-6, EXACT)


def point(aggregation: Aggregation, value: Decimal | str, at: datetime, key: bytes) -> Tally:
    """The tally of one reading.

    Args:
        aggregation: Which components to keep.
        value: The reading's value: text for ``unique``, a number otherwise.
        at: The event's time.
        key: :attr:`Event.order <valorem.core.metering.event.Event.order>` followed by the event's identity bytes.
    """
    if isinstance(value, str):
        return Tally(1, values={value: 1} if aggregation.values else _NOTHING)
    if aggregation.last:
        return Tally(1, last=value, last_at=at, last_key=key)
    return Tally(
        1,
        value if aggregation.total else ZERO,
        EXACT.multiply(value, epoch_s(at)) if aggregation.moment else ZERO,
        value if aggregation.low else None,
        value if aggregation.high else None,
    )


def add(aggregation: Aggregation, tally: Tally, value: Decimal | str, at: datetime, key: bytes) -> Tally:
    """The tally with one reading more."""
    if aggregation.valueless:
        return Tally(tally.n + 1) if tally.n else ONCE
    if aggregation.total and not aggregation.moment and not isinstance(value, str):
        return Tally(tally.n + 1, _add(tally.total, value) if tally.n else value)
    return merge(tally, point(aggregation, value, at, key))


def fold(aggregation: Aggregation, readings: Iterable[tuple[Decimal | str, datetime, bytes]]) -> Tally:
    """The tally of many readings ``(value, at, key)``; the same for any order of them."""
    if aggregation.values:
        n, counts = 0, dict[str, int]()
        for value, _, _ in readings:
            n += 1
            counts[value] = counts.get(value, 0) + 1  # type: ignore[index, arg-type]
        return Tally(n, values=counts)
    tally = EMPTY
    for value, at, key in readings:
        tally = add(aggregation, tally, value, at, key)
    return tally


def merge(a: Tally, b: Tally) -> Tally:
    """The tally of the readings of both. Commutative and associative; :data:`EMPTY` is neutral."""
    if a.n == 0:
        return b
    if b.n == 0:
        return a
    low, high, late = a.low, a.high, a
    if b.low is not None and (low is None or b.low < low):
        low = b.low
    if b.high is not None and (high is None or b.high > high):
        high = b.high
    if b.last_at is not None and (a.last_at is None or (b.last_at, b.last_key) > (a.last_at, a.last_key)):
        late = b
    values = a.values
    if b.values:
        counts = dict(values)
        for value, count in b.values.items():
            counts[value] = counts.get(value, 0) + count
        values = counts
    return Tally(
        a.n + b.n,
        _add(a.total, b.total),
        _add(a.moment, b.moment),
        low,
        high,
        late.last,
        late.last_at,
        late.last_key,
        values,
    )


def subtract(a: Tally, b: Tally) -> Tally:
    """The tally of ``a`` without the readings of ``b``, which it must contain.

    Raises:
        UnprocessableError: When the tally keeps a least, greatest or latest value (recount the quarter hour instead),
            or does not contain ``b``.
    """
    if b.n == 0:
        return a
    if b.low is not None or b.high is not None or b.last_at is not None:
        raise UnprocessableError("a least, greatest or latest value cannot be subtracted", hint="recount it")
    values = dict(a.values)
    for value, count in b.values.items():
        left = values.pop(value, 0) - count
        if left < 0:
            raise UnprocessableError(f"the tally does not hold {value!r} {count} times")
        if left:
            values[value] = left
    if a.n < b.n:
        raise UnprocessableError(f"the tally holds {a.n} readings, {b.n} cannot be subtracted")
    return Tally(a.n - b.n, _subtract(a.total, b.total), _subtract(a.moment, b.moment), values=values)


def value(
    aggregation: Aggregation, tally: Tally, start: datetime, end: datetime, *, before: Tally = EMPTY
) -> Decimal:
    """The quantity of an interval ``[start, end)``; zero where nothing was counted.

    Args:
        aggregation: Of the meter.
        tally: Merged from the counters of the interval.
        start: Its start; only ``time_weighted_sum`` looks at it.
        end: Its end, likewise.
        before: For ``time_weighted_sum`` the merged counters of all time before ``start``: the level carried in.

    Returns:
        In the meter's unit. An average is rounded to 12 decimals; a time-weighted sum is in level-seconds,
        ``∫ level dt = (T·b - M) - (T₀·a - M₀)`` with totals T and moments M of the changes before b, and before a.

    Raises:
        UnprocessableError: For a percentile, which has no mergeable state: see :func:`percentile`.
    """
    if aggregation.needs_events:
        raise UnprocessableError(
            f"a {aggregation.name} has no mergeable state", hint="compute it from the recorded events"
        )
    if aggregation.moment:
        return level_seconds(merge(before, tally), end, before, start)
    if aggregation.name == "average":
        if tally.n == 0:
            return ZERO
        return EXACT.divide(tally.total, Decimal(tally.n)).quantize(_QUANTUM, ROUND_HALF_UP, EXACT)
    if aggregation.values:
        return Decimal(len(tally.values))
    if aggregation.valueless:
        return Decimal(tally.n)
    if aggregation.total:
        return tally.total
    found = tally.low if aggregation.low else tally.high if aggregation.high else tally.last
    return ZERO if found is None else found


def level_seconds(until: Tally, end: datetime, before: Tally, start: datetime) -> Decimal:
    """∫ level dt over ``[start, end)`` in level-seconds, from the changes before ``end`` and those before ``start``."""
    return _subtract(_area(until, end), _area(before, start))


def _area(changes: Tally, at: datetime) -> Decimal:
    return _subtract(EXACT.multiply(changes.total, epoch_s(at)), changes.moment)


def percentile(values: Sequence[Decimal], share: Decimal) -> Decimal:
    """The exact nearest-rank percentile: the ⌈share·n⌉-th smallest of n recorded values; zero of none.

    Args:
        values: Every recorded value, in any order.
        share: Above 0 and at most 1: 0.95 for the 95th percentile.
    """
    if not values:
        return ZERO
    rank = int(EXACT.multiply(share, Decimal(len(values))).to_integral_value(ROUND_CEILING))
    return sorted(values)[max(rank, 1) - 1]
