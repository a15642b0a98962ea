"""Credits: what do we owe, and who runs dry?"""

from valorem.core.errors import InvalidInputError, ValoremError
from valorem.core.ids import identity
from valorem.core.ledger.forecast import Forecast
from valorem.core.numbers import parse_decimal, plain
from valorem.engine.catalog import current_catalog
from valorem.engine.credits.definitions import credits_of
from valorem.engine.credits.granting import NewGrant, give_grant
from valorem.engine.credits.reading import Balance, balance, credit_forecast
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.overview import customer_names
from valorem.store.postgres import credits as store
from valorem.web.render import segment
from valorem.web.site import Answer, Go, Page, Site, Visit

_MOST = 60


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/credits", _list)
    site.page("/customers/{key:path}/credits", _show)
    site.action("/customers/{key:path}/credits", "invoices", _grant)


def _list(visit: Visit) -> Page:
    with visit.reading() as tx:
        places = store.accounts(tx.connection, tx.workspace.id)
        found = [balance(tx, place.customer, place.credit) for place in places[:_MOST]]
        names = customer_names(tx)
        now = tx.now
        types = _types(tx)
    found.sort(key=lambda each: (each.available, each.customer))
    values = {
        "here": "credits",
        "balances": found,
        "total": len(places),
        "names": names,
        "now": now,
        "types": types,
    }
    return Page("console/credits.html", values)


def _types(tx: Transaction) -> list[str]:
    try:
        return sorted(current_catalog(tx)[1].credits)
    except ValoremError:
        return []  # no catalog has been applied


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, refused: ValoremError | None = None) -> Page:
    key = visit.path("key")
    with visit.reading() as tx:
        customer = get_customer(tx, key)
        found: list[tuple[Balance, Forecast]] = [
            (balance(tx, key, credit), credit_forecast(tx, key, credit)) for credit in credits_of(tx, key)
        ]
        types = _types(tx)
        now = tx.now
    values = {
        "here": "credits",
        "customer": customer,
        "balances": found,
        "types": types,
        "now": now,
        "once": identity(visit.request_id, now.isoformat()).hex(),
        "refused": refused,
        "form": visit.form,
    }
    return Page("console/customer_credits.html", values, 200 if refused is None else refused.status)


def _grant(visit: Visit) -> Answer:
    """Give credits; the form's own id makes a second click give what the first one gave."""
    key, form = visit.path("key"), visit.form
    try:
        if not form.get("once", "").isalnum():
            raise InvalidInputError("load the page again", field="once")
        with visit.acting() as tx:
            amount = parse_decimal(form.get("amount", "").strip(), "amount")
            credit = form.get("credit", "")
            new = NewGrant(customer=key, credit=credit, amount=amount, id=f"console_{form['once']}")
            state = give_grant(tx, new)
            after = {"credit": credit, "amount": plain(amount), "grant": state.grant.id}
            visit.note(tx, visit.deed("credits.grant", key, after=after))
    except ValoremError as error:
        return _page(visit, error)
    return Go(f"{visit.home}/customers/{segment(key)}/credits", f"{plain(amount)} {credit} given.")
