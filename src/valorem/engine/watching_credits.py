"""What a customer's alerts on credits look at: what is left of them, when they run out and when they end."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.alerts.foresight import nearness
from valorem.core.alerts.pace import most_per_unit
from valorem.core.alerts.rules import AlertRule
from valorem.core.alerts.thresholds import Level, Threshold
from valorem.core.ledger.account import Account
from valorem.core.ledger.tables import BurnTable
from valorem.core.metering.event import EPOCH
from valorem.core.metering.meter import Meter
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.units import write_span
from valorem.engine.credits.accounts import Book, read_book
from valorem.engine.credits.burning import burn_meters
from valorem.engine.credits.definitions import credits_of
from valorem.engine.credits.reading import credit_forecast
from valorem.engine.engine import Transaction
from valorem.engine.meters import revision_ids
from valorem.engine.watched import Feed, Watched
from valorem.store.postgres.alerts import CREDITS
from valorem.store.postgres.credits import Place

_SPAN_S = {
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 604_800,
    "month": 30 * 86_400,
    "quarter": 91 * 86_400,
    "year": 365 * 86_400,
}
_FORECAST_AGAIN = timedelta(minutes=15)
_REACHED = (Threshold("amount", ONE),)


def ending(
    rule: AlertRule, kind: str, on: str, end: datetime, before: tuple[int, str], now: datetime, text: str
) -> Watched:
    """An alert that warns of an end, so long before it; each end is a window of its own."""
    at = end - span_of(before)
    due = now >= at
    return Watched(
        key=f"{kind}:{on}",
        kind=kind,
        on=on,
        unit=None,
        thresholds=_REACHED,
        level=Level(ONE if due else ZERO),
        start=end,
        end=end,
        re_arm=rule.re_arm,
        recovered=False,
        next_at=None if due else at,
        label=write_span(before),
        text=text,
        ends_at=end,
    )


def span_of(before: tuple[int, str]) -> timedelta:
    """A length of time before an end; a month is 30 days."""
    return timedelta(seconds=before[0] * _SPAN_S[before[1]])


class CreditLevels:
    """Looks at one customer's credits in one transaction.

    Args:
        tx: The transaction.
        customer: The customer's key.
        timed: Whether to look as well at what depends on the time alone.
    """

    def __init__(self, tx: Transaction, customer: str, *, timed: bool) -> None:
        self._tx = tx
        self._customer = customer
        self._timed = timed
        self._books: dict[str, tuple[Book, Account]] = {}
        self._credits: list[str] | None = None

    def watched(self, rule: AlertRule) -> Iterator[Watched]:
        """What a rule about credits looks at; nothing for other rules."""
        if rule.kind == "balance":
            yield from (self._balance(rule, credit) for credit in self._of(rule))
        elif self._timed and rule.kind == "depletion":
            for credit in self._of(rule):
                yield from self._depletion(rule, credit)
        elif self._timed and rule.kind == "credit_expiry":
            for credit in self._of(rule):
                yield from self._expiry(rule, credit)

    def _of(self, rule: AlertRule) -> list[str]:
        """The credit types a rule is about of which the customer was ever given any."""
        if self._credits is None:
            self._credits = credits_of(self._tx, self._customer)
        wanted = [credit for credit in self._credits if rule.on in (None, credit)]
        return [credit for credit in wanted if self._book(credit)[0].facts.grants]

    def _book(self, credit: str) -> tuple[Book, Account]:
        if credit not in self._books:
            book = read_book(self._tx, Place(self._tx.workspace.id, self._customer, credit))
            self._books[credit] = book, book.account()
        return self._books[credit]

    def _balance(self, rule: AlertRule, credit: str) -> Watched:
        book, account = self._book(credit)
        ends = [lot.end for lot in account.lots if lot.end is not None and not lot.ended]
        ends += [each.interval.end for each in book.periods if each.interval.end > book.at]
        return Watched(
            key=f"balance:{credit}",
            kind="balance",
            on=credit,
            unit=credit,
            thresholds=tuple(replace(each, of="left") for each in rule.at),
            level=Level(ZERO, _granted(book, account), account.balance),
            start=EPOCH,
            end=None,
            feeds=self._feeds(book),
            additive=False,
            re_arm="recovery",
            recovered=rule.recovered,
            next_at=min(ends, default=None),
        )

    def _feeds(self, book: Book) -> tuple[Feed, ...]:
        """What takes credits: every burn table in force, and what is taken or given by hand."""
        feeds = [Feed(CREDITS, ONE)]
        running = [each for each in book.periods if each.interval.start <= book.at < each.interval.end]
        pairs = [pair for period in running for pair in burn_meters(book.definition, period)]
        ids = revision_ids(self._tx, [meter for _, meter in pairs])
        kinds = len({burn.key for burn in book.usage})
        for table, meter in pairs:
            most, slack = most_burned(table, meter, kinds)
            feeds.append(Feed(ids[meter.fingerprint()], most, slack))
        return tuple(feeds)

    def _depletion(self, rule: AlertRule, credit: str) -> Iterator[Watched]:
        found = credit_forecast(self._tx, self._customer, credit)
        ends_at = found.runs_out_at
        for before in rule.before:
            near = nearness(None if ends_at is None else ends_at - self._tx.now, span_of(before))
            left = "" if found.days_left is None else f", in {plain(found.days_left)} days"
            yield Watched(
                key=f"depletion:{credit}",
                kind="depletion",
                on=credit,
                unit=None,
                thresholds=_REACHED,
                level=Level(ONE if near == "due" else ZERO),
                lingers=near == "near",
                start=EPOCH,
                end=None,
                re_arm="recovery",
                recovered=rule.recovered,
                next_at=self._tx.now + _FORECAST_AGAIN,
                label=write_span(before),
                text=f"{credit} runs out within {write_span(before)}{left}, if use goes on as in the last week",
                ends_at=ends_at,
            )

    def _expiry(self, rule: AlertRule, credit: str) -> Iterator[Watched]:
        _, account = self._book(credit)
        left: dict[datetime, Decimal] = {}
        for lot in account.lots:
            if lot.end is not None and not lot.ended and lot.remaining:
                left[lot.end] = _plus(left.get(lot.end, ZERO), lot.remaining)
        for end, amount in sorted(left.items()):
            for before in rule.before:
                text = f"{plain(amount)} of {credit} end in {write_span(before)} or less"
                yield ending(rule, "credit_expiry", credit, end, before, self._tx.now, text)


@exact
def most_burned(table: BurnTable, meter: Meter, kinds: int) -> tuple[Decimal | None, Decimal]:
    """The most credits that one unit more of a meter takes, and what rounding may take besides.

    Rounding half up never more than doubles a first burn, and moves a running total by no more than one last digit for
    each combination of dimensions.

    Args:
        table: What usage burns.
        meter: The meter it reads.
        kinds: How many combinations of dimensions have burned credits.
    """
    most = None if table.rounding == "up" else most_per_unit(table.price, meter)
    if most is not None and table.rounding == "half_up":
        most *= 2
    return most, ONE.scaleb(-table.precision) * kinds


@exact
def _granted(book: Book, account: Account) -> Decimal:
    """What shares of a balance are shares of: the grants that run, else those that ended last."""
    if account.granted:
        return account.granted
    ended = [grant for grant in book.facts.grants if grant.end is not None and grant.start <= book.at]
    last = max((grant.end for grant in ended if grant.end is not None), default=None)
    return sum((grant.amount for grant in ended if grant.end == last), ZERO)


@exact
def _plus(one: Decimal, other: Decimal) -> Decimal:
    return one + other
