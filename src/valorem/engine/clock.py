"""The clock of a workspace: real for live, moved by hand in a sandbox, with everything due done on the way."""

from dataclasses import dataclass
from datetime import datetime

from valorem.core.billing.schedule import next_due_at
from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.time import parse_grid_instant, write_instant
from valorem.engine.alerts import run_alerts
from valorem.engine.closing import CloseReport, close_due
from valorem.engine.contracts import get_contract
from valorem.engine.credits.closing import tend_credits
from valorem.engine.dunning import next_dunning_at, send_reminders
from valorem.engine.engine import Engine, Transaction
from valorem.engine.outcome_disputes import settle_silence
from valorem.store.postgres import alerts, contracts, invoices, workspaces
from valorem.store.postgres import credits as credit_store

_MOST_PERIODS = 1200


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What time it is in a workspace, and what happens next there."""

    now: datetime
    moves_by_itself: bool
    next_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class AdvanceReport:
    """How a sandbox's clock moved, and what was done on the way."""

    before: datetime
    now: datetime
    closed: CloseReport


def get_clock(tx: Transaction) -> ClockReading:
    """The workspace's time, and the next instant at which something falls due."""
    return ClockReading(tx.now, tx.workspace.kind == "live", _next_instant(tx))


def advance_clock(
    engine: Engine,
    workspace: int,
    *,
    to: datetime | None = None,
    periods: int | None = None,
    contract: str | None = None,
) -> AdvanceReport:
    """Move a sandbox's clock forward, stopping at every instant at which something falls due and doing it.

    Each stop is a transaction of its own: killed on the way, the clock stands at the last stop and the same call goes on.

    Args:
        engine: The engine.
        workspace: A sandbox's id.
        to: The instant to reach, on the quarter-hour grid.
        periods: Instead: how many period borders to reach, of one contract where given, else of any.
        contract: Whose periods.

    Raises:
        InvalidInputError: Unless exactly one of ``to`` and ``periods`` is given.
        UnprocessableError: For a live workspace, or an instant before the clock.
    """
    if (to is None) == (periods is None):
        raise InvalidInputError(
            "say where to go", field="to", hint="give either an instant or a number of periods"
        )
    with engine.transaction(workspace) as tx:
        if tx.workspace.kind == "live":
            raise UnprocessableError(
                "a live workspace follows real time",
                field="workspace",
                hint="make a sandbox to move the clock",
            )
        before = tx.now
    closed = CloseReport()
    if to is not None:
        target = parse_grid_instant(to, "to")
        if target < before:
            raise UnprocessableError(
                f"the clock already stands at {write_instant(before)}",
                field="to",
                hint="a clock only moves forward",
            )
        closed += _walk(engine, workspace, target)
    else:
        assert periods is not None
        if not 1 <= periods <= _MOST_PERIODS:
            raise InvalidInputError(f"{periods} periods", field="periods", hint=f"1 to {_MOST_PERIODS}")
        closed += close_due(engine, workspace)  # a border already reached is not one to go to
        for _ in range(periods):
            closed += _walk(engine, workspace, _next_border(engine, workspace, contract))
    while run_alerts(engine, workspace):
        pass
    with engine.transaction(workspace) as tx:
        return AdvanceReport(before, tx.now, closed)


def _walk(engine: Engine, workspace: int, target: datetime) -> CloseReport:
    """Go on to an instant, and do at each stop what falls due there: invoices first, as they read the period's credits."""
    done = last = _due(engine, workspace)
    send_reminders(engine, workspace)
    while True:
        with engine.transaction(workspace) as tx:
            reminder = next_dunning_at(tx)
            upcoming = _earliest(_next_instant(tx), reminder)
            stop = target if upcoming is None else min(max(upcoming, tx.now), target)
            if stop > tx.now:
                workspaces.move_clock(tx.connection, workspace, stop)
            elif upcoming is None or upcoming > tx.now or not last.progressed:
                return done
        last = _due(engine, workspace)
        done += last
        if reminder is not None and reminder <= stop:
            send_reminders(engine, workspace)
        if stop == target:
            return done


def _due(engine: Engine, workspace: int) -> CloseReport:
    settle_silence(engine, workspace)
    done = close_due(engine, workspace)
    tend_credits(engine, workspace)
    while run_alerts(engine, workspace, only_ends=True):
        pass
    return done


def _after(tx: Transaction, at: datetime | None) -> datetime | None:
    """An instant only where it is still to come: what has passed is looked at anyway."""
    return at if at is not None and at > tx.now else None


def _next_border(engine: Engine, workspace: int, contract: str | None) -> datetime:
    with engine.transaction(workspace) as tx:
        if contract is None:
            border = contracts.next_due_at(tx.connection, workspace)
            if border is None:
                raise NotFoundError(
                    "no contract has a period that ends", hint="give an instant with --to instead"
                )
            return max(border, tx.now)
        row = get_contract(tx, contract)
        index = row.next_index
        while (border := next_due_at(row.contract, index - 1)) is not None and border <= tx.now:
            index += 1
        if border is None:
            raise UnprocessableError(f"contract {contract} has no period left", field="contract")
        return border


def _next_instant(tx: Transaction) -> datetime | None:
    upcoming = (
        contracts.next_due_at(tx.connection, tx.workspace.id),
        invoices.next_due_at(tx.connection, tx.workspace.id),
        _after(tx, alerts.next_due_at(tx.connection, tx.workspace.id, revision=alerts.ENDS)),
        credit_store.next_tend_at(tx.connection, tx.workspace.id),
    )
    return _earliest(*upcoming)


def _earliest(*instants: datetime | None) -> datetime | None:
    return min((at for at in instants if at is not None), default=None)
