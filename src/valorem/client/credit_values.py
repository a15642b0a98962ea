"""What the server answers about credits, typed."""

from datetime import date, datetime
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


class CreditMembers(Value, frozen=True):
    """Everybody who has, or had, a seat."""

    items: list[CreditMember]


class CreditPurchase(Value, frozen=True):
    """Credits that were sold; ``state`` is ``due``, ``invoiced``, ``paid`` or ``void``."""

    id: str
    customer: str
    credit: str
    state: str
    description: str
    quantity: Decimal
    unit_amount: Decimal
    amount: Decimal
    currency: str
    credits: Decimal
    granted_at: datetime | None
    automatic: bool
    invoice: str | None
    invoice_number: str | None
    total: Decimal | None
    available: Decimal | None
    waits: str | None
    created_at: datetime


class CreditInstalment(Value, frozen=True):
    """One instalment of an order."""

    id: str
    name: str
    amount: Decimal
    at: datetime


class CreditOrder(Value, frozen=True):
    """An order as it was taken."""

    grants: list[Grant]
    instalments: list[CreditInstalment]
    currency: str


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


class TopUps(Value, frozen=True):
    """The rules of one account."""

    items: list[TopUp]


class Removed(Value, frozen=True):
    """What was removed."""

    key: str


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
    """A hold; ``shortfall`` is by how much it was larger than what there was."""

    id: str
    state: str
    amount: Decimal
    at: datetime
    expires: datetime
    resolved_at: datetime | None
    settled: Decimal
    shortfall: Decimal


class HoldState(Hold, frozen=True):
    """A hold, what it was answered (``allow``, ``bill``, ``throttle``, ``block``), and what the account has after it."""

    verdict: str = "allow"
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


class RevenueRow(Value, frozen=True):
    """What one day brings of one credit type; without a currency it is of credits that cost nothing."""

    day: date
    credit: str
    currency: str | None
    revenue: Decimal
    breakage: Decimal
    refunded: Decimal
    sold: Decimal
    free: Decimal
    lapsed: Decimal
    on_demand: Decimal


class Revenue(Value, frozen=True):
    """What each day brings; days without anything are left out."""

    items: list[RevenueRow]
