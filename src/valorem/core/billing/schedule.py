"""When a contract is billed: its borders, which of them are due, and what the invoice at each one covers.

Borders are numbered from the contract's start, which is border 0; period ``n`` lies between borders ``n`` and ``n + 1``.
The invoice at border ``n`` closes period ``n - 1`` (usage, fees in arrears) and bills period ``n`` ahead.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from valorem.core.contracts.contract import Contract, Leg
from valorem.core.errors import InvalidInputError
from valorem.core.periods import Cadence, Interval, Period, boundary, index_at
from valorem.core.time import write_instant

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cover:
    """What the invoice at one border covers.

    Attributes:
        boundary_index: The border's number.
        at: Its instant.
        closed: The period it closes; ``None`` at the start, or where the zone skipped the period.
        ahead: The period it bills in advance; ``None`` at the contract's end.
        final: Whether the contract ends here.
    """

    boundary_index: int
    at: datetime
    closed: Period | None
    ahead: Period | None
    final: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """The periods of one billing interval: from grid index ``first`` on, numbered from ``offset`` in the contract."""

    start: datetime
    stop: datetime | None
    every: Cadence
    anchor: datetime
    zone: str
    first: int
    offset: int

    def grid_index(self, at: datetime) -> int:
        return index_at(self.anchor, self.every, self.zone, at)

    def index_at(self, at: datetime) -> int:
        return self.grid_index(at) - self.first + self.offset

    def edge(self, index: int) -> datetime:
        return boundary(self.anchor, self.every, self.zone, index - self.offset + self.first)

    @property
    def following(self) -> int | None:
        """The number after its last period; ``None`` where it is open-ended."""
        return None if self.stop is None else self.index_at(self.stop - _INSTANT) + 1


def contract_boundary(contract: Contract, index: int) -> datetime:
    """The contract's border of that number: its start, the ends of its periods, at last its end.

    Raises:
        InvalidInputError: Before the start or past the end.
    """
    last = final_boundary(contract)
    if index < 0 or (last is not None and index > last):
        raise InvalidInputError(
            f"contract {contract.id} has no border {index}",
            field="boundary_index",
            hint=f"its borders are numbered 0 to {last}" if last is not None else "the first one is 0",
        )
    return _border(contract, index)


def contract_period(contract: Contract, index: int) -> Period | None:
    """The contract's period of that number; nothing outside, or where the zone skipped it.

    It is cut at the contract's start and end, and where its billing interval changes.
    """
    return contract.once(("period", index), lambda: _period(contract, index))


def _period(contract: Contract, index: int) -> Period | None:
    last = final_boundary(contract)
    if index < 0 or (last is not None and index >= last):
        return None
    run = _run_of(contract, index)
    start, end = run.edge(index), run.edge(index + 1)
    if start >= end or end <= run.start or (run.stop is not None and start >= run.stop):
        return None
    full = Interval(start, end)
    inside = full.overlap(Interval(run.start, run.stop or end))
    return Period(index, inside, full) if inside else None


def period_index_at(contract: Contract, at: datetime) -> int:
    """The number of the period that holds an instant.

    Raises:
        InvalidInputError: Before the contract's start, or at or after its end.
    """
    if at < contract.start or (contract.end is not None and at >= contract.end):
        raise InvalidInputError(
            f"contract {contract.id} does not run at {write_instant(at)}",
            field="at",
            hint=f"it runs from {write_instant(contract.start)}"
            + (f" to {write_instant(contract.end)}" if contract.end else ""),
        )
    return _index_at(contract, at)


def final_boundary(contract: Contract) -> int | None:
    """The number of the border at the contract's end; ``None`` where it is open-ended."""
    return _runs(contract)[-1].following


def cover(contract: Contract, index: int) -> Cover:
    """What the invoice at a border closes and bills ahead.

    Raises:
        InvalidInputError: Before the start or past the end.
    """
    return Cover(
        index,
        contract_boundary(contract, index),
        contract_period(contract, index - 1),
        contract_period(contract, index),
        index == final_boundary(contract),
    )


def due(contract: Contract, closed_through: int, now: datetime, grace_s: int = 0) -> range:
    """The borders whose invoices should exist by now and do not.

    Args:
        contract: The contract.
        closed_through: The last border that has its invoice; -1 where none has.
        now: The workspace's clock.
        grace_s: How long a border waits for usage that is still on its way. The start has none to wait for.
    """
    if now < contract.start:
        return range(0)
    waited = now - timedelta(seconds=grace_s)
    last = final_boundary(contract)
    if last is not None and contract.end is not None and waited >= contract.end:
        reached = last
    elif waited < contract.start:
        reached = 0
    else:
        reached = _index_at(contract, waited)
    return range(closed_through + 1, reached + 1)


def next_due_at(contract: Contract, closed_through: int, grace_s: int = 0) -> datetime | None:
    """When the next invoice falls due, for a worker that sleeps until then; ``None`` after the final one."""
    index, last = closed_through + 1, final_boundary(contract)
    if last is not None and index > last:
        return None
    return _border(contract, index) + timedelta(seconds=grace_s if index else 0)


def late_periods(contract: Contract, index: int, accept_window_s: int) -> range:
    """The closed periods before the one a border closes that may have got usage since the border before it.

    Usage is accepted for ``accept_window_s`` after its time, so only periods that ended within that window before the
    previous border can have changed; recorded data loaded on purpose (a backfill) names its own periods.
    """
    if index < 2:
        return range(0)
    since = _border(contract, index - 1) - timedelta(seconds=accept_window_s)
    if since < contract.start:
        return range(index - 1)
    return range(_index_at(contract, since), index - 1)


def _border(contract: Contract, index: int) -> datetime:
    run = _run_of(contract, index)
    if index <= run.offset:
        return run.start
    return min(run.edge(index), run.stop) if run.stop is not None else run.edge(index)


def _index_at(contract: Contract, at: datetime) -> int:
    found, *later = _runs(contract)
    for run in later:
        if run.start > at:
            break
        found = run
    return found.index_at(at)


def _run_of(contract: Contract, index: int) -> _Run:
    """The run that the period of a number belongs to; for the border at the contract's end the last one."""
    found, *later = _runs(contract)
    for run in later:
        if run.offset > index:
            break
        found = run
    return found


def _runs(contract: Contract) -> tuple[_Run, ...]:
    return contract.once(
        "runs",
        lambda: _runs_of(
            contract.start, contract.end, contract.every, contract.anchor, contract.time_zone, contract.legs
        ),
    )


@lru_cache(maxsize=4096)
def _runs_of(
    start: datetime, end: datetime | None, every: Cadence, anchor: datetime, zone: str, legs: tuple[Leg, ...]
) -> tuple[_Run, ...]:
    rows = [Leg(start, every, anchor), *(leg for leg in legs if end is None or leg.since < end)]
    stops = [*(leg.since for leg in rows[1:]), end]
    runs: list[_Run] = []
    offset: int | None = 0
    for (since, interval, counted_from), stop in zip(rows, stops, strict=True):
        assert offset is not None  # only the last run is open-ended
        first = index_at(counted_from, interval, zone, since)
        run = _Run(since, stop, interval, counted_from, zone, first, offset)
        offset = run.following
        runs.append(run)
    return tuple(runs)
