"""An account as it is: what was recorded, what usage burned, and the replay of both."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from valorem.core.ledger.account import Account, Checkpoint, Facts
from valorem.core.ledger.burns import Burn, Reset, adjustments
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.replay import replay
from valorem.engine.credits.burning import burn_revisions, usage_burns
from valorem.engine.credits.definitions import (
    BurnPeriod,
    Definition,
    burn_periods,
    definition_of,
    open_grants,
    plan_grants,
)
from valorem.engine.engine import Transaction
from valorem.store.postgres import credits as store
from valorem.store.postgres import holds as hold_store
from valorem.store.postgres import purchases
from valorem.store.postgres.credits import AccountRow, ClosedPeriod, Place, Written

#: Usage of a quarter hour stands at its start, and what stands at an instant is not before it: look a moment later.
MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was written when usage was about to be read; a later change of either means that there may be more.

    Attributes:
        written: How far the workspace had come.
        sums: What the customer's usage came to, as a text that changes with it.
        revisions: Of the meters that count it.
        since: From when.
    """

    written: Written
    sums: str
    revisions: tuple[int, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Book:
    """Everything that is known of an account at an instant.

    Attributes:
        definition: What it is.
        row: What is kept of it.
        at: The instant.
        facts: What was granted, used and held.
        usage: What counted usage burns, as the counters stand; a part of it may lie in closed periods.
        usage_since: From when that is.
        checkpoint: Where the replay goes on.
        due: Grants that follow from plans and are not recorded yet; ``facts`` has them.
        periods: The periods that burn tables count in, from ``usage_since`` on.
        seen: What says whether all of it still holds; only where it was read for a change.
    """

    definition: Definition
    row: AccountRow
    at: datetime
    facts: Facts
    usage: tuple[Burn, ...]
    usage_since: datetime
    checkpoint: Checkpoint | None
    due: tuple[Grant, ...]
    periods: tuple[BurnPeriod, ...]
    seen: Seen | None = None

    @property
    def policies(self) -> CreditPolicies:
        """How credits are used up."""
        return self.definition.credit.policies

    def account(self, until: datetime | None = None) -> Account:
        """The account now, or at another instant."""
        return replay(self.facts, until or self.at + MOMENT, self.policies, checkpoint=self.checkpoint)

    def with_grants(self, *grants: Grant) -> "Book":
        """The same with grants in the place of those of the same ids, or beside the others."""
        new = {grant.id for grant in grants}
        kept = tuple(grant for grant in self.facts.grants if grant.id not in new)
        return replace(self, facts=replace(self.facts, grants=(*kept, *grants)))

    def with_burns(self, *burns: Burn) -> "Book":
        """The same with further burns."""
        return replace(self, facts=replace(self.facts, burns=(*self.facts.burns, *burns)))

    def with_hold(self, hold: Hold) -> "Book":
        """The same with a hold as it now stands."""
        kept = tuple(one for one in self.facts.holds if one.id != hold.id)
        return replace(self, facts=replace(self.facts, holds=(*kept, hold)))


def read_book(
    tx: Transaction,
    place: Place,
    *,
    row: AccountRow | None = None,
    at: datetime | None = None,
    whole: bool = False,
    watch: bool = False,
) -> Book:
    """Gather everything that is known of an account.

    Args:
        tx: The transaction.
        place: Which account.
        row: Its row, where the caller has locked it.
        at: The instant; now where left out, and never before anything that was decided.
        whole: From the beginning instead of from the last closed period on.
        watch: Whether to note what says if it still holds later.

    Raises:
        NotFoundError: If there is no such customer or credit type.
    """
    written = store.written(tx.connection, tx.workspace.id) if watch else None
    definition = definition_of(tx, place)
    row = row or store.load(tx.connection, place) or AccountRow(place, tx.now)
    at = at or max(tx.now, row.as_of)
    checkpoint = None if whole else row.checkpoint
    closed = store.closed_periods(tx.connection, place, only_last=not whole) if row.closed_until else []
    recorded = store.grants(
        tx.connection,
        place,
        since=checkpoint.at if checkpoint else None,
        also=[lot.key.grant for lot in checkpoint.lots] if checkpoint else (),
    )
    due = _due_grants(tx, definition, row, at)
    grants = (*recorded, *due)
    since = closed[-1].known_since if closed else _origin(definition, grants, at)
    periods = tuple(burn_periods(tx, definition, since, at + MOMENT))
    seen = None if written is None else _seen(tx, definition, periods, written, since)
    usage = usage_burns(tx, definition, periods, at + MOMENT)
    resets: tuple[Reset, ...] = ()
    if definition.credit.policies.uncovered == "carried":
        resets = tuple(
            Reset(each.interval.end) for each in periods if each.contract and each.interval.end <= at
        )
    drawn = purchases.draws(tx.connection, place, closed[-1].end if closed else None)
    facts = Facts(
        grants,
        (*_effective(usage, closed), *drawn),
        tuple(hold_store.standing(tx.connection, place, checkpoint.at if checkpoint else None)),
        resets,
        definition.caps(),
    )
    return Book(definition, row, at, facts, usage, since, checkpoint, due, periods, seen)


def _seen(
    tx: Transaction,
    definition: Definition,
    periods: tuple[BurnPeriod, ...],
    written: Written,
    since: datetime,
) -> Seen:
    revisions = tuple(sorted({each for period in periods for each in burn_revisions(tx, definition, period)}))
    sums = store.counted(tx.connection, tx.workspace.id, definition.customer.subjects, revisions, since)
    return Seen(written, sums, revisions, since)


@contextmanager
def locked(tx: Transaction, place: Place) -> Iterator[Book]:
    """The account for a change: nobody else changes it until the transaction ends.

    Instants never go back: what is decided here is decided after everything before it, whatever the clocks say. Grants
    that have become due are recorded.
    """
    row = store.lock(tx.connection, place, tx.now)
    yield opened(tx, place, row)


def opened(tx: Transaction, place: Place, row: AccountRow) -> Book:
    """What is known of an account whose row the caller has locked, with due grants recorded."""
    book = read_book(tx, place, row=row, watch=True)
    if book.due:
        store.record_grants(tx.connection, place, book.due, book.at)
    return book


def _due_grants(tx: Transaction, definition: Definition, row: AccountRow, at: datetime) -> tuple[Grant, ...]:
    given = {grant.id: grant for grant in plan_grants(tx, definition, at, row.closed_until)}
    known = store.known_grants(tx.connection, definition.place, list(given)) if given else set()
    return tuple(open_grants([grant for name, grant in given.items() if name not in known], row.closed_until))


def _origin(definition: Definition, grants: tuple[Grant, ...], at: datetime) -> datetime:
    starts = [*(contract.start for contract in definition.contracts), *(grant.start for grant in grants)]
    return min((*starts, at))


def _effective(usage: tuple[Burn, ...], closed: list[ClosedPeriod]) -> tuple[Burn, ...]:
    """What usage burns where closed periods stand as they were: differences are drawn from the end of the last."""
    if not closed:
        return usage
    last = closed[-1]
    drawn = tuple(burn for period in closed for burn in period.drawn)
    known = [burn for burn in last.known if burn.at >= last.known_since]
    now = [burn for burn in usage if last.known_since <= burn.at < last.end]
    live = tuple(burn for burn in usage if burn.at >= last.end)
    return (*drawn, *adjustments(known, now, last.end), *live)
