"""Holds decided by the account's row alone, in constant time, while nothing about the account has changed beside them.

The row says the lots in the order they are used, until when time changes nothing about them, and what was counted and
written when that was true. Where any of it is not so any more, nothing is decided here and the replay is asked.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from valorem.core.ledger import holds as core
from valorem.core.ledger import standing as lots
from valorem.core.ledger.account import Account
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.recharge import RechargeState
from valorem.core.ledger.scope import Workload
from valorem.core.ledger.standing import Parts, Standing
from valorem.core.numbers import plain
from valorem.core.time import parse_instant, write_instant
from valorem.engine.credits.accounts import Book
from valorem.engine.credits.telling import tell
from valorem.engine.credits.waking import steady_until
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import holds, quick_holds
from valorem.store.postgres.credits import AccountRow, Place
from valorem.store.postgres.top_ups import TopUp

_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Quick:
    """An account whose row decides, locked until the transaction ends.

    Attributes:
        row: The row.
        standing: What it stands at.
        policies: How credits are used up.
        at: The instant of the decision, later than every one before.
        counted: What was counted until then.
    """

    row: AccountRow
    standing: Standing
    policies: CreditPolicies
    at: datetime
    counted: str


def quick(tx: Transaction, place: Place) -> Quick | None:
    """Lock an account's row, and see whether it decides by itself; None where the replay must be asked."""
    found = quick_holds.lock(tx.connection, place)
    if found is None:
        return None
    row, written = found
    kept = row.standing
    at = max(tx.now, row.as_of + _MOMENT)
    if kept is None or row.steady_until is None or at >= row.steady_until or row.stamp != written.catalog:
        return None
    counted = _counted(tx, row, kept, written.counted)
    if counted is None:
        return None
    standing = Standing(lots.read_lots(kept["lots"]), row.held, row.overage, Decimal(kept["granted"]))
    return Quick(row, standing, CreditPolicies.model_validate(kept["policies"]), at, counted)


def place_quickly(
    tx: Transaction, account: Quick, name: str, amount: Decimal, lasts: timedelta, work: Workload
) -> tuple[Hold, Standing] | None:
    """Decide a new hold; None where the replay must be asked: for a refusal too, as that is to be told exactly."""
    hold = core.hold(
        name,
        amount,
        available=account.standing.admits(work, account.policies),
        now=account.at,
        lasts=lasts,
        work=work,
        policies=account.policies,
    )
    if not hold.open:
        return None
    hold = replace(hold, expires=max(tx.now + lasts, account.at + _MOMENT))
    after, parts = lots.place(account.standing, amount, work)
    if not _keeps_quiet(account, after):
        return None
    row = _moved(account, after, hold.expires)
    if not quick_holds.place_hold(tx.connection, row, hold, parts):
        return None
    tell(tx, account.row, row, after.granted)
    return hold, after


def find_quickly(tx: Transaction, account: Quick, name: str) -> tuple[Hold, Parts] | None:
    """An open hold and from which lots it takes its credits; None where the replay must be asked."""
    found = quick_holds.find(tx.connection, account.row.place, name)
    if found is None or not found[0].open:
        return None
    hold, parts = found
    return None if parts is None else (hold, parts)


def resolve_quickly(tx: Transaction, account: Quick, parts: Parts, found: Hold) -> Standing | None:
    """Settle or release a hold; None where the replay must be asked."""
    after = lots.resolve(account.standing, parts, found.settled, found.work)
    if not _keeps_quiet(account, after):
        return None
    row = _moved(account, after, None)
    if not quick_holds.resolve_hold(tx.connection, row, found):
        return None
    tell(tx, account.row, row, after.granted)
    return after


def standing_row(
    tx: Transaction, book: Book, account: Account, row: AccountRow, rules: list[TopUp]
) -> AccountRow:
    """The row with what it stands at, so that it decides by itself from now on; or without, where it cannot."""
    standing = lots.standing_of(account, book.facts.grants, book.facts.caps)
    until = steady_until(tx, book, account)
    bounds = _bounds(rules, account.available)
    if standing is None or book.seen is None or bounds is None or until <= book.at:
        return replace(row, standing=None, steady_until=None, counted=_seen(book), stamp="")
    _keep_parts(tx, book, account)
    policies = book.policies
    kept: dict[str, Any] = {
        "lots": lots.write_lots(standing),
        "granted": plain(standing.granted),
        "policies": {
            "overage": policies.overage,
            "settle_above": policies.settle_above,
            "soft_limit": plain(policies.soft_limit),
        },
        "floor": bounds[0],
        "ceiling": bounds[1],
        "subjects": list(book.definition.customer.subjects),
        "revisions": list(book.seen.revisions),
        "since": write_instant(book.seen.since),
    }
    return replace(
        row, standing=kept, steady_until=until, counted=_seen(book), stamp=book.seen.written.catalog
    )


def _seen(book: Book) -> str:
    return "" if book.seen is None else f"{book.seen.written.counted} {book.seen.sums}"


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


def _bounds(rules: list[TopUp], available: Decimal) -> tuple[str | None, str | None] | None:
    """Between which balances no top-up rule has anything to do; None where that is not known."""
    floors: list[Decimal] = []
    ceilings: list[Decimal] = []
    for each in rules:
        state: RechargeState = each.state
        if each.rule.exclude or (state.armed and available <= each.rule.threshold):
            return None
        (floors if state.armed else ceilings).append(each.rule.threshold)
    return (
        plain(max(floors)) if floors else None,
        plain(min(ceilings)) if ceilings else None,
    )


def _keeps_quiet(account: Quick, after: Standing) -> bool:
    assert account.row.standing is not None  # else nothing would have been decided
    floor, ceiling = account.row.standing["floor"], account.row.standing["ceiling"]
    return (floor is None or after.available > Decimal(floor)) and (
        ceiling is None or after.available <= Decimal(ceiling)
    )


def _moved(account: Quick, after: Standing, expires: datetime | None) -> AccountRow:
    """The row after a decision; a new hold ends what is certain when it expires, as its credits are free again then."""
    before = account.row
    assert before.standing is not None  # else nothing would have been decided
    assert before.steady_until is not None  # the same
    return replace(
        before,
        available=after.available,
        held=after.held,
        overage=after.overage,
        version=before.version + 1,
        as_of=account.at,
        counted=account.counted,
        steady_until=before.steady_until if expires is None else min(before.steady_until, expires),
        standing={**before.standing, "lots": lots.write_lots(after)},
    )


def _keep_parts(tx: Transaction, book: Book, account: Account) -> None:
    """Write from which lots every open hold takes its credits, where that is not what is written."""
    standing = dict(account.checkpoint.held or {})
    for name, parts in holds.open_parts(tx.connection, book.row.place, book.at).items():
        if name in standing and standing[name] != parts:
            holds.keep_parts(tx.connection, book.row.place, name, standing[name])
