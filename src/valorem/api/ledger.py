"""``/v1/ledger``: the entries of credit accounts, and whether all of them still hold."""

from dataclasses import fields
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant
from valorem.core.ledger.chain import write_entry
from valorem.engine.credits import ledger
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction

router = APIRouter(prefix="/v1/ledger", tags=["credits"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Admin = Annotated[Caller, Depends(Needs("customers:write"))]


class EntryAnswer(Answer):
    """One entry. ``digest`` chains it to the one before: SHA-256 of that one's digest, the number and the entry."""

    number: int
    entry: dict[str, Any]
    digest: str
    booked_at: Instant


class EntriesAnswer(Answer):
    """Entries in order; pass the last number as ``after`` for those that follow."""

    items: list[EntryAnswer]


class LedgerCheckAnswer(Answer):
    """What was found of one account; no problems means that everything holds."""

    customer: str
    credit: str
    entries: int
    problems: list[str]


class LedgerChecksAnswer(Answer):
    """What was found of every account asked for."""

    items: list[LedgerCheckAnswer]


class RevenueRowAnswer(Answer):
    """What one day brings of one credit type. Without a currency it is of credits that cost nothing.

    Attributes:
        revenue: Money of prepaid credits that were used, less what corrections gave back.
        breakage: Money of prepaid credits that expired.
        refunded: Money of prepaid credits that were taken back.
        sold: Money of credits that were given, which is owed work from then on.
        free: Credits used that cost nothing.
        lapsed: Credits that expired and cost nothing.
        on_demand: Credits used that no grant paid for.
    """

    day: date
    credit: str
    currency: str | None
    revenue: ExactOut
    breakage: ExactOut
    refunded: ExactOut
    sold: ExactOut
    free: ExactOut
    lapsed: ExactOut
    on_demand: ExactOut

    @classmethod
    def of(cls, row: ledger.RevenueRow) -> "RevenueRowAnswer":
        """As the engine has it."""
        amounts = {each.name: getattr(row.recognised, each.name) for each in fields(row.recognised)}
        return cls(day=row.day, credit=row.credit, currency=row.currency or None, **amounts)


class RevenueAnswer(Answer):
    """What each day brings; days without anything are left out."""

    items: list[RevenueRowAnswer]


@router.get("/entries")
def export_ledger(
    caller: Reader,
    customer: Annotated[str, Query(max_length=255)],
    credit: Annotated[str, Query(max_length=63)],
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> EntriesAnswer:
    """An account's entries, from after a number on."""
    with caller.reading() as tx:
        get_customer(tx, customer)
        found = list(ledger.export_ledger(tx, customer=customer, credit=credit, after=after, limit=limit))
    return EntriesAnswer(
        items=[
            EntryAnswer(
                number=each.link.number,
                entry=write_entry(each.link.entry),
                digest=each.link.digest.hex(),
                booked_at=each.booked_at,
            )
            for each in found
        ]
    )


@router.get("/revenue")
def revenue_by_day(
    caller: Reader,
    start: Annotated[date, Query(description="the first day")],
    end: Annotated[date, Query(description="the last day")],
    customer: Annotated[str | None, Query(max_length=255)] = None,
    credit: Annotated[str | None, Query(max_length=63)] = None,
    zone: Annotated[str, Query(max_length=64, description="IANA zone of the days")] = "UTC",
) -> RevenueAnswer:
    """Prepaid revenue by day as it is booked: drawn at cost basis, breakage on expiry, credits that cost nothing apart."""
    with caller.reading() as tx:
        rows = ledger.revenue_by_day(tx, start, end, customer=customer, credit=credit, zone=zone)
    return RevenueAnswer(items=[RevenueRowAnswer.of(row) for row in rows])


@router.post("/verify")
def verify_ledger(
    caller: Admin,
    customer: Annotated[str | None, Query(max_length=255)] = None,
    credit: Annotated[str | None, Query(max_length=63)] = None,
) -> LedgerChecksAnswer:
    """Book what has happened since, then check the chain, the sums, and both against a replay of everything."""

    def verified(tx: Transaction) -> LedgerChecksAnswer:
        if customer is not None:
            get_customer(tx, customer)
        found = ledger.verify_ledger(tx, customer=customer, credit=credit)
        return LedgerChecksAnswer(items=[LedgerCheckAnswer.model_validate(each) for each in found])

    return caller.acting(verified)
