"""The calls about credits that customers pay for: purchases, orders, top-up rules."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from valorem.client import credit_values as v
from valorem.client.call import Call, Method, quoted
from valorem.client.credit_methods import Amount
from valorem.client.values import Page


def buy_credits(
    customer: str,
    credit: str,
    *,
    pack: str | None = None,
    quantity: Amount | None = None,
    amount: Amount | None = None,
    lasts: str | None = None,
    holder: str | None = None,
    id: str | None = None,  # noqa: A002 - the word users know
    on_payment: bool | None = None,
    preview: bool = False,
) -> Call[v.CreditPurchase]:
    """Sell credits: a one-off invoice and its payment, and the credits at once or when it is paid.

    Args:
        customer: Who buys.
        credit: The credit type's key.
        pack: A pack of the catalog.
        quantity: How many packs.
        amount: Instead: how many credits, at the credit type's price.
        lasts: For an amount: how long it can be used, such as ``12 months``.
        holder: The member whose allowance it becomes.
        id: Your own; the same again is the same purchase.
        on_payment: Whether the credits are given when the invoice is paid; as the credit type says where left out.
        preview: Only show what it comes to.
    """
    body = {
        "customer": customer,
        "credit": credit,
        "pack": pack,
        "quantity": quantity,
        "amount": amount,
        "lasts": lasts,
        "holder": holder,
        "id": id,
        "on_payment": on_payment,
        "preview": preview,
    }
    return Call("POST", "/v1/credits/purchases", v.CreditPurchase, body=body, once=True)


def list_purchases(
    customer: str, *, after: str | None = None, limit: int | None = None
) -> Call[Page[v.CreditPurchase]]:
    """What a customer bought, top-ups too, in order of id."""
    query = {"customer": customer, "after": after, "limit": limit}
    return Call("GET", "/v1/credits/purchases", Page[v.CreditPurchase], query=query)


def order_credits(
    contract: str,
    credit: str,
    id: str,  # noqa: A002 - the word users know
    name: str,
    *,
    stretches: Sequence[Mapping[str, Any]],
    price: Amount,
    invoiced_at: Sequence[datetime | str],
    priority: int | None = None,
    scope: Mapping[str, Any] | None = None,
    preview: bool = False,
) -> Call[v.CreditOrder]:
    """Take an order: paid in instalments on the contract's invoices, usable in stretches of its own.

    Args:
        contract: Whose invoices carry the instalments.
        credit: The credit type's key.
        id: Your own key of the order.
        name: How the instalments are called.
        stretches: What can be used when: ``amount``, ``start``, ``end``.
        price: What all of it costs, in the contract's currency.
        invoiced_at: When each instalment is invoiced; the price is split evenly.
        priority: Lower is used first.
        scope: What it may pay for.
        preview: Only show what it comes to.
    """
    body = {
        "contract": contract,
        "credit": credit,
        "id": id,
        "name": name,
        "stretches": list(stretches),
        "price": price,
        "invoiced_at": list(invoiced_at),
        "priority": priority,
        "scope": scope,
        "preview": preview,
    }
    return Call("POST", "/v1/credits/orders", v.CreditOrder, body=body, once=True)


def set_top_up(
    customer: str,
    credit: str,
    *,
    threshold: Amount,
    key: str | None = None,
    target: Amount | None = None,
    amount: Amount | None = None,
    pack: str | None = None,
    lasts: str | None = None,
    most_per_day: int | None = None,
    zone: str | None = None,
    exclude: Sequence[str] = (),
) -> Call[v.TopUp]:
    """Buy credits whenever the balance falls to a threshold: up to ``target``, or ``amount``, or a ``pack``."""
    body = {
        "customer": customer,
        "credit": credit,
        "key": key,
        "threshold": threshold,
        "target": target,
        "amount": amount,
        "pack": pack,
        "lasts": lasts,
        "most_per_day": most_per_day,
        "zone": zone,
        "exclude": list(exclude),
    }
    return Call("POST", "/v1/credits/top-ups", v.TopUp, body=body, once=True)


def list_top_ups(customer: str, credit: str) -> Call[v.TopUps]:
    """An account's top-up rules, and how often each has bought."""
    return Call("GET", "/v1/credits/top-ups", v.TopUps, query={"customer": customer, "credit": credit})


def remove_top_up(key: str, customer: str, credit: str) -> Call[v.Removed]:
    """Buy nothing more by a rule; what it bought stays."""
    query = {"customer": customer, "credit": credit}
    return Call("DELETE", f"/v1/credits/top-ups/{quoted(key)}", v.Removed, query=query)


class CreditSaleMethods:
    """The calls as methods."""

    buy_credits = Method(buy_credits)
    list_purchases = Method(list_purchases)
    order_credits = Method(order_credits)
    set_top_up = Method(set_top_up)
    list_top_ups = Method(list_top_ups)
    remove_top_up = Method(remove_top_up)
