"""Buying credits: packs or single ones, with what it comes to, tax included, seen before."""

from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.ids import identity
from valorem.core.numbers import ONE, plain
from valorem.engine.credits.buying import (
    NewPurchase,
    Purchase,
    ask_purchase_taxes,
    buy_credits,
    preview_purchase,
)
from valorem.engine.credits.offering import CreditOffer, credit_offers
from valorem.engine.engine import Transaction
from valorem.engine.payments import payer_of
from valorem.web.page import Page
from valorem.web.portal.site import Answer, Go, Guest, PortalSite


def add(site: PortalSite) -> None:
    """Add the page."""
    site.page("/credits/buy", _preview)
    site.action("/credits/buy", _buy)


def offers_to(tx: Transaction, guest: Guest) -> list[CreditOffer]:
    """What this customer can buy here; nothing where the vendor sells it otherwise, or to whom only looks."""
    if guest.watching or "credits" not in guest.settings.allows:
        return []
    return credit_offers(tx, guest.key)


def _offer(tx: Transaction, guest: Guest, credit: str) -> CreditOffer:
    found = next((each for each in credit_offers(tx, guest.key) if each.credit == credit), None)
    if found is None:
        raise NotFoundError("these credits are not sold", field="credit")
    return found


def _wanted(guest: Guest, offer: CreditOffer, pack: str, amount: str, once: str) -> NewPurchase:
    name = f"portal_{once}" if once else None
    if pack:
        if pack not in {each.key for each in offer.packs}:
            raise InvalidInputError("this pack is not sold", field="pack")
        return NewPurchase(guest.key, offer.credit, pack=pack, quantity=ONE, id=name)
    number = guest.words.read_number(amount)
    if number is None or number <= 0:
        raise InvalidInputError("this is no quantity", field="amount", hint="write a number, such as 1000")
    return NewPurchase(guest.key, offer.credit, amount=number, id=name)


def _ask_taxes(guest: Guest, credit: str, pack: str, amount: str) -> None:
    """An outside tax engine is asked before anything is locked."""
    with guest.reading() as tx:
        wanted = _wanted(guest, _offer(tx, guest, credit), pack, amount, "")
    ask_purchase_taxes(guest.engine, guest.workspace.id, wanted)


def _preview(guest: Guest) -> Page:
    """What it comes to: it is bought, looked at, and undone."""
    return _page(guest, guest.query("credit"), guest.query("pack"), guest.query("amount"))


def _page(guest: Guest, credit: str, pack: str, amount: str, refused: ValoremError | None = None) -> Page:
    guest.check_allowed("credits")
    found: Purchase | None = None
    try:
        _ask_taxes(guest, credit, pack, amount)
    except ValoremError as error:
        refused = refused or error
    with guest.acting() as tx:  # it locks the account; nothing of it stays
        offer = _offer(tx, guest, credit)
        try:
            found = preview_purchase(tx, _wanted(guest, offer, pack, amount, ""))
        except ValoremError as error:
            refused = refused or error
        charged = payer_of(tx, guest.key)
        now = tx.now
    values = {
        "here": "credits",
        "offer": offer,
        "found": found,
        "charged": charged,
        "pack": pack,
        "amount": amount,
        "once": identity(guest.csrf, credit, pack, amount, now.isoformat()).hex(),
        "refused": refused,
        "now": now,
    }
    return Page("credits_buy.html", values, 200 if refused is None else refused.status)


def _buy(guest: Guest) -> Answer:
    guest.check_allowed("credits")
    credit, pack, amount = guest.field("credit"), guest.field("pack"), guest.field("amount")
    once = guest.once()
    try:
        _ask_taxes(guest, credit, pack, amount)
        with guest.acting() as tx:
            bought = buy_credits(tx, _wanted(guest, _offer(tx, guest, credit), pack, amount, once))
            guest.note(
                tx,
                "credits.buy",
                bought.row.id,
                credit=credit,
                amount=plain(bought.sale.grant.amount),
                price=plain(bought.sale.amount),
                currency=bought.sale.currency,
            )
    except ValoremError as error:
        return _page(guest, credit, pack, amount, error)
    return Go(f"{guest.home}/credits", "credits_bought")
