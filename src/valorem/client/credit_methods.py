"""The calls about credits: grants, members, balances, statements, holds, the ledger."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from valorem.client import credit_values as v
from valorem.client.call import Call, Method, quoted
from valorem.client.values import Page

Amount = Decimal | int | str


def give_credits(
    customer: str,
    credit: str,
    amount: Amount,
    *,
    id: str | None = None,  # noqa: A002 - the word users know
    start: datetime | None = None,
    expires: datetime | None = None,
    lasts: str | None = None,
    priority: int | None = None,
    source: str | None = None,
    cost: Amount | None = None,
    scope: Mapping[str, Any] | None = None,
    holder: str | None = None,
    tag: str | None = None,
) -> Call[v.GrantState]:
    """Give credits; what a customer pays for is :func:`valorem.client.credit_sale_methods.buy_credits`.

    Args:
        customer: Whose.
        credit: The credit type's key.
        amount: Credits.
        id: Your own; the same id and amount is the same grant.
        start: From when it can be used, on the quarter-hour grid.
        expires: From when it cannot.
        lasts: Instead of ``expires``: for how long, such as ``12 months``.
        priority: Lower is used first.
        source: ``included``, ``purchased``, ``promotional`` or ``adjustment``.
        cost: What was paid for all of it, in the customer's currency.
        scope: What it may pay for: ``products``, ``meters``, ``dimensions``.
        holder: The member whose allowance it is.
        tag: A word of your own.
    """
    body = {
        "customer": customer,
        "credit": credit,
        "amount": amount,
        "id": id,
        "start": start,
        "expires": expires,
        "lasts": lasts,
        "priority": priority,
        "source": source,
        "cost": cost,
        "scope": scope,
        "holder": holder,
        "tag": tag,
    }
    return Call("POST", "/v1/credits/grants", v.GrantState, body=body, once=True)


def list_grants(
    customer: str, credit: str, *, after: str | None = None, limit: int | None = None
) -> Call[Page[v.Grant]]:
    """Recorded grants in order of id."""
    query = {"customer": customer, "credit": credit, "after": after, "limit": limit}
    return Call("GET", "/v1/credits/grants", Page[v.Grant], query=query)


def void_grant(customer: str, credit: str, grant: str) -> Call[v.GrantState]:
    """Take back what is unused of a grant."""
    body = {"customer": customer, "credit": credit, "grant": grant}
    return Call("POST", "/v1/credits/grants/void", v.GrantState, body=body, once=True)


def change_grant_expiry(
    customer: str, credit: str, grant: str, *, expires: datetime | Literal["never"]
) -> Call[v.GrantState]:
    """Let a grant end at another time; ``never`` for never."""
    body = {"customer": customer, "credit": credit, "grant": grant, "expires": expires}
    return Call("POST", "/v1/credits/grants/expiry", v.GrantState, body=body, once=True)


def set_credit_member(
    customer: str, member: str, *, since: datetime | None = None, until: datetime | None = None
) -> Call[v.CreditMember]:
    """Give somebody a seat with an allowance of their own, or say when it ends."""
    body = {"customer": customer, "member": member, "since": since, "until": until}
    return Call("POST", "/v1/credits/members", v.CreditMember, body=body, once=True)


def list_credit_members(customer: str) -> Call[v.CreditMembers]:
    """Who has, or had, a seat."""
    return Call("GET", "/v1/credits/members", v.CreditMembers, query={"customer": customer})


def credit_balance(
    customer: str, *, credit: str | None = None, at: datetime | None = None
) -> Call[v.CreditBalances]:
    """What a customer has, of one credit type or of all; now, or as it stood at an instant."""
    query = {"customer": customer, "credit": credit, "at": at}
    return Call("GET", "/v1/credits/balance", v.CreditBalances, query=query)


def credit_statement(
    customer: str,
    credit: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    by: str | None = None,
) -> Call[v.CreditStatement]:
    """What there was, what came, what it was used for and what is left."""
    query = {"customer": customer, "credit": credit, "start": start, "end": end, "by": by}
    return Call("GET", "/v1/credits/statement", v.CreditStatement, query=query)


def credit_burn(
    customer: str,
    credit: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    by: str | None = None,
) -> Call[v.CreditBurn]:
    """What used credits up: by ``meter``, ``product``, ``member`` or a dimension."""
    query = {"customer": customer, "credit": credit, "start": start, "end": end, "by": by}
    return Call("GET", "/v1/credits/burn", v.CreditBurn, query=query)


def credit_forecast(customer: str, credit: str) -> Call[v.CreditForecast]:
    """When credits run out if usage goes on as in the last seven days."""
    query = {"customer": customer, "credit": credit}
    return Call("GET", "/v1/credits/forecast", v.CreditForecast, query=query)


def place_hold(
    id: str,  # noqa: A002 - the word users know
    customer: str,
    credit: str,
    amount: Amount,
    *,
    lasts_s: int | None = None,
    work: Mapping[str, Any] | None = None,
) -> Call[v.HoldState]:
    """Reserve credits before the work; the state is ``held``, or ``refused``. Repeating it is safe: the id is the key."""
    body = {
        "id": id,
        "customer": customer,
        "credit": credit,
        "amount": amount,
        "lasts_s": lasts_s,
        "work": work,
    }
    return Call("POST", "/v1/holds", v.HoldState, body=body, once=True)


def get_hold(id: str, customer: str, credit: str) -> Call[v.Hold]:  # noqa: A002
    """One hold."""
    return Call("GET", f"/v1/holds/{quoted(id)}", v.Hold, query={"customer": customer, "credit": credit})


def settle_hold(id: str, customer: str, credit: str, used: Amount) -> Call[v.HoldState]:  # noqa: A002
    """Say what was used; the rest is free again."""
    body = {"customer": customer, "credit": credit, "used": used}
    return Call("POST", f"/v1/holds/{quoted(id)}/settle", v.HoldState, body=body, once=True)


def release_hold(id: str, customer: str, credit: str) -> Call[v.HoldState]:  # noqa: A002
    """Give back everything that is reserved."""
    body = {"customer": customer, "credit": credit}
    return Call("POST", f"/v1/holds/{quoted(id)}/release", v.HoldState, body=body, once=True)


def ledger_entries(
    customer: str, credit: str, *, after: int | None = None, limit: int | None = None
) -> Call[v.LedgerEntries]:
    """An account's ledger entries in order, from after a number on."""
    query = {"customer": customer, "credit": credit, "after": after, "limit": limit}
    return Call("GET", "/v1/ledger/entries", v.LedgerEntries, query=query)


def verify_ledger(*, customer: str | None = None, credit: str | None = None) -> Call[v.LedgerChecks]:
    """Check the ledger's chain and sums, and both against a replay of everything."""
    query = {"customer": customer, "credit": credit}
    return Call("POST", "/v1/ledger/verify", v.LedgerChecks, query=query, once=True)


def revenue_by_day(
    start: date,
    end: date,
    *,
    customer: str | None = None,
    credit: str | None = None,
    zone: str | None = None,
) -> Call[v.Revenue]:
    """Prepaid revenue by day as it is booked: drawn at cost basis, breakage, credits that cost nothing apart."""
    query = {"start": start, "end": end, "customer": customer, "credit": credit, "zone": zone}
    return Call("GET", "/v1/ledger/revenue", v.Revenue, query=query)


class CreditMethods:
    """The calls as methods."""

    give_credits = Method(give_credits)
    list_grants = Method(list_grants)
    void_grant = Method(void_grant)
    change_grant_expiry = Method(change_grant_expiry)
    set_credit_member = Method(set_credit_member)
    list_credit_members = Method(list_credit_members)
    credit_balance = Method(credit_balance)
    credit_statement = Method(credit_statement)
    credit_burn = Method(credit_burn)
    credit_forecast = Method(credit_forecast)
    place_hold = Method(place_hold)
    get_hold = Method(get_hold)
    settle_hold = Method(settle_hold)
    release_hold = Method(release_hold)
    ledger_entries = Method(ledger_entries)
    verify_ledger = Method(verify_ledger)
    revenue_by_day = Method(revenue_by_day)
