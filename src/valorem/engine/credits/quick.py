"""Holds decided by the account's row alone, in constant time, while nothing about the account has changed beside them.

The row says the lots in the order they are used, until when time changes nothing about them, and what was counted and
written when that was true. Where any of it is not so any more, nothing is decided here and the replay is asked.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from valorem.core.ledger import holds as core
from valorem.core.ledger import standing as lots
from valorem.core.ledger.account import Account
from valorem.core.ledger.admission import room_beyond
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.recharge import RechargeState
from valorem.core.ledger.scope import Workload
from valorem.core.ledger.standing import Parts, Standing
from valorem.core.ledger.standing_written import write_standing
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import write_instant
from valorem.engine.credits.accounts import Book
from valorem.engine.credits.deciding import MOMENT, Quick
from valorem.engine.credits.telling import tell
from valorem.engine.credits.waking import border_of, steady_until
from valorem.engine.engine import Transaction
from valorem.store.postgres import holds, quick_holds
from valorem.store.postgres.credits import AccountRow
from valorem.store.postgres.top_ups import TopUp


def place_quickly(
    tx: Transaction, account: Quick, name: str, amount: Decimal, lasts: timedelta, work: Workload
) -> tuple[Hold, Standing] | None:
    """Decide a new hold; None where the replay must be asked: for a refusal too, as that is to be told exactly."""
    done = lots.place(account.standing, max(amount, ZERO), work, account.at)
    if done is None:
        return None
    after, parts = done
    hold = core.hold(
        name,
        amount,
        available=_admitted(account, parts),
        now=account.at,
        lasts=lasts,
        work=work,
        policies=account.policies,
    )
    if not hold.open:
        return None
    hold = replace(hold, expires=max(tx.now + lasts, account.at + MOMENT))
    if not _keeps_quiet(account, after):
        return None
    row = _moved(account, after, hold.expires)
    if not quick_holds.place_hold(tx.connection, row, hold, parts):
        return None
    tell(tx, account.row, row, after.granted)
    return hold, after


def resolve_quickly(
    tx: Transaction, account: Quick, known: Hold, parts: Parts, found: Hold
) -> Standing | None:
    """Settle or release a hold; None where the replay must be asked."""
    after = lots.resolve(account.standing, parts, found.settled, known.work, known.at, account.at)
    if after is None or not _keeps_quiet(account, after):
        return None
    row = _moved(account, after, None)
    watched = quick_holds.resolve_hold(tx.connection, row, found)
    if watched is None:
        return None
    tell(tx, account.row, row, after.granted, watched=watched)
    return after


@exact
def _admitted(account: Quick, parts: Parts) -> Decimal:
    taken = sum((part for _, part in parts), ZERO)
    return taken + room_beyond(account.standing.granted, account.standing.overage, account.policies)


def standing_row(
    tx: Transaction,
    book: Book,
    account: Account,
    row: AccountRow,
    rules: list[TopUp],
    asked: str | None = None,
) -> AccountRow:
    """The row with what it stands at, so that it decides by itself from now on; or without, where it cannot.

    Args:
        tx: The transaction.
        book: What is known of the account.
        account: As it stands.
        row: Its row otherwise.
        rules: Its top-up rules.
        asked: The member whose work was decided, who may soon ask again.
    """
    until = steady_until(tx, book, account)
    bounds = _bounds(rules, account.available)
    if book.seen is None or bounds is None or until <= book.at:
        return replace(row, standing=None, steady_until=None, counted=_seen(book), stamp="")
    standing = lots.standing_of(account, book.facts.grants, book.facts.caps, lately=_lately(book.row, asked))
    _keep_parts(tx, book, account)
    policies = book.policies
    kept: dict[str, Any] = {
        "name": book.definition.credit.name or book.definition.credit.key,
        "stands": write_standing(standing),
        "border": write_instant(border_of(tx, book, account)),
        "replayed": write_instant(book.at),
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


def _lately(row: AccountRow, asked: str | None) -> list[str]:
    """Members in the order they asked, the last first."""
    before = (row.standing or {}).get("stands", {}).get("members") or []
    return [*([asked] if asked is not None else []), *(member for member in before if member != asked)]


def _seen(book: Book) -> str:
    return "" if book.seen is None else f"{book.seen.written.counted} {book.seen.sums}"


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
        standing={**before.standing, "stands": write_standing(after)},
    )


def _keep_parts(tx: Transaction, book: Book, account: Account) -> None:
    """Write from which lots every open hold takes its credits, where that is not what is written."""
    standing = dict(account.checkpoint.held or {})
    for name, parts in holds.open_parts(tx.connection, book.row.place, book.at).items():
        if name in standing and standing[name] != parts:
            holds.keep_parts(tx.connection, book.row.place, name, standing[name])
