"""What the server answers about credits, typed."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.client.values import Value


class Grant(Value, frozen=True):
    """A grant; ``end`` is its expiry, or when it was voided."""

    id: str
    amount: Decimal
    start: datetime
    end: datetime | None
    priority: int
    source: str
    cost: Decimal
    currency: str | None
    holder: str | None
    tag: str | None
    voided_at: datetime | None


class GrantState(Value, frozen=True):
    """A grant, what is left of it, and what the account has."""

    grant: Grant
    remaining: Decimal
    held: Decimal
    available: Decimal


class CreditMember(Value, frozen=True):
    """Somebody with a seat."""

    customer: str
    member: str
    since: datetime
    until: datetime | None


class TopUp(Value, frozen=True):
    """A top-up rule, and how often it has bought."""

    key: str
    threshold: Decimal
    target: Decimal | None
    amount: Decimal | None
    pack: str | None
    lasts: str | None
    most_per_day: int
    crossings: int


class GrantLeft(Value, frozen=True):
    """What is left of a running grant."""

    grant: str
    source: str
    holder: str | None
    priority: int
    amount: Decimal
    remaining: Decimal
    held: Decimal
    end: datetime | None


class CreditBalance(Value, frozen=True):
    """What a customer has of one credit type; ``overage`` is use that no grant paid for."""

    customer: str
    credit: str
    name: str
    at: datetime
    available: Decimal
    held: Decimal
    balance: Decimal
    granted: Decimal
    overage: Decimal
    used: Decimal
    grants: list[GrantLeft]


class CreditBalances(Value, frozen=True):
    """The balances of every credit type asked for."""

    items: list[CreditBalance]


class StatementLine(Value, frozen=True):
    """One line of a statement."""

    at: datetime
    kind: str
    text: str
    change: Decimal
    balance: Decimal


class CreditStatement(Value, frozen=True):
    """A stretch of an account: opening plus every change is closing."""

    lines: list[StatementLine]
    opening: Decimal
    closing: Decimal
    uncovered: Decimal


class BurnRow(Value, frozen=True):
    """Credits used by one value."""

    value: str | None
    amount: Decimal


class CreditBurn(Value, frozen=True):
    """Credits used in an interval, the most first."""

    customer: str
    credit: str
    by: str
    start: datetime
    end: datetime
    rows: list[BurnRow]


class CreditForecast(Value, frozen=True):
    """When credits run out at the pace of late."""

    per_day: Decimal
    runs_out_at: datetime | None
    days_left: Decimal | None
    lost: Decimal


class Hold(Value, frozen=True):
    """A hold; ``shortfall`` is by how much a refused one was too large."""

    id: str
    state: str
    amount: Decimal
    at: datetime
    expires: datetime
    resolved_at: datetime | None
    settled: Decimal
    shortfall: Decimal


class HoldState(Hold, frozen=True):
    """A hold, and what the account has after it."""

    available: Decimal = Decimal(0)
    held: Decimal = Decimal(0)


class LedgerEntry(Value, frozen=True):
    """One entry of a ledger, chained to the one before by its digest."""

    number: int
    entry: dict[str, Any]
    digest: str
    booked_at: datetime


class LedgerEntries(Value, frozen=True):
    """Entries in order."""

    items: list[LedgerEntry]


class LedgerCheck(Value, frozen=True):
    """What was found of one account; no problems means that everything holds."""

    customer: str
    credit: str
    entries: int
    problems: list[str]


class LedgerChecks(Value, frozen=True):
    """What was found of every account asked for."""

    items: list[LedgerCheck]
