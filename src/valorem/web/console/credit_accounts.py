"""Credits: what do we owe, who runs dry, and what burnt it?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from valorem.core.catalog.catalog import Catalog
from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.ids import identity
from valorem.core.ledger.recharge import RechargeRule
from valorem.core.numbers import ZERO, exact, parse_decimal, plain
from valorem.core.time import write_instant
from valorem.engine.catalog import current_catalog
from valorem.engine.credits.buying import NewPurchase, ask_purchase_taxes, buy_credits
from valorem.engine.credits.definitions import credits_of
from valorem.engine.credits.granting import NewGrant, change_expiry, give_grant, set_top_up, void_grant
from valorem.engine.credits.holding import release_hold
from valorem.engine.credits.ledger import verify_ledger
from valorem.engine.credits.overview import AccountView, view_account
from valorem.engine.credits.reading import Balance, GrantLeft, balance
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.overview import customer_names
from valorem.store.postgres import credits as store
from valorem.web.bars import Part
from valorem.web.charts.chart import Chart
from valorem.web.charts.credits import burn_chart
from valorem.web.page import Page
from valorem.web.prices import PriceList, price_list
from valorem.web.site import Answer, Go, Site, Visit
from valorem.web.templating import segment

_MOST = 60
_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Owed:
    """What all accounts of one credit type come to.

    Attributes:
        credit: The type's key.
        name: What one credit is called.
        accounts: How many.
        available: Credits that can be used.
        held: Credits reserved.
        overage: Credits used that no grant paid for.
        ending: Of what is available, credits whose end comes within thirty days.
    """

    credit: str
    name: str
    accounts: int
    available: Decimal
    held: Decimal
    overage: Decimal
    ending: Decimal


@dataclass(frozen=True, slots=True)
class BurnList:
    """What one meter's use costs in credits of one type."""

    credit: str
    meter: str
    prices: PriceList


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/credits", _list)
    site.action("/credits/verify", "read", _verify)
    site.page("/customers/{key:path}/credits", _show)
    site.action("/customers/{key:path}/credits", "invoices", _grant)
    site.action("/customers/{key:path}/credits/void", "invoices", _void)
    site.action("/customers/{key:path}/credits/expiry", "invoices", _expiry)
    site.action("/customers/{key:path}/credits/release", "invoices", _release)
    site.action("/customers/{key:path}/credits/top-up", "invoices", _top_up)


def _list(visit: Visit) -> Page:
    return _list_page(visit)


def _list_page(visit: Visit, checks: Sequence[Any] | None = None) -> Page:
    with visit.reading() as tx:
        places = store.accounts(tx.connection, tx.workspace.id)
        found = [balance(tx, place.customer, place.credit) for place in places[:_MOST]]
        names = customer_names(tx)
        now = tx.now
        catalog = _catalog(tx)
    found.sort(key=lambda each: (each.available, each.customer))
    values = {
        "here": "credits",
        "balances": found,
        "owed": _owed(found, now),
        "total": len(places),
        "names": names,
        "now": now,
        "types": sorted(catalog.credits),
        "burns": _burns(catalog, now),
        "checks": checks,
        "soon": now + _SOON,
    }
    return Page("console/credits.html", values)


@exact
def _owed(found: Sequence[Balance], now: datetime) -> list[Owed]:
    by_type: dict[str, list[Balance]] = {}
    for each in found:
        by_type.setdefault(each.credit, []).append(each)
    return [
        Owed(
            credit,
            each[0].name,
            len(each),
            sum((one.available for one in each), ZERO),
            sum((one.held for one in each), ZERO),
            sum((one.overage for one in each), ZERO),
            sum(
                (
                    left.remaining
                    for one in each
                    for left in one.grants
                    if left.end is not None and left.end <= now + _SOON
                ),
                ZERO,
            ),
        )
        for credit, each in sorted(by_type.items())
    ]


def _burns(catalog: Catalog, now: datetime) -> list[BurnList]:
    found = []
    for credit in catalog.credits.values():
        for key, written in credit.burn.items():
            meter = catalog.meters[key]
            price = catalog.price_named(written)
            found.append(
                BurnList(credit.name or credit.key, meter.name or key, price_list(price, meter.unit, now))
            )
    return found


def _verify(visit: Visit) -> Answer:
    """Check every ledger: the chain, the sums, and both against the replay of everything that is recorded."""
    with visit.acting() as tx:
        checks = verify_ledger(tx)
        broken = sum(bool(each.problems) for each in checks)
        visit.note(
            tx, visit.deed("ledger.verify", "all", after={"accounts": len(checks), "with_problems": broken})
        )
    return _list_page(visit, checks)


def _catalog(tx: Transaction) -> Catalog:
    try:
        return current_catalog(tx)[1]
    except NotFoundError:
        return Catalog()  # no catalog has been applied


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, refused: ValoremError | None = None) -> Page:
    key, by = visit.path("key"), visit.query("by") or "meter"
    with visit.reading() as tx:
        customer = get_customer(tx, key)
        now = tx.now
        found: list[tuple[AccountView, Chart | None, list[Part]]] = []
        for credit in credits_of(tx, key):
            view = view_account(tx, key, credit, by=by)
            runs_out = view.forecast.runs_out_at
            name = view.balance.name
            found.append(
                (
                    view,
                    burn_chart(f"burn-{credit}", name, view.levels, runs_out, customer.zone, now),
                    [_part(left) for left in view.balance.grants],
                )
            )
        catalog = _catalog(tx)
    values = {
        "here": "credits",
        "customer": customer,
        "accounts": found,
        "by": by,
        "dimensions": _dimensions(catalog),
        "types": sorted(catalog.credits),
        "now": now,
        "once": identity(visit.request_id, now.isoformat()).hex(),
        "refused": refused,
        "form": visit.form,
    }
    return Page("console/customer_credits.html", values, 200 if refused is None else refused.status)


def _part(left: GrantLeft) -> Part:
    return Part(left.grant.source, left.grant.amount - left.remaining - left.held, left.grant.amount)


def _dimensions(catalog: Catalog) -> list[str]:
    """What burnt credits may be summed up by."""
    burning = {meter for credit in catalog.credits.values() for meter in credit.burn}
    names = [name for key in sorted(burning) for name in catalog.meters[key].dimension_names]
    return ["meter", "member", *dict.fromkeys(names)]


def _to(visit: Visit) -> str:
    return f"{visit.home}/customers/{segment(visit.path('key'))}/credits"


def _once(visit: Visit) -> str:
    """The form's own id makes a second click do what the first one did."""
    if not visit.form.get("once", "").isalnum():
        raise InvalidInputError("load the page again", field="once")
    return f"console_{visit.form['once']}"


def _grant(visit: Visit) -> Answer:
    """Give credits, or sell packs of them."""
    key, form = visit.path("key"), visit.form
    credit, pack = form.get("credit", ""), form.get("pack", "").strip()
    try:
        amount = parse_decimal(form.get("amount", "").strip(), "amount")
        wanted = NewPurchase(customer=key, credit=credit, pack=pack or None, quantity=amount, id=_once(visit))
        if pack:
            ask_purchase_taxes(visit.engine, visit.workspace.id, wanted)
        with visit.acting() as tx:
            if pack:
                bought = buy_credits(tx, wanted)
                grant, verb = bought.sale.grant, "sold"
            else:
                new = NewGrant(customer=key, credit=credit, amount=amount, id=_once(visit))
                grant, verb = give_grant(tx, new).grant, "given"
            after = {"credit": credit, "amount": plain(grant.amount), "grant": grant.id}
            visit.note(tx, visit.deed(f"credits.{'buy' if pack else 'grant'}", key, after=after))
    except ValoremError as error:
        return _page(visit, error)
    return Go(_to(visit), f"{plain(grant.amount)} {credit} {verb}.")


def _void(visit: Visit) -> Answer:
    key, form = visit.path("key"), visit.form
    credit, grant = form.get("credit", ""), form.get("grant", "")
    with visit.acting() as tx:
        state = void_grant(tx, key, credit, grant)
        after = {"credit": credit, "grant": grant, "remaining": plain(state.remaining)}
        visit.note(tx, visit.deed("credits.void", key, after=after))
    return Go(_to(visit), f"What was unused of {grant} is taken back.")


def _expiry(visit: Visit) -> Answer:
    key, form = visit.path("key"), visit.form
    credit, grant = form.get("credit", ""), form.get("grant", "")
    try:
        until = datetime.fromisoformat(form.get("expires", "").strip()[:10] + "T00:00+00:00")
    except ValueError:
        raise InvalidInputError("say until when", field="expires", hint="write it as 2026-12-31") from None
    with visit.acting() as tx:
        change_expiry(tx, key, credit, grant, until)
        after = {"credit": credit, "grant": grant, "expires": write_instant(until)}
        visit.note(tx, visit.deed("credits.expiry", key, after=after))
    return Go(_to(visit), f"{grant} ends on {until:%Y-%m-%d}, UTC.")


def _release(visit: Visit) -> Answer:
    key, form = visit.path("key"), visit.form
    credit, hold = form.get("credit", ""), form.get("hold", "")
    with visit.acting() as tx:
        state = release_hold(tx, customer=key, credit=credit, id=hold)
        after = {"credit": credit, "hold": hold, "amount": plain(state.hold.amount)}
        visit.note(tx, visit.deed("credits.release", key, after=after))
    return Go(_to(visit), f"{hold} reserves nothing any more.")


def _top_up(visit: Visit) -> Answer:
    """Buy a pack, or up to a balance, whenever the balance falls to a threshold."""
    key, form = visit.path("key"), visit.form
    credit, pack = form.get("credit", ""), form.get("pack", "").strip()
    try:
        with visit.acting() as tx:
            threshold = parse_decimal(form.get("threshold", "").strip(), "threshold")
            target = form.get("target", "").strip()
            rule = RechargeRule(
                "console",
                threshold,
                target=parse_decimal(target, "target") if target else None,
                amount=None if target else Decimal(1) if pack else None,
                zone=get_customer(tx, key).zone,
            )
            set_top_up(tx, key, credit, rule, pack=pack or None)
            after = {"credit": credit, "threshold": plain(threshold), "target": target, "pack": pack}
            visit.note(tx, visit.deed("credits.top_up", key, after=after))
    except ValoremError as error:
        return _page(visit, error)
    return Go(_to(visit), f"Bought by itself whenever {plain(threshold)} or less is left.")
