"""Whether an account's row decides by itself: nothing about the account has changed beside it.

The row says the lots in the order they are used, until when time changes nothing about them, and what was counted and
written when that was true. Where any of it is not so any more, the replay is asked.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from valorem.core.ledger.holds import Hold
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.standing import Parts, Standing
from valorem.core.ledger.standing_written import read_standing
from valorem.core.time import parse_instant
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import quick_holds
from valorem.store.postgres.credits import AccountRow, Place, Written

#: Decisions of one account are at least so far apart.
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Quick:
    """An account whose row decides, as it was read.

    Attributes:
        row: The row.
        standing: What it stands at.
        policies: How credits are used up.
        at: The instant of the decision, later than every one before.
        counted: What was counted until then.
        name: What one credit is called.
    """

    row: AccountRow
    standing: Standing
    policies: CreditPolicies
    at: datetime
    counted: str
    name: str


def quick(tx: Transaction, place: Place) -> Quick | None:
    """Lock an account's row, and see whether it decides by itself; None where the replay must be asked."""
    found = quick_holds.lock(tx.connection, place)
    return None if found is None else _deciding(tx, *found)


def quick_look(tx: Transaction, place: Place) -> Quick | None:
    """The same without locking it, for who only looks; None too where the row does not say all that a balance shows."""
    found = quick_holds.read(tx.connection, place)
    looked = None if found is None else _deciding(tx, *found)
    return looked if looked is not None and looked.standing.whole else None


def quick_hold(tx: Transaction, place: Place, name: str) -> tuple[Quick, Hold, Parts] | None:
    """The same with an open hold, locked too, and from which lots it takes its credits."""
    found = quick_holds.lock_both(tx.connection, place, name)
    if found is None:
        return None
    row, written, hold, parts = found
    if not hold.open or parts is None:
        return None
    ready = _deciding(tx, row, written)
    return None if ready is None else (ready, hold, parts)


def _deciding(tx: Transaction, row: AccountRow, written: Written) -> Quick | None:
    kept = row.standing
    at = max(tx.now, row.as_of + MOMENT)
    if kept is None or row.steady_until is None or row.stamp != written.catalog or "stands" not in kept:
        return None
    if at >= row.steady_until:
        until = _steady_anyway(tx, row, kept, at)
        if until is None:
            return None
        row = replace(row, steady_until=until)
    counted = _counted(tx, row, kept, written.counted)
    if counted is None:
        return None
    standing = read_standing(kept["stands"], available=row.available, held=row.held, overage=row.overage)
    return Quick(row, standing, CreditPolicies.model_validate(kept["policies"]), at, counted, kept["name"])


def _steady_anyway(tx: Transaction, row: AccountRow, kept: Any, at: datetime) -> datetime | None:
    """Until when time changes nothing, where holds were resolved whose end was waited for; None where one has ended."""
    border = parse_instant(kept["border"])
    if at >= border:
        return None
    first = quick_holds.first_expiry(tx.connection, row.place, parse_instant(kept["replayed"]))
    if first is None:
        return border
    return min(border, first) if first > at else None


def _counted(tx: Transaction, row: AccountRow, kept: Any, counted: str) -> str | None:
    """What was counted until now, where none of it is this customer's; None where there may be some."""
    seen, _, sums = row.counted.partition(" ")
    if seen == counted:
        return row.counted
    now = store.counted(
        tx.connection,
        tx.workspace.id,
        kept["subjects"],
        kept["revisions"],
        parse_instant(kept["since"]),
    )
    return f"{counted} {sums}" if now == sums else None
